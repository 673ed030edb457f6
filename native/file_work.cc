#include "file_work.h"

#include <cerrno>
#include <memory>
#include <utility>

namespace ryegate {

namespace {

class PoolWork {
 public:
  PoolWork(napi_env env, Work work, Finish finish)
      : env_(env), run_(std::move(work)), finish_(std::move(finish)) {}

  ~PoolWork() {
    if (callback_ != nullptr) napi_delete_reference(env_, callback_);
    if (memory_ != nullptr) napi_delete_reference(env_, memory_);
    if (work_ != nullptr) napi_delete_async_work(env_, work_);
  }
  PoolWork(const PoolWork&) = delete;
  PoolWork& operator=(const PoolWork&) = delete;

  bool Queue(napi_value callback, napi_value memory) {
    napi_value name;
    return napi_create_reference(env_, callback, 1, &callback_) == napi_ok &&
           (memory == nullptr || napi_create_reference(env_, memory, 1, &memory_) == napi_ok) &&
           napi_create_string_utf8(env_, "ryegate:file", NAPI_AUTO_LENGTH, &name) == napi_ok &&
           napi_create_async_work(env_, nullptr, name, Run, Complete, this, &work_) == napi_ok &&
           napi_queue_async_work(env_, work_) == napi_ok;
  }

 private:
  static void Run(napi_env, void* self) {
    const auto work = static_cast<PoolWork*>(self);
    work->result_ = work->run_();
  }

  static void Complete(napi_env, napi_status, void* self) {
    const std::unique_ptr<PoolWork> work(static_cast<PoolWork*>(self));
    if (work->finish_) work->finish_(work->result_);
    work->Tell();
  }

  // What the callback throws is left pending, for Node to make an uncaught exception of.
  void Tell() {
    napi_value callee;
    napi_value receiver;
    napi_value result;
    if (napi_get_reference_value(env_, callback_, &callee) == napi_ok &&
        napi_get_undefined(env_, &receiver) == napi_ok &&
        napi_create_int64(env_, result_, &result) == napi_ok) {
      napi_call_function(env_, receiver, callee, 1, &result, nullptr);
    }
  }

  napi_env env_;
  Work run_;
  Finish finish_;
  // Of work that was cancelled before it ran.
  int64_t result_ = -ECANCELED;
  napi_ref callback_ = nullptr;
  napi_ref memory_ = nullptr;
  napi_async_work work_ = nullptr;
};

}  // namespace

void QueueWork(Napi::Function callback, Napi::Value memory, Work work, Finish finish) {
  auto queued = std::make_unique<PoolWork>(callback.Env(), std::move(work), std::move(finish));
  // Refused only in a worker that is being terminated, where nobody would be told anyway.
  if (queued->Queue(callback, memory)) static_cast<void>(queued.release());
}

}  // namespace ryegate
