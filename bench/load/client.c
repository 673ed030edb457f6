#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program_invocation_short_name);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

struct bytes read_bytes(const char* path) {
  FILE* file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  struct bytes bytes = {NULL, 0};
  for (size_t room = 0;;) {
    if (bytes.length == room) {
      room = room == 0 ? 64 * 1024 : 2 * room;
      bytes.data = realloc(bytes.data, room);
      if (bytes.data == NULL) fail("no memory");
    }
    const size_t got = fread(bytes.data + bytes.length, 1, room - bytes.length, file);
    if (got == 0) break;
    bytes.length += got;
  }
  if (ferror(file)) fail("%s: %s", path, strerror(errno));
  if (bytes.length == 0) fail("%s is empty", path);
  if (file != stdin) fclose(file);
  return bytes;
}

struct bytes repeat(struct bytes bytes, size_t copies) {
  struct bytes all = {allocate(copies, bytes.length), copies * bytes.length};
  for (size_t i = 0; i < copies; i++) {
    memcpy(all.data + i * bytes.length, bytes.data, bytes.length);
  }
  return all;
}

void* allocate(size_t count, size_t size) {
  void* memory = calloc(count, size);
  if (memory == NULL) fail("no memory");
  return memory;
}

int make_poller(void) {
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1: %s", strerror(errno));
  return poller;
}

void watch(int poller, int fd, uint32_t events, void* data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

int dial(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket: %s", strerror(errno));
  if (connect(fd, (struct sockaddr*)&address, sizeof address) < 0) {
    fail("connecting to port %d: %s", port, strerror(errno));
  }
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

void send_whole(int fd, struct bytes bytes) {
  const ssize_t sent = send(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) fail("sending a request: %s", strerror(errno));
  if ((size_t)sent != bytes.length) {
    fail("only %zd of %zu bytes fit into the socket's buffer", sent, bytes.length);
  }
}
