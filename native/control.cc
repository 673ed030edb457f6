#include "control.h"

#include <sched.h>

#include "waker.h"

namespace ryegate {

namespace {

// The serving word counts beginnings and ends, so it is odd while the owner serves. Who waits for
// the end of one serving thus never takes the next one for it.
enum Word { kLock = 0, kWriter = 1, kRequested = 2, kServing = 3 };

class Lock {
 public:
  explicit Lock(int32_t* control) : word_(control + kLock) {
    while (__atomic_exchange_n(word_, 1, __ATOMIC_ACQUIRE) != 0) sched_yield();
  }
  ~Lock() { __atomic_store_n(word_, 0, __ATOMIC_RELEASE); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int32_t* word_;
};

void Store(int32_t* control, Word word, int32_t value) {
  __atomic_store_n(control + word, value, __ATOMIC_SEQ_CST);
}

int32_t Load(int32_t* control, Word word) {
  return __atomic_load_n(control + word, __ATOMIC_SEQ_CST);
}

bool IsServing(int32_t* control) { return (Load(control, kServing) & 1) != 0; }

// Wraps round; a signed addition may not.
void Count(int32_t* control) {
  const auto count = static_cast<uint32_t>(Load(control, kServing)) + 1;
  Store(control, kServing, static_cast<int32_t>(count));
}

}  // namespace

void ControlAttach(int32_t* control, int writer) {
  const Lock lock(control);
  Store(control, kWriter, writer);
  Store(control, kRequested, 0);
  if (!IsServing(control)) Count(control);
}

void ControlDetach(int32_t* control) {
  const Lock lock(control);
  if (IsServing(control)) Count(control);
  Store(control, kRequested, 0);
  Store(control, kWriter, -1);
}

int32_t ControlRequest(int32_t* control) {
  const Lock lock(control);
  if (!IsServing(control)) return 0;
  Store(control, kRequested, 1);
  Waker::Signal(Load(control, kWriter));
  return Load(control, kServing);
}

}  // namespace ryegate
