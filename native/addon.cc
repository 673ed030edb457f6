// The addon's entry: checks arguments and hands over.
#include <arpa/inet.h>
#include <fcntl.h>
#include <napi.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "arguments.h"
#include "control.h"
#include "environment.h"
#include "file_calls.h"
#include "handover.h"
#include "poller.h"
#include "process_calls.h"
#include "sockets.h"
#include "waker.h"
#include "wrappers.h"

namespace ryegate {

namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value Socket(const CallbackInfo& info) {
  const int family = IntArgument(info, 0);
  if (Refused(info)) return {};
  return Result(info, Environment::Of(info)->Own(OpenSocket(family)));
}

Value SetSocketOption(const CallbackInfo& info) {
  struct Known {
    const char* name;
    Option option;
  };
  constexpr Known kKnown[] = {
      {"reuseAddress", Option::kReuseAddress},
      {"reusePort", Option::kReusePort},
      {"ipv6Only", Option::kIpv6Only},
      {"noDelay", Option::kNoDelay},
  };
  const int fd = IntArgument(info, 0);
  const std::string name = StringArgument(info, 1);
  const int value = IntArgument(info, 2);
  if (Refused(info)) return {};
  for (const Known& known : kKnown) {
    if (name == known.name) return Result(info, SetOption(fd, known.option, value));
  }
  RefuseArgument(info, 1, "a socket option");
  return {};
}

Value Bind(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int family = IntArgument(info, 1);
  const std::string host = StringArgument(info, 2);
  const int port = IntArgument(info, 3);
  if (Refused(info)) return {};
  return Result(info, BindInet(fd, family, host, port));
}

Value BindToPath(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const std::string path = StringArgument(info, 1);
  const int mode = IntArgument(info, 2);
  if (Refused(info)) return {};
  return Result(info, BindPath(fd, path, mode));
}

Value Probe(const CallbackInfo& info) {
  const std::string path = StringArgument(info, 0);
  if (Refused(info)) return {};
  return Result(info, ProbePath(path));
}

// A call on one descriptor.
template <int (*call)(int)>
Value OnDescriptor(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  if (Refused(info)) return {};
  return Result(info, call(fd));
}

int ShutdownWriting(int fd) { return shutdown(fd, SHUT_WR) < 0 ? -errno : 0; }

Value Listen(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int backlog = IntArgument(info, 1);
  if (Refused(info)) return {};
  return Result(info, listen(fd, backlog) < 0 ? -errno : 0);
}

Value Adopt(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  if (Refused(info)) return {};
  const int family = AdoptListener(fd);
  if (family >= 0) Environment::Of(info)->Own(fd);
  return Result(info, family);
}

Value Close(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  if (Refused(info)) return {};
  return Result(info, Environment::Of(info)->Close(fd));
}

Value IsOpen(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  if (Refused(info)) return {};
  return Napi::Boolean::New(info.Env(), fcntl(fd, F_GETFD) >= 0);
}

Value AddressOf(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const bool peer = BoolArgument(info, 1);
  if (Refused(info)) return {};
  Address address;
  const int failure = GetAddress(fd, peer, &address);
  if (failure != 0) return Result(info, failure);
  const auto list = Napi::Array::New(info.Env(), 3);
  list.Set(0u, address.family);
  list.Set(1u, address.host);
  list.Set(2u, address.port);
  return list;
}

Value FormatIPv6(const CallbackInfo& info) {
  uint32_t words[4];
  for (size_t i = 0; i < 4; ++i) words[i] = static_cast<uint32_t>(IntArgument(info, i));
  if (Refused(info)) return {};
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, words, text, sizeof text);
  return Napi::String::New(info.Env(), text);
}

template <int (*make)(int[2])>
Value Pair(const CallbackInfo& info) {
  int ends[2];
  const int failure = make(ends);
  if (failure != 0) return Result(info, failure);
  const auto list = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; ++i) list.Set(i, Environment::Of(info)->Own(ends[i]));
  return list;
}

Value Attach(const CallbackInfo& info) {
  auto control = Int32ArrayArgument(info, 0, kControlWords);
  const Waker* waker = WakerArgument(info, 1);
  if (Refused(info) || waker == nullptr) return {};
  Environment::Of(info)->Attach(info.Env(), control, control.Data(), waker->writer());
  return info.Env().Undefined();
}

