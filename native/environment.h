// The state of one environment (the main thread's or a worker's).
#pragma once

#include <napi.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace ryegate {

// The descriptors that an environment has opened and not yet closed. A worker thread can be
// terminated at any moment; what it leaves open is closed here.
class Environment {
 public:
  ~Environment() {
    for (size_t fd = 0; fd < open_.size(); ++fd) {
      if (open_[fd]) close(static_cast<int>(fd));
    }
  }

  static Environment* Of(const Napi::CallbackInfo& info) {
    return info.Env().GetInstanceData<Environment>();
  }

  // Passes a new descriptor, or a negative errno, through.
  int Own(int fd) {
    if (fd < 0) return fd;
    const auto place = static_cast<size_t>(fd);
    if (place >= open_.size()) open_.resize(place + 64);
    open_[place] = true;
    return fd;
  }

  int Close(int fd) {
    const auto place = static_cast<size_t>(fd);
    if (fd >= 0 && place < open_.size()) open_[place] = false;
    return close(fd) < 0 ? -errno : 0;
  }

 private:
  std::vector<bool> open_;
};

}  // namespace ryegate
