// Answers that are all of one size. The first is read as HTTP, the others are counted in bytes:
// that costs a client next to nothing, and still finds out when one of them is not like the first.
#ifndef RYEGATE_BENCH_ANSWER_H
#define RYEGATE_BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum { START_BYTES = sizeof "HTTP/1.1 200" - 1 };

struct answer {
  size_t size;
  char start[START_BYTES];
  bool closes;  // the server closes the connection after it
};

// Reads the answer to one request from a blocking socket: as long as its Content-Length or its
// chunks say, without them to the end. Fails unless it is a 200. With `to_end` it also fails unless
// the connection ends after it.
struct answer learn_answer(int fd, bool to_end);

// Counts the answers that end within these bytes. `received` is how much of an answer had come
// before and, afterwards, how much of the next has come. Fails unless each begins as the first did.
size_t count_answers(const struct answer* answer, size_t* received, const char* bytes,
                     size_t length);

#endif
