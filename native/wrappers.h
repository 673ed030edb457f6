// The addon's classes, as src/native.ts declares them.
#pragma once

#include <napi.h>

namespace ryegate {

class Waker;

// Adds Poller, Waker, LoopHook and SocketBatch to the exports.
void DefineClasses(Napi::Env env, Napi::Object exports);

// nullptr when the argument is no Waker, with a TypeError pending; without one in a worker that is
// being terminated, where no tag can be read and nothing can be thrown.
const Waker* WakerArgument(const Napi::CallbackInfo& info, size_t index);

}  // namespace ryegate
