// Sockets one at a time: made, named, configured, closed. Every descriptor is close-on-exec and
// non-blocking from birth. Calls return a negative errno on failure.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace ryegate {

#ifdef MSG_NOSIGNAL
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;
#endif

enum class Option { kReuseAddress, kReusePort, kIpv6Only, kNoDelay };

struct Address {
  int family = 0;
  std::string host;  // an IP address, or a unix path (a leading NUL for an abstract one)
  int port = 0;
};

int OpenSocket(int family);
int SetOption(int fd, Option option, int value);
// `host` is an IP address, with %scope for a link-local one, or empty for the wildcard.
int BindInet(int fd, int family, const std::string& host, int port);
// `mode` is the socket file's permission bits, negative for those of the umask.
int BindPath(int fd, const std::string& path, int mode);
// Whether anybody listens on a unix path: 0, or -ECONNREFUSED for a socket left behind.
int ProbePath(const std::string& path);
// Sends one datagram to whoever has bound a unix path, without waiting: 0. -EAGAIN when too many
// wait there already.
int SendDatagram(const std::string& path, const std::string& text);
// Makes an inherited descriptor ours: returns its family, -ENOTSOCK or -EINVAL if not listening.
int AdoptListener(int fd);
int GetAddress(int fd, bool peer, Address* address);
int GetSocketError(int fd);
// Bytes that the kernel holds for the peer, sent or not, until it has acknowledged them (for a unix
// socket: read them); -ENOTSUP where the system does not tell.
int GetUnacknowledged(int fd);
// shutdown(2) of writing; then the bytes that have come and were not received or, where the system
// tells, those that are not on their way to the peer yet.
int Finish(int fd);
int GetUnread(int fd);
// What is known of the peer without receiving: 0, 1 when it has finished sending (where the system
// tells that ahead of unread bytes), 2 when the connection is over.
int GetPeerState(int fd);
// Closing resets the connection: the peer cannot take what it got for complete.
int ResetOnClose(int fd);
int MakePipe(int ends[2]);
int MakeSocketPair(int ends[2]);

// accept(2) with the flags set and, for TCP, delays off. `peer` may be null.
int AcceptSocket(int listener, sockaddr_storage* peer);

}  // namespace ryegate
