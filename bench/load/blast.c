// A closed-loop load client for small answers: the next requests of a connection are sent when
// those before are answered. It reads the first answer as HTTP and counts the others in bytes, so
// that it costs little beside the server.
//
//   blast [-c CONNECTIONS] [-p PIPELINED] [-v TEXT] [-x] -n REQUESTS | -d SECONDS PORT REQUEST
//   blast [-c CONNECTIONS] [-p PIPELINED] [-v TEXT] [-x] -t TURNS SERVER... REQUEST
//
// REQUEST is a file with the bytes of one request, - standard input. PIPELINED copies are sent
// together. With -v, TEXT, which the request has once, is another number of as many digits in each.
// With -x, and when the first answer says that the server closes, each request has a
// connection of its own, which is read to its end. With -d no request begins after so many seconds.
// What has begun is finished and counted, the first answer too. The result is one line of JSON.
//
// With -t several servers take turns, each so often, and the first once more at the end, so that
// the turns of the others lie between two of its own. SERVER is PORT:MILLISECONDS:PID[,PID...],
// with the length of a turn and the server's processes. The result has a list of turns for each
// server: the requests and seconds of a turn, and the microseconds of CPU time of the server's
// processes and of this one. What a server does after its turn counts until its next begins.
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
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "client.h"

enum { BUFFER_BYTES = 256 * 1024, MAX_CONNECTIONS = 16 * 1024, MAX_PIPELINED = 1024 };
enum { MAX_SERVERS = 16, MAX_PROCESSES = 64, MAX_TURNS = 100 * 1000 };

struct connection {
  int fd;           // 0 until it is open
  size_t received;  // bytes of the answer that is coming
  long long owed;   // requests that have not been answered
};

struct turn {
  long long requests;
  double seconds;
  double server;  // microseconds of CPU time
  double load;
};

struct server {
  int port;
  double seconds;  // of a turn
  clockid_t clocks[MAX_PROCESSES];
  int processes;
  bool close;  // each request has a connection of its own
  struct answer answer;
  struct connection* connections;
  long long begun;
  long long finished;
  double used;  // CPU time when its last turn began
  struct turn* turns;
  int taken;
};

struct settings {
  int connections;
  int pipelined;
  bool close;
  const char* varied;
  long long requests;
  double seconds;
  int turns;
};

static struct settings settings = {.connections = 1, .pipelined = 1};
static struct server servers[MAX_SERVERS];
static int server_count;
// Whose turn it is.
static struct server* server;
static struct bytes request;
static struct bytes batch;
static size_t varied_offset;
static int poller;
static char buffer[BUFFER_BYTES];
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

// PORT, or PORT:MILLISECONDS:PID[,PID...].
static void add_server(const char* text) {
  if (server_count == MAX_SERVERS) fail("no more than %d servers", MAX_SERVERS);
  struct server* added = &servers[server_count++];
  char* rest;
  added->port = (int)strtol(text, &rest, 10);
  if (*rest == ':') added->seconds = strtod(rest + 1, &rest) / 1e3;
  while (*rest == ':' || *rest == ',') {
    const pid_t pid = (pid_t)strtol(rest + 1, &rest, 10);
    if (added->processes == MAX_PROCESSES) fail("no more than %d processes", MAX_PROCESSES);
    const int failure = clock_getcpuclockid(pid, &added->clocks[added->processes++]);
    if (failure != 0) fail("the clock of process %d: %s", pid, strerror(failure));
  }
  const bool timed = added->seconds > 0 && added->processes > 0;
  if (*rest != '\0' || (settings.turns > 0) != timed) {
    fail("%s: expected PORT, or with -t PORT:MILLISECONDS:PID[,PID...]", text);
  }
  added->connections = allocate((size_t)settings.connections, sizeof(struct connection));
  added->turns = allocate((size_t)settings.turns + 1, sizeof(struct turn));
}

static void parse(int argc, char** argv) {
  for (int option; (option = getopt(argc, argv, "c:p:v:xn:d:t:")) != -1;) {
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
    else if (option == 't')
      settings.turns = atoi(optarg);
    else
      exit(2);
  }
  const int names = argc - optind;
  if (names < 2 || (names > 2 && settings.turns <= 0)) {
    fail("expected PORT REQUEST after the options, or with -t SERVER... REQUEST");
  }
  if (settings.connections < 1 || settings.connections > MAX_CONNECTIONS) fail("-c is 1 to 16384");
  if (settings.pipelined < 1 || settings.pipelined > MAX_PIPELINED) fail("-p is 1 to 1024");
  if ((settings.requests > 0) + (settings.seconds > 0) + (settings.turns > 0) != 1) {
    fail("give one of -n, -d and -t");
  }
  if (settings.turns > MAX_TURNS) fail("-t is 1 to %d", MAX_TURNS);
  while (optind < argc - 1) add_server(argv[optind++]);
  request = read_bytes(argv[optind]);
  batch = repeat(request, (size_t)settings.pipelined);
  if (settings.varied != NULL) find_varied();
}

static void learn(void) {
  const int fd = dial(server->port);
  send_whole(fd, request);
  server->answer = learn_answer(fd, settings.close);
  close(fd);
  server->begun = server->finished = 1;
  server->close = settings.close || server->answer.closes;
  if (server->close && settings.pipelined > 1) fail("-p needs connections that stay open");
}

