// Runs the reactor's turns from libuv whenever its selector has something ready, so that serving
// shares the thread with timers, promises and every other handle of Node's loop.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>

#include "poller.h"
#include "uv_abi.h"
#include "wait_thread.h"

namespace ryegate {

class LoopHook {
 public:
  // What is waited for: a poller, which is harvested into the ring before each turn; or, where
  // `poller` is null, a descriptor whose owner harvests in its turn.
  struct Source {
    Poller* poller = nullptr;
    int32_t* ring = nullptr;
    int capacity = 0;
    int fd = -1;
  };

  // Takes a hook that lives until Close(), or until the environment ends. Null, with the reason in
  // `failure` as a negative errno, when the loop refuses. `turn` and `flush` are functions,
  // as described in src/native.ts.
  static LoopHook* Make(napi_env env, const Source& source, napi_value turn, napi_value flush,
                        int* failure);

  // 0 or a negative errno (libuv's, which has the same values).
  int Start();
  void Stop();
  // Frees the hook, now or when libuv lets go of it. No turn runs afterwards.
  void Close();
  // The poller's set has changed.
  void Changed();

 private:
  LoopHook(napi_env env, const Source& source) : env_(env), source_(source) {}
  ~LoopHook();
  LoopHook(const LoopHook&) = delete;
  LoopHook& operator=(const LoopHook&) = delete;

  int Open(napi_value turn, napi_value flush);
  int OpenHandle();
  void RunTurns();
  bool RunTurn(int count);
  bool Call(napi_ref function, size_t argc, const napi_value* argv, int32_t* answer = nullptr);
  void ReleaseFunctions();

  napi_env env_;
  Source source_;
  uv_handle_t* handle_ = nullptr;
  std::unique_ptr<WaitThread> thread_;
  napi_ref turn_ = nullptr;
  napi_ref flush_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  // The next turn comes before the harvest.
  bool turn_first_ = false;
  bool started_ = false;
  bool running_ = false;
  bool closed_ = false;
};

}  // namespace ryegate
