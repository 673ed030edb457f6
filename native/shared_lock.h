// A lock in memory that threads share. It is taken in native code only, and for a moment: a
// terminated worker never stops inside a native call, so that nobody leaves it locked.
#pragma once

#include <sched.h>

#include <cstdint>

namespace ryegate {

class SharedLock {
 public:
  explicit SharedLock(int32_t* word) : word_(word) {
    while (__atomic_exchange_n(word_, 1, __ATOMIC_ACQUIRE) != 0) sched_yield();
  }
  ~SharedLock() { __atomic_store_n(word_, 0, __ATOMIC_RELEASE); }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  int32_t* word_;
};

}  // namespace ryegate
