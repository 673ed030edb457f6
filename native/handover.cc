#include "handover.h"

#include <cerrno>

#include "shared_lock.h"
#include "waker.h"

namespace ryegate {

namespace {

// kCount is read by JavaScript too. kReader and kWriter are those of the waker plus 1, so that
// memory full of zeros is a closed handover; the first place has kFirst.
enum Word { kLock = 0, kReader = 1, kWriter = 2, kFirst = 3, kCount = 4 };

int32_t* Place(Handover handover, size_t index) {
  return handover.words + kHandoverHead + 2 * (index % handover.places());
}

size_t Load(Handover handover, Word word) {
  return static_cast<size_t>(__atomic_load_n(handover.words + word, __ATOMIC_SEQ_CST));
}

void Store(Handover handover, Word word, size_t value) {
  __atomic_store_n(handover.words + word, static_cast<int32_t>(value), __ATOMIC_SEQ_CST);
}

}  // namespace

void HandoverOpen(Handover handover, const Waker& waker) {
  const SharedLock lock(handover.words + kLock);
  Store(handover, kReader, static_cast<size_t>(waker.reader()) + 1);
  Store(handover, kWriter, static_cast<size_t>(waker.writer()) + 1);
}

void HandoverClose(Handover handover) {
  const SharedLock lock(handover.words + kLock);
  Store(handover, kReader, 0);
  Store(handover, kWriter, 0);
}

int HandoverPut(Handover handover, int fd, int32_t stamp) {
  const SharedLock lock(handover.words + kLock);
  const size_t writer = Load(handover, kWriter);
  const size_t count = Load(handover, kCount);
  if (writer == 0) return -EBADF;
  if (count >= handover.places()) return -EAGAIN;
  int32_t* place = Place(handover, Load(handover, kFirst) + count);
  place[0] = fd;
  place[1] = stamp;
  Store(handover, kCount, count + 1);
  if (count == 0) Waker::Signal(static_cast<int>(writer - 1));
  return 0;
}

int HandoverTake(Handover handover, int32_t newest) {
  const SharedLock lock(handover.words + kLock);
  const size_t count = Load(handover, kCount);
  const size_t first = Load(handover, kFirst);
  const int32_t* place = Place(handover, first);
  if (count == 0 || place[1] > newest) return -EAGAIN;
  const int fd = place[0];
  Store(handover, kFirst, (first + 1) % handover.places());
  Store(handover, kCount, count - 1);
  const size_t reader = Load(handover, kReader);
  if (count == 1 && reader != 0) Waker::Drain(static_cast<int>(reader - 1));
  return fd;
}

}  // namespace ryegate
