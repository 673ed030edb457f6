// A closed-loop load client for small answers: the next requests of a connection are sent when
// those before are answered. It reads the first answer as HTTP and counts the others in bytes, so
// that it costs little beside the server.
//
//   blast [-c CONNECTIONS] [-p PIPELINED] [-v TEXT] [-x] -n REQUESTS | -d SECONDS PORT REQUEST
//
// REQUEST is a file with the bytes of one request, - standard input. PIPELINED copies are sent
// together. With -v, TEXT, which the request has once, is another number of as many digits in each.
// With -x, and when the first answer says that the server closes, each request has a
// connection of its own, which is read to its end. With -d no request begins after so many seconds.
// What has begun is finished and counted, the first answer too. The result is one line of JSON.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "client.h"

enum { BUFFER_BYTES = 256 * 1024, MAX_CONNECTIONS = 16 * 1024, MAX_PIPELINED = 1024 };

struct connection {
  int fd;
  size_t received;  // bytes of the answer that is coming
  long long owed;   // requests that have not been answered
};

struct settings {
  int connections;
  int pipelined;
  bool close;
  const char* varied;
  long long requests;
  double seconds;
  int port;
};

static struct settings settings = {.connections = 1, .pipelined = 1};
static struct bytes request;
static struct bytes batch;
static size_t varied_offset;
static struct answer answer;
static int poller;
static char buffer[BUFFER_BYTES];
static long long begun;
static long long finished;
static bool over;

static void find_varied(void) {
  const size_t length = strlen(settings.varied);
  const char* found = memmem(request.data, request.length, settings.varied, length);
  if (length == 0 || found == NULL) fail("-v: the request has no %s", settings.varied);
  if (settings.close) fail("-v needs connections that stay open");
  varied_offset = (size_t)(found - request.data);
}

// Makes the first `count` requests of the batch others than all before.
static void vary(long long count) {
  static unsigned long long last;
  const size_t length = strlen(settings.varied);
  for (long long i = 0; i < count; i++) {
    char* text = batch.data + (size_t)i * request.length + varied_offset;
    unsigned long long number = ++last;
    for (size_t at = length; at-- > 0; number /= 10) text[at] = (char)('0' + number % 10);
  }
}

static void parse(int argc, char** argv) {
  for (int option; (option = getopt(argc, argv, "c:p:v:xn:d:")) != -1;) {
    if (option == 'c')
      settings.connections = atoi(optarg);
    else if (option == 'p')
      settings.pipelined = atoi(optarg);
    else if (option == 'v')
      settings.varied = optarg;
    else if (option == 'x')
      settings.close = true;
    else if (option == 'n')
      settings.requests = atoll(optarg);
    else if (option == 'd')
      settings.seconds = atof(optarg);
    else
      exit(2);
  }
  if (argc - optind != 2) fail("expected PORT REQUEST after the options");
  if (settings.connections < 1 || settings.connections > MAX_CONNECTIONS) fail("-c is 1 to 16384");
  if (settings.pipelined < 1 || settings.pipelined > MAX_PIPELINED) fail("-p is 1 to 1024");
  if ((settings.requests > 0) == (settings.seconds > 0)) fail("give one of -n and -d");
  settings.port = atoi(argv[optind]);
  request = read_bytes(argv[optind + 1]);
  batch = repeat(request, (size_t)settings.pipelined);
  if (settings.varied != NULL) find_varied();
}

static void learn(void) {
  const int fd = dial(settings.port);
  send_whole(fd, request);
  answer = learn_answer(fd, settings.close);
  close(fd);
  begun = finished = 1;
  if (answer.closes) settings.close = true;
  if (settings.close && settings.pipelined > 1) fail("-p needs connections that stay open");
}

static bool may_begin(void) { return settings.requests > 0 ? begun < settings.requests : !over; }

static void begin(struct connection* connection) {
  long long count = settings.pipelined;
  if (settings.requests > 0 && settings.requests - begun < count) count = settings.requests - begun;
  begun += count;
  connection->owed = count;
  if (settings.varied != NULL) vary(count);
  send_whole(connection->fd, (struct bytes){batch.data, (size_t)count * request.length});
}

// Connects for one request. On loopback the connection is mostly made when connect() returns.
static void open_and_begin(struct connection* connection) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)settings.port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection->fd < 0) fail("socket: %s", strerror(errno));
  if (connect(connection->fd, (struct sockaddr*)&address, sizeof address) < 0 &&
      errno != EINPROGRESS) {
    fail("connecting after %lld answers: %s", finished, strerror(errno));
  }
  begun++;
  connection->owed = 1;
  const ssize_t sent = send(connection->fd, request.data, request.length, MSG_NOSIGNAL);
  const bool pending = sent < 0 && errno == EAGAIN;
  if (!pending && sent != (ssize_t)request.length) fail("sending: %s", strerror(errno));
  watch(poller, connection->fd, pending ? EPOLLOUT : EPOLLIN, connection);
}

static void connected(struct connection* connection) {
  send_whole(connection->fd, request);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  epoll_ctl(poller, EPOLL_CTL_MOD, connection->fd, &event);
}

static void ended(struct connection* connection) {
  if (!settings.close || connection->owed > 0) {
    fail("after %lld answers: connection closed, %zu bytes into an answer", finished,
         connection->received);
  }
  close(connection->fd);
  finished++;
  if (may_begin()) open_and_begin(connection);
}

static void receive(struct connection* connection) {
  const ssize_t got = recv(connection->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) fail("after %lld answers: %s", finished, strerror(errno));
  if (got == 0) {
    ended(connection);
    return;
  }
  const size_t count = count_answers(&answer, &connection->received, buffer, (size_t)got);
  connection->owed -= (long long)count;
  if (connection->owed < 0) fail("more answers than requests");
  if (settings.close) return;
  finished += (long long)count;
  if (connection->owed == 0 && may_begin()) begin(connection);
}

static void begin_all(void) {
  struct connection* connections = allocate((size_t)settings.connections, sizeof *connections);
  for (int i = 0; i < settings.connections && may_begin(); i++) {
    if (settings.close) {
      open_and_begin(&connections[i]);
    } else {
      connections[i].fd = dial(settings.port);
      watch(poller, connections[i].fd, EPOLLIN, &connections[i]);
      begin(&connections[i]);
    }
  }
}

static void exchange(int64_t deadline) {
  struct epoll_event events[256];
  while (finished < begun) {
    const int ready = epoll_wait(poller, events, 256, 10 * 1000);
    if (ready < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (ready == 0) fail("nothing came for 10 seconds, after %lld answers", finished);
    over = now_ns() >= deadline;
    for (int i = 0; i < ready; i++) {
      if (events[i].events & EPOLLOUT)
        connected(events[i].data.ptr);
      else
        receive(events[i].data.ptr);
    }
  }
}

int main(int argc, char** argv) {
  parse(argc, argv);
  poller = make_poller();
  const int64_t start = now_ns();
  learn();
  begin_all();
  exchange(start + (int64_t)(settings.seconds * 1e9));
  const double seconds = (double)(now_ns() - start) / 1e9;
  printf("{\"requests\": %lld, \"seconds\": %.6f}\n", finished, seconds);
  return 0;
}
