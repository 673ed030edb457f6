#define _GNU_SOURCE
#include "answer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "client.h"

enum { BUFFER_BYTES = 256 * 1024 };

// What the framing says of an answer's size besides a number of bytes.
enum { INCOMPLETE = -1, TO_THE_END = -2 };

static char buffer[BUFFER_BYTES + 1];
static size_t buffered;

// The value of a field of the head in the buffer, NULL without one.
static const char* field(const char* name) {
  const size_t length = strlen(name);
  for (const char* line = strstr(buffer, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncmp(line, "\r\n", 2) == 0) return NULL;
    if (strncasecmp(line, name, length) != 0 || line[length] != ':') continue;
    return line + length + 1 + strspn(line + length + 1, " \t");
  }
  return NULL;
}

static bool field_is(const char* name, const char* expected) {
  const char* value = field(name);
  return value != NULL && strncasecmp(value, expected, strlen(expected)) == 0;
}

// Where the chunked body that begins there ends.
static long long chunked_end(size_t at) {
  for (;;) {
    const char* line_end = memmem(buffer + at, buffered - at, "\r\n", 2);
    if (line_end == NULL) return INCOMPLETE;
    const size_t size = strtoul(buffer + at, NULL, 16);
    at = (size_t)(line_end - buffer) + 2 + size + 2;
    if (at > buffered) return INCOMPLETE;
    if (memcmp(buffer + at - 2, "\r\n", 2) != 0) fail("no CRLF after a chunk of %zu bytes", size);
    if (size == 0) return (long long)at;
  }
}

// The size of the answer whose beginning is in the buffer.
static long long framed_size(void) {
  const char* end = strstr(buffer, "\r\n\r\n");
  if (end == NULL) return INCOMPLETE;
  const size_t head = (size_t)(end + 4 - buffer);
  if (field_is("transfer-encoding", "chunked")) return chunked_end(head);
  const char* length = field("content-length");
  return length == NULL ? TO_THE_END : (long long)head + atoll(length);
}

static size_t receive(int fd, char* into, size_t room) {
  const ssize_t got = recv(fd, into, room, 0);
  if (got < 0 && errno == EAGAIN) fail("nothing came for 10 seconds in the first answer");
  if (got < 0) fail("in the first answer: %s", strerror(errno));
  return (size_t)got;
}

// Counts the bytes up to the end of the connection, or up to `most`.
static size_t skip(int fd, size_t most) {
  static char forgotten[BUFFER_BYTES];
  size_t skipped = 0;
  while (skipped < most) {
    const size_t left = most - skipped;
    const size_t got = receive(fd, forgotten, left < sizeof forgotten ? left : sizeof forgotten);
    if (got == 0) break;
    skipped += got;
  }
  return skipped;
}

struct answer learn_answer(int fd, bool to_end) {
  const struct timeval patience = {.tv_sec = 10};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  // Another server's may be in it. What is read as text ends with a NUL.
  memset(buffer, 0, buffered);
  buffered = 0;
  long long framed;
  while ((framed = framed_size()) == INCOMPLETE) {
    if (buffered == BUFFER_BYTES) fail("head, or chunks, of more than %d bytes", BUFFER_BYTES);
    const size_t got = receive(fd, buffer + buffered, BUFFER_BYTES - buffered);
    if (got == 0) fail("the connection closed after %zu bytes of the first answer", buffered);
    buffered += got;
  }
  const bool old = strncmp(buffer, "HTTP/1.0 200 ", 13) == 0;
  if (!old && strncmp(buffer, "HTTP/1.1 200 ", 13) != 0) fail("the answer begins %.40s", buffer);
  const bool persists =
      old ? field_is("connection", "keep-alive") : !field_is("connection", "close");
  const bool limited = framed >= 0 && !to_end;
  if (framed >= 0 && (size_t)framed < buffered) fail("bytes after the first answer");
  const size_t size = buffered + skip(fd, limited ? (size_t)framed - buffered : SIZE_MAX);
  if (framed >= 0 && (long long)size != framed) {
    fail("the first answer has %zu bytes, by its head %lld", size, framed);
  }
  struct answer answer = {.size = size, .closes = framed < 0 || !persists};
  memcpy(answer.start, buffer, START_BYTES);
  return answer;
}

size_t count_answers(const struct answer* answer, size_t* received, const char* bytes,
                     size_t length) {
  size_t finished = 0;
  while (length > 0) {
    const size_t left = answer->size - *received;
    const size_t part = length < left ? length : left;
    if (*received < START_BYTES) {
      const size_t start = START_BYTES - *received;
      if (memcmp(bytes, answer->start + *received, part < start ? part : start) != 0) {
        fail("%zu bytes after the beginning of an answer, instead of the rest of %.*s, came %.*s",
             *received, START_BYTES, answer->start, (int)(part < 40 ? part : 40), bytes);
      }
    }
    *received += part;
    bytes += part;
    length -= part;
    if (*received < answer->size) continue;
    *received = 0;
    finished++;
  }
  return finished;
}
