// Calls that may wait for a disk, on libuv's thread pool.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>

namespace ryegate {

// What runs on the pool: it touches nothing of JavaScript's but the memory that is kept for it.
using Work = std::function<int64_t()>;
// Runs on the environment's own thread, before the callback is told the result; also when the
// environment ends meanwhile, which is waited for, and nothing is told any more.
using Finish = std::function<void(int64_t result)>;

// Has `work` run, and `callback` called with its result. `memory` (or empty) is kept alive for it.
void QueueWork(Napi::Function callback, Napi::Value memory, Work work, Finish finish = {});

}  // namespace ryegate
