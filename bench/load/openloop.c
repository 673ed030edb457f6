// An open-loop load client: requests are due by a schedule, evenly spaced, however fast the answers
// come. Each is sent on the next connection that is free, and its latency counts from when it was
// due, not from when it was sent: so a server that stalls is charged for all who would have come
// meanwhile, not only for the few connections that happened to wait.
//
//   openloop [-c CONNECTIONS] [-w WARMUP] -r RATE -d SECONDS PORT REQUEST
//
// REQUEST is a file with the bytes of one request, - standard input. RATE is requests a second.
// The first WARMUP seconds of the schedule are not counted, SECONDS come after them. Requests that
// have found no connection by the end of the schedule are late: they are not sent, and count as if
// they had been answered then. The result is one line of JSON, with latencies in microseconds.
//
// It never sleeps: being woken takes as long as a small answer, and would be part of each latency.
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "client.h"
#include "histogram.h"

enum { BUFFER_BYTES = 256 * 1024, MAX_CONNECTIONS = 16 * 1024 };
static const int64_t PATIENCE = 10 * 1000000000LL;

struct connection {
  int fd;
  size_t received;  // bytes of the answer that is coming
  int64_t due;      // when its request was due, in nanoseconds of the schedule
};

struct settings {
  int connections;
  double rate;
  double warmup;
  double seconds;
  int port;
};

static struct settings settings = {.connections = 1};
static struct bytes request;
static struct answer answer;
static int poller;
// The connections that are free, in a ring: the one that has been so for longest is next.
static struct connection** idle;
static int idle_first;
static int idle_count;
static int64_t start;
static int64_t sent;
static struct histogram histogram;
// The longest time between two looks at the clock: what the client itself may have added.
static int64_t pause_ns;

static void parse(int argc, char** argv) {
  for (int option; (option = getopt(argc, argv, "c:r:w:d:")) != -1;) {
    if (option == 'c')
      settings.connections = atoi(optarg);
    else if (option == 'r')
      settings.rate = atof(optarg);
    else if (option == 'w')
      settings.warmup = atof(optarg);
    else if (option == 'd')
      settings.seconds = atof(optarg);
    else
      exit(2);
  }
  if (argc - optind != 2) fail("expected PORT REQUEST after the options");
  if (settings.connections < 1 || settings.connections > MAX_CONNECTIONS) fail("-c is 1 to 16384");
  if (!(settings.rate > 0) || !(settings.seconds > 0)) fail("give -r and -d");
  settings.port = atoi(argv[optind]);
  request = read_bytes(argv[optind + 1]);
}

static int64_t schedule_ns(double seconds) { return (int64_t)(seconds * 1e9); }

static int64_t due_of(int64_t number) { return schedule_ns((double)number / settings.rate); }

static void add_idle(struct connection* connection) {
  idle[(idle_first + idle_count++) % settings.connections] = connection;
}

static struct connection* take_idle(void) {
  struct connection* connection = idle[idle_first];
  idle_first = (idle_first + 1) % settings.connections;
  idle_count--;
  return connection;
}

static void connect_all(void) {
  poller = make_poller();
  idle = allocate((size_t)settings.connections, sizeof *idle);
  struct connection* connections = allocate((size_t)settings.connections, sizeof *connections);
  for (int i = 0; i < settings.connections; i++) {
    connections[i].fd = dial(settings.port);
    if (i == 0) {
      send_whole(connections[i].fd, request);
      answer = learn_answer(connections[i].fd, false);
      if (answer.closes) fail("the server closes the connection after an answer");
    }
    watch(poller, connections[i].fd, EPOLLIN, &connections[i]);
    add_idle(&connections[i]);
  }
}

static void count(int64_t due, int64_t answered) {
  if (due >= schedule_ns(settings.warmup)) record(&histogram, answered - due);
}

static void receive(struct connection* connection) {
  static char buffer[BUFFER_BYTES];
  const ssize_t got = recv(connection->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    fail("after %lld requests: %s", (long long)sent,
         got == 0 ? "connection closed" : strerror(errno));
  }
  const size_t answers = count_answers(&answer, &connection->received, buffer, (size_t)got);
  if (answers == 0) return;
  if (answers > 1 || connection->received > 0) fail("more answers than requests");
  count(connection->due, now_ns() - start);
  add_idle(connection);
}

static void send_due(int64_t time) {
  for (int64_t due; idle_count > 0 && (due = due_of(sent)) <= time; sent++) {
    struct connection* connection = take_idle();
    connection->due = due;
    send_whole(connection->fd, request);
  }
}

static void receive_ready(void) {
  struct epoll_event events[256];
  const int ready = epoll_wait(poller, events, 256, 0);
  if (ready < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
}

// Follows the schedule to its end, and returns how many requests have not been sent by then.
static int64_t follow(int64_t end) {
  int64_t time = 0;
  while (time < end) {
    const int64_t last = time;
    time = now_ns() - start;
    if (last >= schedule_ns(settings.warmup) && time - last > pause_ns) pause_ns = time - last;
    send_due(time < end ? time : end - 1);
    receive_ready();
  }
  int64_t late = 0;
  for (; due_of(sent + late) < end; late++) count(due_of(sent + late), end);
  return late;
}

static void await_all(int64_t end) {
  while (idle_count < settings.connections) {
    receive_ready();
    if (now_ns() - start > end + PATIENCE) fail("there are no answers 10 seconds after the end");
  }
}

static double microseconds(int64_t nanoseconds) { return (double)nanoseconds / 1e3; }

int main(int argc, char** argv) {
  parse(argc, argv);
  connect_all();
  const int64_t end = schedule_ns(settings.warmup + settings.seconds);
  start = now_ns();
  const int64_t late = follow(end);
  await_all(end);
  printf("{\"requests\": %llu, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, ",
         (unsigned long long)histogram.total, microseconds(quantile(&histogram, 0.5)),
         microseconds(quantile(&histogram, 0.99)), microseconds(quantile(&histogram, 0.999)),
         microseconds(histogram.max));
  printf("\"late\": %lld, \"pause\": %.1f}\n", (long long)late, microseconds(pause_ns));
  return 0;
}
