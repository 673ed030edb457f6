// Argument checks shared by the addon's functions. A failed check leaves a TypeError pending and
// returns a neutral value; callers test IsExceptionPending() once, before they act.
#pragma once

#include <napi.h>

#include <string>

namespace ryegate {

inline void RefuseArgument(const Napi::CallbackInfo& info, size_t index, const char* expected) {
  if (info.Env().IsExceptionPending()) return;
  Napi::TypeError::New(info.Env(),
                       "Expected argument " + std::to_string(index + 1) + " to be " + expected)
      .ThrowAsJavaScriptException();
}

inline int IntArgument(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsNumber()) return info[index].As<Napi::Number>().Int32Value();
  RefuseArgument(info, index, "a number");
  return -1;
}

// Nothing is coerced: that is refused in a worker that is being terminated.
inline bool BoolArgument(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsBoolean()) return info[index].As<Napi::Boolean>().Value();
  RefuseArgument(info, index, "a boolean");
  return false;
}

inline std::string StringArgument(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsString()) return info[index].As<Napi::String>().Utf8Value();
  RefuseArgument(info, index, "a string");
  return {};
}

inline bool IsTyped(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

inline Napi::Int32Array Int32ArrayArgument(const Napi::CallbackInfo& info, size_t index,
                                           size_t least) {
  if (IsTyped(info[index], napi_int32_array)) {
    const auto array = info[index].As<Napi::Int32Array>();
    if (array.ElementLength() >= least) return array;
  }
  RefuseArgument(info, index, "an Int32Array of enough elements");
  return {};
}

// Ties the memory that native code points into to the life of the object that points.
inline void Retain(const Napi::Object& owner, const Napi::Value& memory) {
  owner.DefineProperty(Napi::PropertyDescriptor::Value("memory", memory, napi_default));
}

inline void ThrowSystemError(Napi::Env env, int failure, const char* syscall) {
  const Napi::Error error = Napi::Error::New(env, syscall);
  error.Set("errno", Napi::Number::New(env, failure));
  error.Set("syscall", Napi::String::New(env, syscall));
  error.ThrowAsJavaScriptException();
}

}  // namespace ryegate
