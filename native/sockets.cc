#include "sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/sockios.h>
#endif

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace ryegate {

namespace {

int Failed() { return -errno; }

int MakeOurs(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return Failed();
  return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? Failed() : 0;
}

#if !defined(__linux__)
int MakePairOurs(int ends[2]) {
  for (int i = 0; i < 2; ++i) {
    const int failure = MakeOurs(ends[i]);
    if (failure == 0) continue;
    close(ends[0]);
    close(ends[1]);
    return failure;
  }
  return 0;
}
#endif

bool ParseIPv6(const std::string& host, sockaddr_in6* address) {
  const size_t percent = host.find('%');
  const std::string literal = host.substr(0, percent);
  if (inet_pton(AF_INET6, literal.c_str(), &address->sin6_addr) != 1) return false;
  if (percent == std::string::npos) return true;
  const std::string scope = host.substr(percent + 1);
  address->sin6_scope_id = if_nametoindex(scope.c_str());
  if (address->sin6_scope_id == 0) {
    address->sin6_scope_id = static_cast<uint32_t>(std::strtoul(scope.c_str(), nullptr, 10));
  }
  return address->sin6_scope_id != 0;
}

// The length to pass to the kernel, or a negative errno.
int FillPath(const std::string& path, sockaddr_un* address) {
  // A path needs room for its final NUL, an abstract name does not.
  const bool abstract = !path.empty() && path[0] == '\0';
  const size_t room = sizeof address->sun_path - (abstract ? 0 : 1);
  if (path.empty() || path.size() > room) return -ENAMETOOLONG;
  if (!abstract && path.find('\0') != std::string::npos) return -EINVAL;
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  return static_cast<int>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
}

}  // namespace

int OpenSocket(int family) {
#ifdef __linux__
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? Failed() : fd;
#else
  const int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return Failed();
  const int failure = MakeOurs(fd);
  if (failure != 0) close(fd);
  return failure != 0 ? failure : fd;
#endif
}

int SetOption(int fd, Option option, int value) {
  int level = SOL_SOCKET;
  int name = SO_REUSEADDR;
  switch (option) {
    case Option::kReuseAddress:
      break;
    case Option::kReusePort:
      name = SO_REUSEPORT;
      break;
    case Option::kIpv6Only:
      level = IPPROTO_IPV6;
      name = IPV6_V6ONLY;
      break;
    case Option::kNoDelay:
      level = IPPROTO_TCP;
      name = TCP_NODELAY;
      break;
  }
  return setsockopt(fd, level, name, &value, sizeof value) < 0 ? Failed() : 0;
}

int BindInet(int fd, int family, const std::string& host, int port) {
  if (host.find('\0') != std::string::npos) return -EINVAL;
  const auto number = htons(static_cast<uint16_t>(port));
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = number;
    if (!host.empty() && inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return -EINVAL;
    return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? Failed() : 0;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = number;
  if (!host.empty() && !ParseIPv6(host, &address)) return -EINVAL;
  return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? Failed() : 0;
}

int BindPath(int fd, const std::string& path, int mode) {
  sockaddr_un address{};
  const int length = FillPath(path, &address);
  if (length < 0) return length;
  const bool file = path[0] != '\0';
  // Linux takes the file's mode from the socket's, so it never exists with a wider one; elsewhere
  // this call fails or does nothing, and chmod after bind follows.
  if (file && mode >= 0) static_cast<void>(fchmod(fd, static_cast<mode_t>(mode)));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)) < 0) {
    return Failed();
  }
  if (file && mode >= 0 && chmod(path.c_str(), static_cast<mode_t>(mode)) < 0) return Failed();
  return 0;
}

int ProbePath(const std::string& path) {
  sockaddr_un address{};
  const int length = FillPath(path, &address);
  if (length < 0) return length;
  const int fd = OpenSocket(AF_UNIX);
  if (fd < 0) return fd;
  int result = 0;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length)) < 0) {
    result = Failed();
  }
  close(fd);
  // A full backlog says EAGAIN: somebody is listening.
  return result == -EAGAIN || result == -EINPROGRESS ? 0 : result;
}

int SendDatagram(const std::string& path, const std::string& text) {
  sockaddr_un address{};
  const int length = FillPath(path, &address);
  if (length < 0) return length;
#ifdef __linux__
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed();
#else
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) return Failed();
  static_cast<void>(fcntl(fd, F_SETFD, FD_CLOEXEC));
