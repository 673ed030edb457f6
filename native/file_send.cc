#include "file_send.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/sendfile.h>
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <cerrno>

#include "sockets.h"

namespace ryegate {

namespace {

constexpr size_t kBlock = 64 * 1024;

#ifdef __linux__

// The kernel reads ahead in windows of this size, so that pages come and mostly go together.
constexpr int64_t kProbeStep = 128 * 1024;

#ifndef SYS_cachestat
// The same on every architecture.
#define SYS_cachestat 451
#endif

struct CacheRange {
  uint64_t offset, length;
};
struct CacheState {
  uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

// Whether all of a range has its pages: 1 or 0; -1 when the kernel does not tell, or not to one who
// could not write to the file. Pages that are still being read count as well.
int CountedAsCached(const FilePart& part) {
  static const int64_t page = sysconf(_SC_PAGESIZE);
  CacheRange range{static_cast<uint64_t>(part.position), part.count};
  CacheState state{};
  if (syscall(SYS_cachestat, part.fd, &range, &state, 0) < 0) return -1;
  const int64_t first = part.position / page;
  const int64_t last = (part.position + static_cast<int64_t>(part.count) - 1) / page;
  return state.cached >= static_cast<uint64_t>(last - first + 1) ? 1 : 0;
}

bool CanBeReadNow(int fd, int64_t position) {
  char byte;
  iovec into{&byte, 1};
  return preadv2(fd, &into, 1, position, RWF_NOWAIT) >= 0;
}

// One byte of each window, and the last. A file system that cannot answer is taken for a slow one.
bool ProbedAsCached(const FilePart& part) {
  const int64_t end = part.position + static_cast<int64_t>(part.count);
  for (int64_t at = part.position; at < end; at += kProbeStep) {
    if (!CanBeReadNow(part.fd, at)) return false;
  }
  return CanBeReadNow(part.fd, end - 1);
}

bool IsCached(const FilePart& part) { return CountedAsCached(part) != 0 && ProbedAsCached(part); }

// Not a fault of either end: the kernel cannot do it with such a file or socket.
bool IsUnsupported(int failure) {
  return failure == EINVAL || failure == ENOSYS || failure == EPERM || failure == EOPNOTSUPP;
}

#else

// sendfile(2) of macOS can sleep, and those of the BSDs differ: there files are read and sent.
bool IsCached(const FilePart&) { return false; }

#endif

}  // namespace

int FileSender::Send(int socket, const FilePart& part) {
  if (!part.wait && !IsCached(part)) return kNotCached;
#ifdef __linux__
  if (!part.copy) {
    off_t position = part.position;
    ssize_t taken;
    do {
      taken = sendfile(socket, part.fd, &position, part.count);
    } while (taken < 0 && errno == EINTR);
    if (taken >= 0) return static_cast<int>(taken);
    if (!IsUnsupported(errno)) return -errno;
  }
#endif
  return Copy(socket, part);
}

int FileSender::Copy(int socket, const FilePart& part) {
  if (block_ == nullptr) block_ = std::make_unique<uint8_t[]>(kBlock);
  size_t sent = 0;
  while (sent < part.count) {
    const size_t wanted = std::min(part.count - sent, kBlock);
    const auto position = part.position + static_cast<int64_t>(sent);
    ssize_t length;
    do {
      length = pread(part.fd, block_.get(), wanted, position);
    } while (length < 0 && errno == EINTR);
    if (length < 0 && sent == 0) return -errno;
    if (length <= 0) break;
    ssize_t taken;
    do {
      taken = send(socket, block_.get(), static_cast<size_t>(length), kSendFlags);
    } while (taken < 0 && errno == EINTR);
    if (taken < 0 && sent == 0) return -errno;
    if (taken < 0) break;
    sent += static_cast<size_t>(taken);
    if (taken < length) break;
  }
  return static_cast<int>(sent);
}

}  // namespace ryegate
