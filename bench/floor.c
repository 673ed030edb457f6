// The floor: what a request costs when nobody looks at it. It counts the bytes that come, sends a
// fixed answer for each request's worth of them, and does nothing else. As in Ryegate, the phases
// are apart: first everything that is ready is received, then everything that is owed is sent, with
// one recv and one send a connection.
//
//   floor --answer FILE --request-size BYTES [--close]
//
// FILE has the bytes of one answer, - is standard input. With --close a connection is closed when
// it has been answered: accept, recv, send, close. It is then read from at once, and watched only
// if that was too early, which is 6 to 11 % cheaper. Prints `listening on PORT`, a free port of
// 127.0.0.1.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/client.h"

enum { RECEIVE_BYTES = 64 * 1024, MAX_COPIES_BYTES = 4 * 1024 * 1024, MAX_FD = 64 * 1024 };
enum { MAX_EVENTS = 1024, BACKLOG = 4096 };

struct connection {
  int fd;
  uint32_t watched;  // the events that the poller tells of
  size_t received;   // bytes of a request that is not whole
  size_t unsent;     // bytes of answers that are owed
};

static size_t answer_size;
static size_t request_size;
static bool close_after;
// As many copies of the answer as one recv can ask for, if they are not too long.
static struct bytes answers;
static int poller;
static struct connection connections[MAX_FD];
static struct connection* owing[MAX_FD];
static int owing_count;

static void parse(int argc, char** argv) {
  const struct option options[] = {{"answer", required_argument, NULL, 'a'},
                                   {"request-size", required_argument, NULL, 'r'},
                                   {"close", no_argument, NULL, 'c'},
                                   {0}};
  const char* path = NULL;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'a')
      path = optarg;
    else if (option == 'r')
      request_size = strtoul(optarg, NULL, 10);
    else if (option == 'c')
      close_after = true;
    else
      exit(2);
  }
  if (path == NULL || request_size == 0) fail("expected --answer FILE --request-size BYTES");
  const struct bytes answer = read_bytes(path);
  answer_size = answer.length;
  const size_t asked = RECEIVE_BYTES / request_size + 1;
  const size_t most = MAX_COPIES_BYTES / answer_size + 1;
  answers = repeat(answer, asked < most ? asked : most);
}

static int make_listener(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // Connections inherit it.
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  socklen_t length = sizeof address;
  if (bind(fd, (struct sockaddr*)&address, length) < 0 || listen(fd, BACKLOG) < 0 ||
      getsockname(fd, (struct sockaddr*)&address, &length) < 0) {
    fail("listening: %s", strerror(errno));
  }
  printf("listening on %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

static void watch_for(struct connection* connection, uint32_t events) {
  if (connection->watched == events) return;
  const int operation = connection->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  connection->watched = events;
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poller, operation, connection->fd, &event) < 0) {
    fail("epoll_ctl: %s", strerror(errno));
  }
}

// False when nothing can be done before more has come.
static bool receive(struct connection* connection) {
  static char forgotten[RECEIVE_BYTES];
  const ssize_t got = recv(connection->fd, forgotten, sizeof forgotten, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    close(connection->fd);
    return true;
  }
  const size_t received = connection->received + (size_t)got;
  connection->received = received % request_size;
  connection->unsent += received / request_size * answer_size;
  if (connection->unsent == 0) return false;
  owing[owing_count++] = connection;
  return true;
}

static void accept_all(int listener) {
  for (;;) {
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == EAGAIN) return;
    if (fd < 0 || fd >= MAX_FD) fail("accept4: %s", strerror(errno));
    struct connection* connection = &connections[fd];
    *connection = (struct connection){.fd = fd};
    if (close_after && receive(connection)) continue;
    watch_for(connection, EPOLLIN);
  }
}

static void answer(struct connection* connection) {
  while (connection->unsent > 0) {
    const size_t offset = (answer_size - connection->unsent % answer_size) % answer_size;
    const size_t room = answers.length - offset;
    const size_t wanted = connection->unsent < room ? connection->unsent : room;
    const ssize_t sent = send(connection->fd, answers.data + offset, wanted, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
      close(connection->fd);
      return;
    }
    if (sent > 0) connection->unsent -= (size_t)sent;
    if (sent < (ssize_t)wanted) break;
  }
  if (connection->unsent == 0 && close_after)
    close(connection->fd);
  else
    watch_for(connection, connection->unsent > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void serve_turn(int listener) {
  static struct epoll_event events[MAX_EVENTS];
  const int ready = epoll_wait(poller, events, MAX_EVENTS, -1);
  if (ready < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  owing_count = 0;
  for (int i = 0; i < ready; i++) {
    struct connection* connection = events[i].data.ptr;
    if (connection == NULL)
      accept_all(listener);
    else if (events[i].events & ~(uint32_t)EPOLLOUT)
      receive(connection);
    else
      owing[owing_count++] = connection;
  }
  for (int i = 0; i < owing_count; i++) answer(owing[i]);
}

int main(int argc, char** argv) {
  parse(argc, argv);
  poller = make_poller();
  const int listener = make_listener();
  watch(poller, listener, EPOLLIN, NULL);
  for (;;) serve_turn(listener);
}
