// recv(2) and send(2) without the C library, whose own are cancellation points: in a process with
// threads, as Node is, that takes four atomic writes a call, 1 % of a small request. They return
// what the C library's return, and set errno.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ryegate {

inline ssize_t ReceiveFrom(int fd, void* data, size_t size) {
#ifdef SYS_recvfrom
  return syscall(SYS_recvfrom, fd, data, size, 0, nullptr, nullptr);
#else
  return recv(fd, data, size, 0);
#endif
}

inline ssize_t SendTo(int fd, const void* data, size_t size, int flags) {
#ifdef SYS_sendto
  return syscall(SYS_sendto, fd, data, size, flags, nullptr, 0);
#else
  return send(fd, data, size, flags);
#endif
}

}  // namespace ryegate
