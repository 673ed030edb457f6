#include "wrappers.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "arguments.h"
#include "environment.h"
#include "loop_hook.h"
#include "poller.h"
#include "socket_batch.h"
#include "waker.h"

namespace ryegate {

namespace {

constexpr napi_type_tag kPollerTag = {0x5279656761746550, 0x6f6c6c6572000001};
constexpr napi_type_tag kWakerTag = {0x5279656761746557, 0x616b657200000001};

using Napi::CallbackInfo;

class PollerWrap : public Napi::ObjectWrap<PollerWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Poller",
                       {
                           InstanceMethod<&PollerWrap::Add>("add"),
                           InstanceMethod<&PollerWrap::Modify>("modify"),
                           InstanceMethod<&PollerWrap::Remove>("remove"),
                           InstanceMethod<&PollerWrap::Wait>("wait"),
                           InstanceMethod<&PollerWrap::Fileno>("fileno"),
                           InstanceMethod<&PollerWrap::Close>("close"),
                       });
  }

  explicit PollerWrap(const CallbackInfo& info) : Napi::ObjectWrap<PollerWrap>(info) {
    // In a worker that is being terminated nothing would ever delete what could not be wrapped.
    if (!IsEmpty()) Open(info);
  }

  void Open(const CallbackInfo& info) {
    info.This().As<Napi::Object>().TypeTag(&kPollerTag);
    const std::string name = StringArgument(info, 0);
    auto ring = Int32ArrayArgument(info, 1, kReadyWords);
    if (info.Env().IsExceptionPending()) return;
    poller_ = MakePoller(name);
    if (poller_ == nullptr) return RefuseArgument(info, 0, "a backend of this build");
    const int failure = poller_->Open();
    if (failure != 0) {
      poller_.reset();
      return ThrowSystemError(info.Env(), failure, name.c_str());
    }
    Retain(info.This().As<Napi::Object>(), ring);
    ring_ = ring.Data();
    capacity_ = static_cast<int>(ring.ElementLength() / kReadyWords);
  }

  static PollerWrap* From(const Napi::Value& value) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kPollerTag)) return nullptr;
    return Unwrap(value.As<Napi::Object>());
  }

  LoopHook::Source AsSource() const { return {poller_.get(), ring_, capacity_, -1}; }
  bool open() const { return poller_ != nullptr; }
  void set_hook(LoopHook* hook) { hook_ = hook; }

 private:
  Napi::Value Add(const CallbackInfo& info) { return Change(info, &Poller::Add); }
  Napi::Value Modify(const CallbackInfo& info) { return Change(info, &Poller::Modify); }

  Napi::Value Change(const CallbackInfo& info, int (Poller::*change)(int, int)) {
    const int fd = IntArgument(info, 0);
    const int events = IntArgument(info, 1);
    if (info.Env().IsExceptionPending()) return {};
    return Changed(info, poller_ == nullptr ? -EBADF : (poller_.get()->*change)(fd, events));
  }

  Napi::Value Remove(const CallbackInfo& info) {
    const int fd = IntArgument(info, 0);
    if (info.Env().IsExceptionPending()) return {};
    return Changed(info, poller_ == nullptr ? -EBADF : poller_->Remove(fd));
  }

  Napi::Value Changed(const CallbackInfo& info, int result) {
    if (hook_ != nullptr) hook_->Changed();
    return Napi::Number::New(info.Env(), result);
  }

  Napi::Value Wait(const CallbackInfo& info) {
    const int timeout = IntArgument(info, 0);
    if (info.Env().IsExceptionPending()) return {};
    const int count = poller_ == nullptr ? -EBADF : poller_->Wait(timeout, ring_, capacity_);
    return Napi::Number::New(info.Env(), count);
  }

  Napi::Value Fileno(const CallbackInfo& info) {
    return Napi::Number::New(info.Env(), poller_ == nullptr ? -1 : poller_->fd());
  }

  void Close(const CallbackInfo& info) {
    if (hook_ != nullptr) {
      Napi::Error::New(info.Env(), "the poller's LoopHook must be closed first")
          .ThrowAsJavaScriptException();
      return;
    }
    poller_.reset();
  }

  std::unique_ptr<Poller> poller_;
  LoopHook* hook_ = nullptr;
  int32_t* ring_ = nullptr;
  int capacity_ = 0;
};

