#include "control.h"

#include "shared_lock.h"
#include "waker.h"

namespace ryegate {

namespace {

// The serving word counts beginnings and ends, so it is odd while the owner serves. Who waits for
// the end of one serving thus never takes the next one for it.
enum Word { kLock = 0, kWriter = 1, kRequested = 2, kServing = 3 };

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
  const SharedLock lock(control + kLock);
  Store(control, kWriter, writer);
  Store(control, kRequested, 0);
  if (!IsServing(control)) Count(control);
}

void ControlDetach(int32_t* control) {
  const SharedLock lock(control + kLock);
  if (IsServing(control)) Count(control);
  Store(control, kRequested, 0);
  Store(control, kWriter, -1);
}

int32_t ControlRequest(int32_t* control, int32_t what) {
  const SharedLock lock(control + kLock);
  if (!IsServing(control)) return 0;
  Store(control, kRequested, Load(control, kRequested) | what);
  Waker::Signal(Load(control, kWriter));
  return Load(control, kServing);
}

}  // namespace ryegate