Value Detach(const CallbackInfo& info) {
  auto control = Int32ArrayArgument(info, 0, kControlWords);
  if (Refused(info)) return {};
  Environment::Of(info)->Detach(info.Env(), control.Data());
  return info.Env().Undefined();
}

Value Request(const CallbackInfo& info) {
  auto control = Int32ArrayArgument(info, 0, kControlWords);
  const int what = IntArgument(info, 1);
  if (Refused(info)) return {};
  return Napi::Number::New(info.Env(), ControlRequest(control.Data(), what));
}

Value Duplicate(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  if (Refused(info)) return {};
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return Result(info, Environment::Of(info)->Own(copy < 0 ? -errno : copy));
}

Handover HandoverArgument(const CallbackInfo& info) {
  auto words = Int32ArrayArgument(info, 0, kHandoverHead + 2);
  if (Refused(info)) return {};
  return {words.Data(), words.ElementLength()};
}

Value OpenHandover(const CallbackInfo& info) {
  const Handover handover = HandoverArgument(info);
  const Waker* waker = WakerArgument(info, 1);
  if (Refused(info) || waker == nullptr) return {};
  HandoverOpen(handover, *waker);
  return info.Env().Undefined();
}

Value CloseHandover(const CallbackInfo& info) {
  const Handover handover = HandoverArgument(info);
  if (Refused(info)) return {};
  HandoverClose(handover);
  return info.Env().Undefined();
}

Value Put(const CallbackInfo& info) {
  const Handover handover = HandoverArgument(info);
  const int fd = IntArgument(info, 1);
  const int stamp = IntArgument(info, 2);
  if (Refused(info)) return {};
  const int failure = HandoverPut(handover, fd, stamp);
  if (failure == 0) Environment::Of(info)->Disown(fd);
  return Result(info, failure);
}

Value Take(const CallbackInfo& info) {
  const Handover handover = HandoverArgument(info);
  const int newest = IntArgument(info, 1);
  if (Refused(info)) return {};
  return Result(info, Environment::Of(info)->Own(HandoverTake(handover, newest)));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  const auto environment = new Environment();
  env.SetInstanceData(environment);
  env.AddCleanupHook([environment] { environment->DetachAll(); });
  DefineClasses(env, exports);
  const std::vector<std::string> names = PollerNames();
  const auto backends = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) backends.Set(i, names[i]);
  exports.Set("backends", backends);
  exports.Set("AF_INET", AF_INET);
  exports.Set("AF_INET6", AF_INET6);
  exports.Set("AF_UNIX", AF_UNIX);
  Export<Socket>(exports, "socket");
  Export<SetSocketOption>(exports, "setOption");
  Export<Bind>(exports, "bind");
  Export<BindToPath>(exports, "bindPath");
  Export<Probe>(exports, "probePath");
  Export<Listen>(exports, "listen");
  Export<Adopt>(exports, "adopt");
  Export<AddressOf>(exports, "address");
  Export<FormatIPv6>(exports, "formatIPv6");
  Export<OnDescriptor<ShutdownWriting>>(exports, "shutdown");
  Export<OnDescriptor<GetSocketError>>(exports, "socketError");
  Export<OnDescriptor<GetPeerState>>(exports, "peerState");
  Export<OnDescriptor<Finish>>(exports, "finish");
  Export<OnDescriptor<GetUnread>>(exports, "unread");
  Export<OnDescriptor<GetUnacknowledged>>(exports, "unacknowledged");
  Export<OnDescriptor<ResetOnClose>>(exports, "resetOnClose");
  Export<Close>(exports, "close");
  Export<IsOpen>(exports, "isOpen");
  Export<Pair<MakePipe>>(exports, "pipe");
  Export<Pair<MakeSocketPair>>(exports, "socketPair");
  Export<Attach>(exports, "controlAttach");
  Export<Detach>(exports, "controlDetach");
  Export<Request>(exports, "controlRequest");
  Export<Duplicate>(exports, "duplicate");
  Export<OpenHandover>(exports, "handoverOpen");
  Export<CloseHandover>(exports, "handoverClose");
  Export<Put>(exports, "handoverPut");
  Export<Take>(exports, "handoverTake");
  DefineFileCalls(exports);
  DefineProcessCalls(exports);
  return exports;
}

}  // namespace

}  // namespace ryegate

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return ryegate::Init(env, exports);
}

NODE_API_MODULE(ryegate, InitAddon)