#endif
  const auto to = reinterpret_cast<const sockaddr*>(&address);
  const auto size = static_cast<socklen_t>(length);
  const ssize_t sent = sendto(fd, text.data(), text.size(), kSendFlags | MSG_DONTWAIT, to, size);
  const int result = sent < 0 ? Failed() : 0;
  close(fd);
  return result;
}

int AdoptListener(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0) return Failed();
  if (listening == 0) return -EINVAL;
  sockaddr_storage address{};
  size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) return Failed();
  const int failure = MakeOurs(fd);
  return failure != 0 ? failure : address.ss_family;
}

int GetAddress(int fd, bool peer, Address* address) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const auto raw = reinterpret_cast<sockaddr*>(&storage);
  if ((peer ? getpeername(fd, raw, &size) : getsockname(fd, raw, &size)) < 0) return Failed();
  address->family = storage.ss_family;
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto inet = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &inet->sin_addr, text, sizeof text);
    address->host = text;
    address->port = ntohs(inet->sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto inet = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &inet->sin6_addr, text, sizeof text);
    address->host = text;
    address->port = ntohs(inet->sin6_port);
  } else if (storage.ss_family == AF_UNIX && size > offsetof(sockaddr_un, sun_path)) {
    const auto local = reinterpret_cast<const sockaddr_un*>(&storage);
    const size_t length = size - offsetof(sockaddr_un, sun_path);
    const bool abstract = local->sun_path[0] == '\0';
    address->host.assign(local->sun_path, abstract ? length : strnlen(local->sun_path, length));
  }
  return 0;
}

int GetSocketError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? Failed() : -error;
}

int GetUnacknowledged(int fd) {
  int bytes = 0;
#if defined(SIOCOUTQ)
  return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? Failed() : bytes;
#elif defined(FIONWRITE)
  return ioctl(fd, FIONWRITE, &bytes) < 0 ? Failed() : bytes;
#elif defined(SO_NWRITE)
  socklen_t size = sizeof bytes;
  return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &bytes, &size) < 0 ? Failed() : bytes;
#else
  static_cast<void>(fd);
  static_cast<void>(bytes);
  return -ENOTSUP;
#endif
}

int Finish(int fd) {
  if (shutdown(fd, SHUT_WR) < 0) return Failed();
  int bytes = 0;
  if (ioctl(fd, FIONREAD, &bytes) < 0) return Failed();
#ifdef SIOCOUTQNSD
  int unsent = 0;
  // Unix sockets do not know it: what they have sent is with the peer.
  if (bytes == 0 && ioctl(fd, SIOCOUTQNSD, &unsent) == 0) return unsent;
#endif
  return bytes;
}

int GetUnread(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) < 0 ? Failed() : bytes;
}

int GetPeerState(int fd) {
#ifdef POLLRDHUP
  constexpr short kFinished = POLLRDHUP;
#else
  constexpr short kFinished = 0;
#endif
  pollfd entry{fd, kFinished, 0};
  if (poll(&entry, 1, 0) < 0) return errno == EINTR ? 0 : Failed();
  if (entry.revents & (POLLERR | POLLHUP | POLLNVAL)) return 2;
  return entry.revents & kFinished ? 1 : 0;
}

int ResetOnClose(int fd) {
  const linger at_once{1, 0};
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0 ? Failed() : 0;
}

int MakePipe(int ends[2]) {
#ifdef __linux__
  return pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 ? Failed() : 0;
#else
  return pipe(ends) < 0 ? Failed() : MakePairOurs(ends);
#endif
}

int MakeSocketPair(int ends[2]) {
#ifdef __linux__
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ? Failed()
                                                                                      : 0;
#else
  return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 ? Failed() : MakePairOurs(ends);
#endif
}

int AcceptSocket(int listener, sockaddr_storage* peer) {
  socklen_t size = sizeof *peer;
  const auto raw = reinterpret_cast<sockaddr*>(peer);
#ifdef __linux__
  // TCP_NODELAY is inherited from the listener here.
  const int fd = accept4(listener, raw, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? Failed() : fd;
#else
  const int fd = accept(listener, raw, &size);
  if (fd < 0) return Failed();
  const int failure = MakeOurs(fd);
  if (failure != 0) {
    close(fd);
    return failure;
  }
  if (peer->ss_family != AF_UNIX) SetOption(fd, Option::kNoDelay, 1);
  return fd;
#endif
}

}  // namespace ryegate
