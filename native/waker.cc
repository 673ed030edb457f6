#include "waker.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "sockets.h"

#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace ryegate {

Waker::~Waker() { Close(); }

int Waker::Open() {
#ifdef __linux__
  reader_ = writer_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return reader_ < 0 ? -errno : 0;
#else
  int ends[2];
  const int failure = MakePipe(ends);
  if (failure != 0) return failure;
  reader_ = ends[0];
  writer_ = ends[1];
  return 0;
#endif
}

void Waker::Close() {
  if (writer_ >= 0 && writer_ != reader_) close(writer_);
  if (reader_ >= 0) close(reader_);
  reader_ = writer_ = -1;
}

void Waker::Signal(int writer) {
  // Eight bytes are what an eventfd takes, and do no harm to a pipe. A full one is awake already.
  const uint64_t one = 1;
  while (write(writer, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Waker::Drain(int reader) {
  uint64_t words[16];
  for (;;) {
    const ssize_t taken = read(reader, words, sizeof words);
    if (taken < 0 && errno == EINTR) continue;
    // An eventfd is empty after one read; a pipe when a read came back short.
    if (taken < static_cast<ssize_t>(sizeof words)) return;
  }
}

}  // namespace ryegate