class WakerWrap : public Napi::ObjectWrap<WakerWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Waker",
                       {
                           InstanceMethod<&WakerWrap::Fileno>("fileno"),
                           InstanceMethod<&WakerWrap::Wake>("wake"),
                           InstanceMethod<&WakerWrap::Drain>("drain"),
                           InstanceMethod<&WakerWrap::Close>("close"),
                       });
  }

  explicit WakerWrap(const CallbackInfo& info) : Napi::ObjectWrap<WakerWrap>(info) {
    if (IsEmpty()) return;
    info.This().As<Napi::Object>().TypeTag(&kWakerTag);
    const int failure = waker_.Open();
    if (failure != 0) ThrowSystemError(info.Env(), failure, "eventfd");
  }

  static WakerWrap* From(const Napi::Value& value) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kWakerTag)) return nullptr;
    return Unwrap(value.As<Napi::Object>());
  }

  const Waker& waker() const { return waker_; }

 private:
  Napi::Value Fileno(const CallbackInfo& info) {
    return Napi::Number::New(info.Env(), waker_.reader());
  }
  void Wake(const CallbackInfo&) { waker_.Wake(); }
  void Drain(const CallbackInfo&) { waker_.Drain(); }
  void Close(const CallbackInfo&) { waker_.Close(); }

  Waker waker_;
};

class LoopHookWrap : public Napi::ObjectWrap<LoopHookWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "LoopHook",
                       {
                           InstanceMethod<&LoopHookWrap::Start>("start"),
                           InstanceMethod<&LoopHookWrap::Stop>("stop"),
                           InstanceMethod<&LoopHookWrap::Close>("close"),
                       });
  }

  explicit LoopHookWrap(const CallbackInfo& info) : Napi::ObjectWrap<LoopHookWrap>(info) {
    if (!IsEmpty()) Open(info);
  }

  void Open(const CallbackInfo& info) {
    LoopHook::Source source;
    poller_ = PollerWrap::From(info[0]);
    if (poller_ != nullptr && poller_->open()) {
      source = poller_->AsSource();
    } else if (info[0].IsNumber()) {
      source.fd = IntArgument(info, 0);
    } else {
      return RefuseArgument(info, 0, "an open Poller or a descriptor");
    }
    if (!info[1].IsFunction()) return RefuseArgument(info, 1, "a function");
    if (!info[2].IsFunction()) return RefuseArgument(info, 2, "a function");
    int failure = 0;
    hook_ = LoopHook::Make(info.Env(), source, info[1], info[2], &failure);
    if (hook_ == nullptr) return ThrowSystemError(info.Env(), failure, "uv_poll");
    Retain(info.This().As<Napi::Object>(), info[0]);
    if (poller_ != nullptr) poller_->set_hook(hook_);
    // While libuv uses the poller neither may be collected.
    Ref();
  }

 private:
  Napi::Value Start(const CallbackInfo& info) {
    return Napi::Number::New(info.Env(), hook_ == nullptr ? -EBADF : hook_->Start());
  }

  void Stop(const CallbackInfo&) {
    if (hook_ != nullptr) hook_->Stop();
  }

  void Close(const CallbackInfo&) {
    if (hook_ == nullptr) return;
    if (poller_ != nullptr) poller_->set_hook(nullptr);
    hook_->Close();
    hook_ = nullptr;
    Unref();
  }

  // Not owned: an environment that ends closes its hooks before it finalizes its objects.
  LoopHook* hook_ = nullptr;
  PollerWrap* poller_ = nullptr;
};

