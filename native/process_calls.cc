#include "process_calls.h"

#include <cerrno>
#include <cstdint>
#include <string>

#include "arguments.h"
#include "processes.h"
#include "sockets.h"

namespace ryegate {

namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value NotifySocket(const CallbackInfo& info) {
  const std::string path = StringArgument(info, 0);
  const std::string text = StringArgument(info, 1);
  if (Refused(info)) return {};
  return Result(info, SendDatagram(path, text));
}

Value Reap(const CallbackInfo& info) {
  const int pid = IntArgument(info, 0);
  if (Refused(info)) return {};
  return Result(info, ReapChild(pid));
}

Value Subreaper(const CallbackInfo& info) { return Result(info, BecomeSubreaper()); }

int FindAccount(const CallbackInfo& info,
                int (*find)(const std::string& name, uint32_t id, Account* account),
                Account* account) {
  if (info[0].IsNumber()) {
    const int64_t id = info[0].As<Napi::Number>().Int64Value();
    return id < 0 || id > UINT32_MAX ? -EINVAL : find("", static_cast<uint32_t>(id), account);
  }
  if (!info[0].IsString()) {
    RefuseArgument(info, 0, "a name or a number");
    return 0;
  }
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const bool nameless = name.empty() || name.find('\0') != std::string::npos;
  return nameless ? -ENOENT : find(name, 0, account);
}

Value User(const CallbackInfo& info) {
  Account account;
  const int failure = FindAccount(info, FindUser, &account);
  if (Refused(info)) return {};
  if (failure != 0) return Result(info, failure);
  const auto list = Napi::Array::New(info.Env(), 3);
  list.Set(0u, account.name);
  list.Set(1u, account.id);
  list.Set(2u, account.group);
  return list;
}

Value Group(const CallbackInfo& info) {
  Account account;
  const int failure = FindAccount(info, FindGroup, &account);
  if (Refused(info)) return {};
  if (failure != 0) return Result(info, failure);
  const auto list = Napi::Array::New(info.Env(), 2);
  list.Set(0u, account.name);
  list.Set(1u, account.id);
  return list;
}

}  // namespace

void DefineProcessCalls(Napi::Object exports) {
  Export<NotifySocket>(exports, "notify");
  Export<Reap>(exports, "reap");
  Export<Subreaper>(exports, "becomeSubreaper");
  Export<User>(exports, "findUser");
  Export<Group>(exports, "findGroup");
}

}  // namespace ryegate
