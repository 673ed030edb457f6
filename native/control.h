// The control block: shared memory by which other threads reach a serving reactor.
//
// It is an Int32Array over a SharedArrayBuffer. A SharedLock guards the waker's descriptor, so that
// no thread signals a descriptor that has been closed or reused.
#pragma once

#include <cstdint>

namespace ryegate {

constexpr int kControlWords = 4;

// The owner begins to serve: publishes the descriptor that wakes it and forgets old requests.
void ControlAttach(int32_t* control, int writer);
// The owner has ended: when this returns, no thread uses the descriptor any more.
void ControlDetach(int32_t* control);
// Adds `what`, a bit, to what is asked of the owner, and wakes it. Returns the number of the
// serving, which is the serving word until that ends; 0 when it is not serving.
int32_t ControlRequest(int32_t* control, int32_t what);

}  // namespace ryegate
