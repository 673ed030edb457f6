#include "control.h"

#include <sched.h>

#include "waker.h"

namespace ryegate {

namespace {

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

}  // namespace

void ControlAttach(int32_t* control, int writer) {
  const Lock lock(control);
  Store(control, kWriter, writer);
  Store(control, kRequested, 0);
  Store(control, kServing, 1);
}

void ControlDetach(int32_t* control) {
  const Lock lock(control);
  Store(control, kServing, 0);
  Store(control, kRequested, 0);
  Store(control, kWriter, -1);
}

bool ControlRequest(int32_t* control) {
  const Lock lock(control);
  if (Load(control, kServing) == 0) return false;
  Store(control, kRequested, 1);
  Waker::Signal(Load(control, kWriter));
  return true;
}

}  // namespace ryegate
