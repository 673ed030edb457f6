#include "socket_batch.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "direct_calls.h"
#include "sockets.h"

namespace ryegate {

namespace {

// A socket gets at most this much of the slab in one batch, so that one fast sender cannot take it.
constexpr size_t kReceiveMost = 64 * 1024;
// With less room than this left, the rest of the batch waits for the next slab. streamsocket.ts
// counts on it: a shorter receive has left nothing.
constexpr size_t kReceiveLeast = 4 * 1024;

// A file follows, which fills the packet, or the connection's end, which goes in it.
#ifdef MSG_MORE
constexpr int kMore = MSG_MORE;
#else
constexpr int kMore = 0;
#endif

// These concern one connection that has already gone, not the listener.
bool IsPassing(int failure) {
  return failure == -ECONNABORTED || failure == -EINTR || failure == -EPROTO;
}

void Describe(const sockaddr_storage& peer, Accept* entry) {
  entry->family = peer.ss_family;
  entry->port = 0;
  std::memset(entry->address, 0, sizeof entry->address);
  if (peer.ss_family == AF_INET) {
    const auto inet = reinterpret_cast<const sockaddr_in*>(&peer);
    entry->port = ntohs(inet->sin_port);
    entry->address[0] = inet->sin_addr.s_addr;
  } else if (peer.ss_family == AF_INET6) {
    const auto inet = reinterpret_cast<const sockaddr_in6*>(&peer);
    entry->port = ntohs(inet->sin6_port);
    std::memcpy(entry->address, &inet->sin6_addr, sizeof entry->address);
  }
}

bool Within(int32_t offset, int32_t length, size_t size) {
  return offset >= 0 && length >= 0 &&
         static_cast<size_t>(offset) + static_cast<size_t>(length) <= size;
}

}  // namespace

int SocketBatch::AcceptMany(int listener, size_t max) {
  auto entry = reinterpret_cast<Accept*>(accepts_.words);
  const size_t most = std::min(max, accept_capacity());
  int accepted = 0;
  for (size_t tries = 0; tries < most; ++tries) {
    sockaddr_storage peer{};
    const int fd = AcceptSocket(listener, &peer);
    if (fd < 0) {
      if (IsPassing(fd)) continue;
      return accepted > 0 ? accepted : fd;
    }
    entry->fd = fd;
    Describe(peer, entry++);
    ++accepted;
  }
  return accepted;
}

int SocketBatch::ReceiveMany(size_t count) {
  auto entry = reinterpret_cast<Receive*>(receives_.words);
  const size_t most = std::min(count, receive_capacity());
  size_t used = 0;
  for (size_t i = 0; i < most; ++i, ++entry) {
    const size_t room = std::min(input_.size - used, kReceiveMost);
    if (room < kReceiveLeast) return static_cast<int>(i);
    ssize_t length;
    do {
      length = ReceiveFrom(entry->fd, input_.data + used, room);
    } while (length < 0 && errno == EINTR);
    entry->offset = static_cast<int32_t>(used);
    entry->length = length < 0 ? -errno : static_cast<int32_t>(length);
    if (length > 0) received_ += static_cast<uint64_t>(length);
    if (length > 0) used += (static_cast<size_t>(length) + 7) & ~size_t{7};
    used = std::min(used, input_.size);
  }
  return static_cast<int>(most);
}

int SocketBatch::SendBytes(const Send& entry, const std::vector<Span>& externals) const {
  if (!Within(entry.offset, entry.length, output_.size)) return -EINVAL;
  iovec parts[2];
  size_t used = 0;
  if (entry.length > 0) {
    parts[used].iov_base = output_.data + entry.offset;
    parts[used++].iov_len = static_cast<size_t>(entry.length);
  }
  if (entry.external >= 0) {
    const auto index = static_cast<size_t>(entry.external);
    if (index >= externals.size() || !Within(entry.external_offset, 0, externals[index].size)) {
      return -EINVAL;
    }
    const Span& external = externals[index];
    const auto offset = static_cast<size_t>(entry.external_offset);
    parts[used].iov_base = external.data + offset;
    // The result has to fit its word.
    parts[used++].iov_len = std::min(external.size - offset, size_t{1} << 30);
  }
  if (used == 0 && entry.file >= 0) return 0;
  const bool more = entry.file >= 0 || (entry.flags & kLast) != 0;
  const int flags = more ? kSendFlags | kMore : kSendFlags;
  ssize_t taken;
  do {
    if (used == 1) {
      taken = SendTo(entry.fd, parts[0].iov_base, parts[0].iov_len, flags);
    } else {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = used;
      taken = sendmsg(entry.fd, &message, flags);
    }
  } while (taken < 0 && errno == EINTR);
  return taken < 0 ? -errno : static_cast<int>(taken);
}

bool SocketBatch::SendOne(Send* entry, const std::vector<Span>& externals) {
  entry->file_result = -EAGAIN;
  entry->result = SendBytes(*entry, externals);
  if (entry->result < 0) return false;
  auto wanted = static_cast<size_t>(entry->length);
  if (entry->external >= 0) {
    wanted += externals[static_cast<size_t>(entry->external)].size -
              static_cast<size_t>(entry->external_offset);
  }
  if (static_cast<size_t>(entry->result) < wanted) return false;
  if (entry->file < 0) return true;
  const auto position = static_cast<uint64_t>(entry->position_high) << 32 | entry->position_low;
  const FilePart part{entry->file, static_cast<int64_t>(position),
                      static_cast<size_t>(std::max(entry->count, 0)),
                      (entry->flags & kCopyFile) != 0, (entry->flags & kWaitForFile) != 0};
  entry->file_result = files_.Send(entry->fd, part);
  return entry->file_result == entry->count;
}

void SocketBatch::SendMany(size_t count, const std::vector<Span>& externals) {
  auto entry = reinterpret_cast<Send*>(sends_.words);
  short_.clear();
  for (size_t i = 0; i < std::min(count, send_capacity()); ++i, ++entry) {
    if (!short_.empty() && std::find(short_.begin(), short_.end(), entry->fd) != short_.end()) {
      entry->result = entry->file_result = -EAGAIN;
      continue;
    }
    if (!SendOne(entry, externals)) short_.push_back(entry->fd);
    sent_ += static_cast<uint64_t>(std::max(entry->result, 0)) +
             static_cast<uint64_t>(std::max(entry->file_result, 0));
  }
}

}  // namespace ryegate
