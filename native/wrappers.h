// The addon's classes, as src/native.ts declares them.
#pragma once

#include <napi.h>

namespace ryegate {

// Adds Poller, Waker, LoopHook and SocketBatch to the exports.
void DefineClasses(Napi::Env env, Napi::Object exports);

// The waker's writing descriptor; -1, with a TypeError pending, when `value` is no Waker.
int WriterOf(const Napi::CallbackInfo& info, size_t index);

}  // namespace ryegate
