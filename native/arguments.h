// What the addon's functions share: argument checks, results, exports. A failed check leaves a
// TypeError pending and returns a neutral value; callers test Refused() once, before they act.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

namespace ryegate {

inline void RefuseArgument(const Napi::CallbackInfo& info, size_t index, const char* expected) {
  if (info.Env().IsExceptionPending()) return;
  Napi::TypeError::New(info.Env(),
                       "Expected argument " + std::to_string(index + 1) + " to be " + expected)
      .ThrowAsJavaScriptException();
}

inline bool Refused(const Napi::CallbackInfo& info) { return info.Env().IsExceptionPending(); }

// A number for a result or a negative errno.
template <typename Number>
Napi::Value Result(const Napi::CallbackInfo& info, Number result) {
  return Napi::Number::New(info.Env(), static_cast<double>(result));
}

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void Export(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(exports.Env(), name));
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

// The bytes of a path, each a character up to U+00FF.
inline std::string BytesArgument(const Napi::CallbackInfo& info, size_t index) {
  std::string bytes;
  if (info[index].IsString()) {
    const std::u16string text = info[index].As<Napi::String>().Utf16Value();
    for (const char16_t unit : text) {
      if (unit > 0xff) break;
      bytes.push_back(static_cast<char>(unit));
    }
    if (bytes.size() == text.size()) return bytes;
  }
  RefuseArgument(info, index, "a string of characters up to U+00FF");
  return {};
}

inline int64_t Int64Argument(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsNumber()) return info[index].As<Napi::Number>().Int64Value();
  RefuseArgument(info, index, "a number");
  return -1;
}

inline Napi::Function FunctionArgument(const Napi::CallbackInfo& info, size_t index) {
  if (info[index].IsFunction()) return info[index].As<Napi::Function>();
  RefuseArgument(info, index, "a function");
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

inline Napi::Float64Array Float64ArrayArgument(const Napi::CallbackInfo& info, size_t index,
                                               size_t least) {
  if (IsTyped(info[index], napi_float64_array)) {
    const auto array = info[index].As<Napi::Float64Array>();
    if (array.ElementLength() >= least) return array;
  }
  RefuseArgument(info, index, "a Float64Array of enough elements");
  return {};
}

inline Napi::Uint8Array Uint8ArrayArgument(const Napi::CallbackInfo& info, size_t index) {
  if (IsTyped(info[index], napi_uint8_array)) return info[index].As<Napi::Uint8Array>();
  RefuseArgument(info, index, "a Uint8Array");
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
