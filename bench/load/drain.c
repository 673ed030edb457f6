// A load client for large answers, and for an exact number of requests. It asks for one path over
// and over on persistent connections, checks status and length of each answer, reads the body into
// one buffer of 256 KiB and forgets it. wrk reads at most 8 KiB at a time, so that with large files
// it would measure itself.
//
//   drain -c CONNECTIONS -n REQUESTS | -d SECONDS [-w] PORT PATH BYTES
//
// With -d it begins no request after so many seconds and reads those under way to their end: every
// request that was begun is counted, once and whole. With -w it prints "connected" when all
// connections are made, begins at a line on standard input, and keeps the connections open until
// standard input ends. The result is one line of JSON.
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

enum { BUFFER_BYTES = 256 * 1024, HEAD_BYTES = 16 * 1024, MAX_CONNECTIONS = 4096 };

struct connection {
  int fd;
  size_t head_length;   // bytes of the head received so far; unused in a body
  long long body_left;  // bytes of the body to come, -1 in a head
  char head[HEAD_BYTES + 1];
};

struct settings {
  int connections;
  long long requests;
  double seconds;
  bool wait;
  int port;
  const char* path;
  long long bytes;
};

static struct settings settings = {.connections = 1};
static struct connection* connections;
static char buffer[BUFFER_BYTES];
static struct bytes request;
static long long begun;
static long long finished;
static int64_t deadline;

static void parse(int argc, char** argv) {
  for (int option; (option = getopt(argc, argv, "c:n:d:w")) != -1;) {
    if (option == 'c')
      settings.connections = atoi(optarg);
    else if (option == 'n')
      settings.requests = atoll(optarg);
    else if (option == 'd')
      settings.seconds = atof(optarg);
    else if (option == 'w')
      settings.wait = true;
    else
      exit(2);
  }
  if (argc - optind != 3) fail("expected PORT PATH BYTES after the options");
  if (settings.connections < 1 || settings.connections > MAX_CONNECTIONS) fail("-c is 1 to 4096");
  if ((settings.requests > 0) == (settings.seconds > 0)) fail("give one of -n and -d");
  settings.port = atoi(argv[optind]);
  settings.path = argv[optind + 1];
  settings.bytes = atoll(argv[optind + 2]);
  const int length = asprintf(&request.data, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
                              settings.path, settings.port);
  if (length < 0) fail("no memory");
  request.length = (size_t)length;
}

static bool may_begin(void) {
  return settings.requests > 0 ? begun < settings.requests : now_ns() < deadline;
}

static void begin(struct connection* connection) {
  connection->head_length = 0;
  connection->body_left = -1;
  begun++;
  send_whole(connection->fd, request);
}

static long long content_length(const char* head) {
  for (const char* line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
    if (strncasecmp(line + 2, "content-length:", 15) == 0) return atoll(line + 17);
  }
  return -1;
}

// Takes the head out of what has been received; the rest of it belongs to the body.
static void parse_head(struct connection* connection) {
  connection->head[connection->head_length] = '\0';
  const char* end = strstr(connection->head, "\r\n\r\n");
  if (end == NULL) {
    if (connection->head_length == HEAD_BYTES) fail("a head of more than %d bytes", HEAD_BYTES);
    return;
  }
  if (strncmp(connection->head, "HTTP/1.1 200 ", 13) != 0) {
    fail("the answer begins %.40s", connection->head);
  }
  const long long length = content_length(connection->head);
  if (length != settings.bytes) {
    fail("Content-Length is %lld, expected %lld", length, settings.bytes);
  }
  const size_t head = (size_t)(end + 4 - connection->head);
  connection->body_left = settings.bytes - (long long)(connection->head_length - head);
}

static void receive(struct connection* connection) {
  const bool in_head = connection->body_left < 0;
  char* into = in_head ? connection->head + connection->head_length : buffer;
  const size_t room = in_head ? HEAD_BYTES - connection->head_length : sizeof buffer;
  const ssize_t got = recv(connection->fd, into, room, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    fail("after %lld answers: %s", finished, got == 0 ? "connection closed" : strerror(errno));
  }
  if (in_head) {
    connection->head_length += (size_t)got;
    parse_head(connection);
    if (connection->body_left == -1) return;
  } else {
    connection->body_left -= got;
  }
  if (connection->body_left < 0) fail("bytes after the body");
  if (connection->body_left > 0) return;
  finished++;
  if (may_begin()) begin(connection);
}

static int connect_all(void) {
  const int poller = make_poller();
  connections = allocate((size_t)settings.connections, sizeof *connections);
  for (int i = 0; i < settings.connections; i++) {
    connections[i].fd = dial(settings.port);
    watch(poller, connections[i].fd, EPOLLIN, &connections[i]);
  }
  return poller;
}

static void wait_for_line(void) {
  puts("connected");
  fflush(stdout);
  for (int c = getchar(); c != '\n'; c = getchar()) {
    if (c == EOF) exit(0);
  }
}

static void exchange(int poller) {
  struct epoll_event events[256];
  for (int i = 0; i < settings.connections && may_begin(); i++) begin(&connections[i]);
  while (finished < begun) {
    const int ready = epoll_wait(poller, events, 256, 10 * 1000);
    if (ready < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (ready == 0) fail("nothing came for 10 seconds, after %lld answers", finished);
    for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
  }
}

int main(int argc, char** argv) {
  parse(argc, argv);
  const int poller = connect_all();
  if (settings.wait) wait_for_line();
  const int64_t start = now_ns();
  deadline = start + (int64_t)(settings.seconds * 1e9);
  exchange(poller);
  const double seconds = (double)(now_ns() - start) / 1e9;
  printf("{\"requests\": %lld, \"seconds\": %.6f}\n", finished, seconds);
  fflush(stdout);
  while (settings.wait && getchar() != EOF) continue;
  return 0;
}
