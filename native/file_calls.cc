#include "file_calls.h"

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>

#include "arguments.h"
#include "environment.h"
#include "file_work.h"
#include "files.h"

namespace ryegate {

namespace {

using Napi::CallbackInfo;
using Napi::Value;

Value Opened(const CallbackInfo& info, int fd) {
  return Result(info, Environment::Of(info)->Own(fd));
}

Value OpenBeneathNow(const CallbackInfo& info) {
  const int root = IntArgument(info, 0);
  const std::string path = BytesArgument(info, 1);
  const bool wait = BoolArgument(info, 2);
  auto facts = Float64ArrayArgument(info, 3, kFacts);
  if (Refused(info)) return {};
  struct stat status {};
  const int fd = OpenBeneath(root, path, wait, &status);
  if (fd >= 0) WriteFacts(status, facts.Data());
  return Opened(info, fd);
}

Value OpenBeneathLater(const CallbackInfo& info) {
  const int root = IntArgument(info, 0);
  const std::string path = BytesArgument(info, 1);
  auto facts = Float64ArrayArgument(info, 2, kFacts);
  const auto callback = FunctionArgument(info, 3);
  if (Refused(info)) return {};
  const auto status = std::make_shared<struct stat>();
  double* const places = facts.Data();
  const auto environment = Environment::Of(info);
  QueueWork(
      callback, facts, [=] { return OpenBeneath(root, path, true, status.get()); },
      [=](int64_t fd) {
        if (environment->Own(static_cast<int>(fd)) >= 0) WriteFacts(*status, places);
      });
  return info.Env().Undefined();
}

Value OpenRoot(const CallbackInfo& info) {
  const std::string path = BytesArgument(info, 0);
  if (Refused(info)) return {};
  return Opened(info, OpenFolder(path));
}

Value LookBeneath(const CallbackInfo& info) {
  const int root = IntArgument(info, 0);
  const std::string path = BytesArgument(info, 1);
  auto facts = Float64ArrayArgument(info, 2, kFacts);
  if (Refused(info)) return {};
  struct stat status {};
  const int failure = StatBeneath(root, path, &status);
  if (failure == 0) WriteFacts(status, facts.Data());
  return Result(info, failure);
}

Value FileFacts(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  auto facts = Float64ArrayArgument(info, 1, kFacts);
  if (Refused(info)) return {};
  struct stat status {};
  double offset = -1;
  const int failure = StatFile(fd, &status, &offset);
  if (failure == 0) {
    WriteFacts(status, facts.Data());
    facts.Data()[kFactOffset] = offset;
  }
  return Result(info, failure);
}

Value FileStatus(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  auto facts = Float64ArrayArgument(info, 1, kFacts);
  if (Refused(info)) return {};
  struct stat status {};
  if (fstat(fd, &status) < 0) return Result(info, -errno);
  WriteFacts(status, facts.Data());
  return Result(info, 0);
}

Value ReadCached(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  auto buffer = Uint8ArrayArgument(info, 1);
  const int64_t position = Int64Argument(info, 2);
  if (Refused(info)) return {};
  return Result(info, ReadNow(fd, buffer.Data(), buffer.ByteLength(), position));
}

Value ReadLater(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  auto buffer = Uint8ArrayArgument(info, 1);
  const int64_t position = Int64Argument(info, 2);
  const auto callback = FunctionArgument(info, 3);
  if (Refused(info)) return {};
  uint8_t* const data = buffer.Data();
  const size_t size = buffer.ByteLength();
  QueueWork(callback, buffer, [=] { return ReadFully(fd, data, size, position); });
  return info.Env().Undefined();
}

Value ReadAheadLater(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const int64_t position = Int64Argument(info, 1);
  const int64_t count = Int64Argument(info, 2);
  const auto callback = FunctionArgument(info, 3);
  if (Refused(info)) return {};
  QueueWork(callback, {}, [=] { return ReadAhead(fd, position, count); });
  return info.Env().Undefined();
}

Value CopyRangeLater(const CallbackInfo& info) {
  const int from = IntArgument(info, 0);
  const int64_t from_position = Int64Argument(info, 1);
  const int to = IntArgument(info, 2);
  const int64_t to_position = Int64Argument(info, 3);
  const int64_t count = Int64Argument(info, 4);
  const auto callback = FunctionArgument(info, 5);
  if (Refused(info)) return {};
  QueueWork(callback, {}, [=] { return CopyRange(from, from_position, to, to_position, count); });
  return info.Env().Undefined();
}

Value Lock(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  if (Refused(info)) return {};
  return Result(info, LockFile(fd));
}

Value OpenNameless(const CallbackInfo& info) {
  const std::string folder = BytesArgument(info, 0);
  if (Refused(info)) return {};
  return Opened(info, OpenUnnamed(folder));
}

Value LinkNameless(const CallbackInfo& info) {
  const int fd = IntArgument(info, 0);
  const std::string path = BytesArgument(info, 1);
  if (Refused(info)) return {};
  return Result(info, LinkUnnamed(fd, path));
}

}  // namespace

void DefineFileCalls(Napi::Object exports) {
  Export<OpenBeneathNow>(exports, "openBeneath");
  Export<OpenBeneathLater>(exports, "openBeneathLater");
  Export<OpenRoot>(exports, "openFolder");
  Export<LookBeneath>(exports, "statBeneath");
  Export<FileFacts>(exports, "fileFacts");
  Export<FileStatus>(exports, "fileStatus");
  Export<ReadCached>(exports, "readNow");
  Export<ReadLater>(exports, "readLater");
  Export<ReadAheadLater>(exports, "readAhead");
  Export<CopyRangeLater>(exports, "copyRange");
  Export<Lock>(exports, "lockFile");
  Export<OpenNameless>(exports, "openUnnamed");
  Export<LinkNameless>(exports, "linkUnnamed");
}

}  // namespace ryegate
