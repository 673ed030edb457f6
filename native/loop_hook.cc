#include "loop_hook.h"

#include <cerrno>
#include <climits>
#include <cstdlib>

namespace ryegate {

namespace {

// Node's loop gets its turn after this many rounds or this long, whichever is first.
constexpr int kMostRounds = 8;
constexpr uint64_t kMostNanoseconds = 2'000'000;
// So many flushes follow a turn at most, even in an environment where no call succeeds any more.
constexpr int kMostFlushes = 32;

// The answers of `flush`.
constexpr int32_t kFlushAgain = 1;
constexpr int32_t kTurnFirst = 2;

// The count of a turn before which nothing was harvested.
constexpr int kUnharvested = INT_MIN;

}  // namespace

LoopHook* LoopHook::Make(napi_env env, const Source& source, napi_value turn, napi_value flush,
                         int* failure) {
  auto hook = new LoopHook(env, source);
  *failure = hook->Open(turn, flush);
  if (*failure == 0) return hook;
  hook->Close();
  return nullptr;  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): it deletes itself
}

LoopHook::~LoopHook() {
  std::free(handle_);
  if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
}

int LoopHook::Open(napi_value turn, napi_value flush) {
  napi_value name;
  if (napi_create_string_utf8(env_, "ryegate:reactor", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env_, nullptr, name, &context_) != napi_ok ||
      napi_create_reference(env_, turn, 1, &turn_) != napi_ok ||
      napi_create_reference(env_, flush, 1, &flush_) != napi_ok) {
    return -EINVAL;
  }
  const int failure = OpenHandle();
  if (failure != 0) return failure;
  // A worker's loop must have no open handle when it ends, and closing one takes a loop iteration.
  const auto teardown = [](napi_async_cleanup_hook_handle, void* self) {
    static_cast<LoopHook*>(self)->Close();
  };
  return napi_add_async_cleanup_hook(env_, teardown, this, &cleanup_) == napi_ok ? 0 : -EINVAL;
}

int LoopHook::OpenHandle() {
  uv_loop_t* loop;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return -EINVAL;
  const int fd = source_.poller != nullptr ? source_.poller->fd() : source_.fd;
  const auto type = fd >= 0 ? UV_POLL : UV_ASYNC;
  auto handle = static_cast<uv_handle_t*>(std::calloc(1, uv_handle_size(type)));
  if (handle == nullptr) return -ENOMEM;
  int failure;
  if (fd >= 0) {
    failure = uv_poll_init(loop, reinterpret_cast<uv_poll_t*>(handle), fd);
  } else {
    const auto awoken = [](uv_async_t* async) {
      const auto as_handle = reinterpret_cast<uv_handle_t*>(async);
      static_cast<LoopHook*>(uv_handle_get_data(as_handle))->RunTurns();
    };
    failure = uv_async_init(loop, reinterpret_cast<uv_async_t*>(handle), awoken);
  }
  if (failure != 0) {
    std::free(handle);
    return failure;
  }
  handle_ = handle;
  uv_handle_set_data(handle_, this);
  if (fd >= 0) return 0;
  uv_unref(handle_);
  thread_ = std::make_unique<WaitThread>(
      [handle] { uv_async_send(reinterpret_cast<uv_async_t*>(handle)); });
  return thread_->Start(source_.poller->highest());
}

int LoopHook::Start() {
  if (closed_) return -EBADF;
  if (started_) return 0;
  if (thread_ == nullptr) {
    const auto ready = [](uv_poll_t* poll, int, int) {
      const auto as_handle = reinterpret_cast<uv_handle_t*>(poll);
      static_cast<LoopHook*>(uv_handle_get_data(as_handle))->RunTurns();
    };
    const int failure = uv_poll_start(reinterpret_cast<uv_poll_t*>(handle_), UV_READABLE, ready);
    if (failure != 0) return failure;
    started_ = true;
    return 0;
  }
  started_ = true;
  uv_ref(handle_);
  Changed();
  return 0;
}

void LoopHook::Stop() {
  if (closed_ || !started_) return;
  started_ = false;
  if (thread_ == nullptr) {
    uv_poll_stop(reinterpret_cast<uv_poll_t*>(handle_));
  } else {
    thread_->Disarm();
    uv_unref(handle_);
  }
}

void LoopHook::Close() {
  if (closed_) return;
  Stop();
  closed_ = true;
  if (thread_ != nullptr) thread_->Stop();
  ReleaseFunctions();
  if (handle_ == nullptr) {
    delete this;
    return;
  }
  uv_close(handle_,
           [](uv_handle_t* handle) { delete static_cast<LoopHook*>(uv_handle_get_data(handle)); });
}

void LoopHook::Changed() {
  // In a turn the set may change many times; it is looked at once, after it.
  if (thread_ == nullptr || !started_ || running_) return;
  thread_->Arm(source_.poller->MakeWatch());
}

void LoopHook::ReleaseFunctions() {
  if (turn_ != nullptr) napi_delete_reference(env_, turn_);
  if (flush_ != nullptr) napi_delete_reference(env_, flush_);
  if (context_ != nullptr) napi_async_destroy(env_, context_);
  turn_ = flush_ = nullptr;
  context_ = nullptr;
}

void LoopHook::RunTurns() {
  if (!started_ || running_) return;
  running_ = true;
  const uint64_t begun = uv_hrtime();
  for (int round = 0; round < kMostRounds && started_; ++round) {
    int count = 0;
    if (source_.poller != nullptr) {
      count = turn_first_ ? kUnharvested : source_.poller->Wait(0, source_.ring, source_.capacity);
      turn_first_ = false;
      if (count == 0) break;
    }
    if (!RunTurn(count) || source_.poller == nullptr) break;
    // With a single client ready, looking again is mostly in vain, and libuv tells of the next. A
    // way through the waiting thread would cost more than looking.
    if (thread_ == nullptr && (count == 1 || count == kUnharvested)) break;
    if (uv_hrtime() - begun > kMostNanoseconds) break;
  }
  running_ = false;
  if (started_) Changed();
}

// Promise jobs and process.nextTick callbacks run when the first call returns, so that what they
// answer is flushed with the rest.
bool LoopHook::RunTurn(int count) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return false;
  napi_value argument;
  bool done = napi_create_int32(env_, count, &argument) == napi_ok && Call(turn_, 1, &argument);
  // A process.nextTick callback that throws fails the call before it; what was answered still goes
  // out.
  int32_t answer = kFlushAgain;
  for (int i = 0; i < kMostFlushes && answer == kFlushAgain && !closed_; ++i) {
    if (Call(flush_, 0, nullptr, &answer)) continue;
    done = false;
    answer = kFlushAgain;
  }
  turn_first_ = answer == kTurnFirst;
  napi_close_handle_scope(env_, scope);
  return done;
}

bool LoopHook::Call(napi_ref function, size_t argc, const napi_value* argv, int32_t* answer) {
  napi_value callee;
  napi_value receiver;
  napi_value result;
  // The hook may have been closed by what the call before this one ran.
  if (closed_ || napi_get_reference_value(env_, function, &callee) != napi_ok ||
      napi_get_global(env_, &receiver) != napi_ok) {
    return false;
  }
  const napi_status status =
      napi_make_callback(env_, context_, receiver, callee, argc, argv, &result);
  if (status == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
      napi_fatal_exception(env_, error);
    }
  }
  if (status != napi_ok) return false;
  // Anything but a number is no answer.
  if (answer != nullptr && napi_get_value_int32(env_, result, answer) != napi_ok) *answer = 0;
  return true;
}

}  // namespace ryegate
