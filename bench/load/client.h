// What the programs in C share.
#ifndef RYEGATE_BENCH_CLIENT_H
#define RYEGATE_BENCH_CLIENT_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
  char* data;
  size_t length;
};

// Prints what went wrong and ends the program.
_Noreturn void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Nanoseconds of the clock that is never set.
int64_t now_ns(void);

// A whole file; that named - is standard input. Fails when there is nothing in it.
struct bytes read_bytes(const char* path);

// As many copies, one after the other.
struct bytes repeat(struct bytes bytes, size_t copies);

// Memory full of zeros.
void* allocate(size_t count, size_t size);

int make_poller(void);

// Makes the poller tell of `events` of the descriptor with `data`.
void watch(int poller, int fd, uint32_t events, void* data);

// A connection to a port of 127.0.0.1, with TCP_NODELAY.
int dial(int port);

// Hands all to the kernel. A request that does not fit into the socket's buffer is a failure: on
// loopback that takes megabytes.
void send_whole(int fd, struct bytes bytes);

#endif