class SocketBatchWrap : public Napi::ObjectWrap<SocketBatchWrap> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "SocketBatch",
                       {
                           InstanceMethod<&SocketBatchWrap::AcceptMany>("acceptMany"),
                           InstanceMethod<&SocketBatchWrap::ReceiveMany>("receiveMany"),
                           InstanceMethod<&SocketBatchWrap::SendMany>("sendMany"),
                           InstanceMethod<&SocketBatchWrap::Totals>("totals"),
                       });
  }

  explicit SocketBatchWrap(const CallbackInfo& info) : Napi::ObjectWrap<SocketBatchWrap>(info) {
    Open(info);
  }

  void Open(const CallbackInfo& info) {
    if (!info[0].IsObject()) return RefuseArgument(info, 0, "an object of slabs");
    const auto slabs = info[0].As<Napi::Object>();
    const Span input = SpanOf(slabs.Get("input"));
    const Span output = SpanOf(slabs.Get("output"));
    const Ring receives = RingOf(slabs.Get("receives"));
    const Ring sends = RingOf(slabs.Get("sends"));
    const Ring accepts = RingOf(slabs.Get("accepts"));
    if (input.data == nullptr || output.data == nullptr || receives.words == nullptr ||
        sends.words == nullptr || accepts.words == nullptr) {
      return RefuseArgument(info, 0, "an object of slabs");
    }
    Retain(info.This().As<Napi::Object>(), slabs);
    batch_ = std::make_unique<SocketBatch>(input, output, receives, sends, accepts);
    accepts_ = reinterpret_cast<const Accept*>(accepts.words);
  }

  static Span SpanOf(const Napi::Value& value) {
    if (!IsTyped(value, napi_uint8_array)) return {};
    auto array = value.As<Napi::Uint8Array>();
    return {array.Data(), array.ByteLength()};
  }

 private:
  static Ring RingOf(const Napi::Value& value) {
    if (!IsTyped(value, napi_int32_array)) return {};
    auto array = value.As<Napi::Int32Array>();
    return {array.Data(), array.ElementLength()};
  }

  size_t Count(const CallbackInfo& info, size_t index) {
    const int count = IntArgument(info, index);
    return batch_ == nullptr || count < 0 ? 0 : static_cast<size_t>(count);
  }

  Napi::Value AcceptMany(const CallbackInfo& info) {
    const int listener = IntArgument(info, 0);
    const size_t max = Count(info, 1);
    if (info.Env().IsExceptionPending() || batch_ == nullptr) return {};
    const int accepted = batch_->AcceptMany(listener, max);
    for (int i = 0; i < accepted; ++i) Environment::Of(info)->Own(accepts_[i].fd);
    return Napi::Number::New(info.Env(), accepted);
  }

  Napi::Value ReceiveMany(const CallbackInfo& info) {
    const size_t count = Count(info, 0);
    if (info.Env().IsExceptionPending() || batch_ == nullptr) return {};
    return Napi::Number::New(info.Env(), batch_->ReceiveMany(count));
  }

  Napi::Value SendMany(const CallbackInfo& info) {
    const size_t count = Count(info, 0);
    if (info.Env().IsExceptionPending() || batch_ == nullptr) return {};
    externals_.clear();
    if (info[1].IsArray()) {
      const auto list = info[1].As<Napi::Array>();
      for (uint32_t i = 0; i < list.Length(); ++i) {
        const Span span = SpanOf(list.Get(i));
        if (!IsTyped(list.Get(i), napi_uint8_array)) {
          RefuseArgument(info, 1, "an array of Uint8Array");
          return {};
        }
        // One that has been transferred away has no bytes: its run fails, and no other.
        externals_.push_back(span);
      }
    }
    batch_->SendMany(count, externals_);
    return info.Env().Undefined();
  }

  Napi::Value Totals(const CallbackInfo& info) {
    if (batch_ == nullptr) return {};
    const auto list = Napi::Array::New(info.Env(), 2);
    list.Set(0u, static_cast<double>(batch_->received()));
    list.Set(1u, static_cast<double>(batch_->sent()));
    return list;
  }

  std::unique_ptr<SocketBatch> batch_;
  const Accept* accepts_ = nullptr;
  std::vector<Span> externals_;
};

}  // namespace

const Waker* WakerArgument(const CallbackInfo& info, size_t index) {
  const WakerWrap* waker = WakerWrap::From(info[index]);
  if (waker != nullptr) return &waker->waker();
  RefuseArgument(info, index, "a Waker");
  return nullptr;
}

void DefineClasses(Napi::Env env, Napi::Object exports) {
  exports.Set("Poller", PollerWrap::Define(env));
  exports.Set("Waker", WakerWrap::Define(env));
  exports.Set("LoopHook", LoopHookWrap::Define(env));
  exports.Set("SocketBatch", SocketBatchWrap::Define(env));
}

}  // namespace ryegate