static bool may_begin(void) {
  return settings.requests > 0 ? server->begun < settings.requests : !over;
}

static void begin(struct connection* connection) {
  long long count = settings.pipelined;
  if (settings.requests > 0 && settings.requests - server->begun < count) {
    count = settings.requests - server->begun;
  }
  server->begun += count;
  connection->owed = count;
  if (settings.varied != NULL) vary(count);
  send_whole(connection->fd, (struct bytes){batch.data, (size_t)count * request.length});
}

// Connects for one request. On loopback the connection is mostly made when connect() returns.
static void open_and_begin(struct connection* connection) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connection->fd < 0) fail("socket: %s", strerror(errno));
  if (connect(connection->fd, (struct sockaddr*)&address, sizeof address) < 0 &&
      errno != EINPROGRESS) {
    fail("connecting after %lld answers: %s", server->finished, strerror(errno));
  }
  server->begun++;
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
  if (!server->close || connection->owed > 0) {
    fail("after %lld answers: connection closed, %zu bytes into an answer", server->finished,
         connection->received);
  }
  close(connection->fd);
  server->finished++;
  if (may_begin()) open_and_begin(connection);
}

static void receive(struct connection* connection) {
  const ssize_t got = recv(connection->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) fail("after %lld answers: %s", server->finished, strerror(errno));
  if (got == 0) {
    ended(connection);
    return;
  }
  const size_t count = count_answers(&server->answer, &connection->received, buffer, (size_t)got);
  connection->owed -= (long long)count;
  if (connection->owed < 0) fail("more answers than requests");
  if (server->close) return;
  server->finished += (long long)count;
  if (connection->owed == 0 && may_begin()) begin(connection);
}

static void open_connection(struct connection* connection) {
  connection->fd = dial(server->port);
  watch(poller, connection->fd, EPOLLIN, connection);
}

static void begin_all(void) {
  for (int i = 0; i < settings.connections && may_begin(); i++) {
    struct connection* connection = &server->connections[i];
    if (server->close) {
      open_and_begin(connection);
    } else {
      if (connection->fd == 0) open_connection(connection);
      begin(connection);
    }
  }
}

static void exchange(int64_t deadline) {
  struct epoll_event events[256];
  while (server->finished < server->begun) {
    const int ready = epoll_wait(poller, events, 256, 10 * 1000);
    if (ready < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (ready == 0) fail("nothing came for 10 seconds, after %lld answers", server->finished);
    over = now_ns() >= deadline;
    for (int i = 0; i < ready; i++) {
      if (events[i].events & EPOLLOUT)
        connected(events[i].data.ptr);
      else
        receive(events[i].data.ptr);
    }
  }
}

static void run(void) {
  server = &servers[0];
  const int64_t start = now_ns();
  learn();
  begin_all();
  exchange(start + (int64_t)(settings.seconds * 1e9));
  const double seconds = (double)(now_ns() - start) / 1e9;
  printf("{\"requests\": %lld, \"seconds\": %.6f}\n", server->finished, seconds);
}

static double microseconds(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) < 0) fail("a server has ended: %s", strerror(errno));
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

// Ends the account of the server's last turn, if it has had one.
static void settle(void) {
  double used = 0;
  for (int i = 0; i < server->processes; i++) used += microseconds(server->clocks[i]);
  if (server->taken > 0) server->turns[server->taken - 1].server = used - server->used;
  server->used = used;
}

static void take_turn(void) {
  settle();
  struct turn* turn = &server->turns[server->taken++];
  const long long finished = server->finished;
  const double load = microseconds(CLOCK_PROCESS_CPUTIME_ID);
  const int64_t start = now_ns();
  over = false;
  begin_all();
  exchange(start + (int64_t)(server->seconds * 1e9));
  turn->requests = server->finished - finished;
  turn->seconds = (double)(now_ns() - start) / 1e9;
  turn->load = microseconds(CLOCK_PROCESS_CPUTIME_ID) - load;
}

static void print_turns(void) {
  printf("%s[", server == servers ? "" : ", ");
  for (int i = 0; i < server->taken; i++) {
    const struct turn* turn = &server->turns[i];
    printf("%s{\"requests\": %lld, \"seconds\": %.6f, \"server\": %.3f, \"load\": %.3f}",
           i == 0 ? "" : ", ", turn->requests, turn->seconds, turn->server, turn->load);
  }
  printf("]");
}

static void for_each(void (*what)(void)) {
  for (server = servers; server < servers + server_count; server++) what();
}

// The connections are there before the first turn, so that no turn pays for them.
static void prepare(void) {
  learn();
  for (int i = 0; i < settings.connections && !server->close; i++) {
    open_connection(&server->connections[i]);
  }
}

static void run_in_turns(void) {
  for_each(prepare);
  for (int i = 0; i < settings.turns; i++) for_each(take_turn);
  server = &servers[0];
  if (server_count > 1) take_turn();
  for_each(settle);
  printf("[");
  for_each(print_turns);
  printf("]\n");
}

int main(int argc, char** argv) {
  parse(argc, argv);
  poller = make_poller();
  if (settings.turns > 0)
    run_in_turns();
  else
    run();
  return 0;
}
