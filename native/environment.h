// The state of one environment (the main thread's or a worker's).
#pragma once

#include <napi.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "control.h"

namespace ryegate {

// A worker thread can be terminated at any moment. What it leaves behind is taken care of here: the
// descriptors that it has not closed, and the control blocks by which others would reach it.
class Environment {
 public:
  ~Environment() {
    for (size_t fd = 0; fd < open_.size(); ++fd) {
      if (open_[fd]) close(static_cast<int>(fd));
    }
  }

  // To be called before the environment's objects are finalized, for that closes its wakers.
  void DetachAll() {
    for (const Attached& attached : attached_) {
      ControlDetach(attached.control);
      napi_delete_reference(attached.env, attached.reference);
    }
    attached_.clear();
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

  // The descriptor becomes somebody else's.
  void Disown(int fd) {
    const auto place = static_cast<size_t>(fd);
    if (fd >= 0 && place < open_.size()) open_[place] = false;
  }

  int Close(int fd) {
    Disown(fd);
    return close(fd) < 0 ? -errno : 0;
  }

  // The array is kept alive for as long as it is attached.
  void Attach(Napi::Env env, const Napi::Int32Array& array, int32_t* control, int writer) {
    Detach(env, control);
    Attached attached{env, control, nullptr};
    if (napi_create_reference(env, array, 1, &attached.reference) != napi_ok) return;
    attached_.push_back(attached);
    ControlAttach(control, writer);
  }

  void Detach(Napi::Env env, int32_t* control) {
    ControlDetach(control);
    const auto found =
        std::find_if(attached_.begin(), attached_.end(),
                     [control](const Attached& attached) { return attached.control == control; });
    if (found == attached_.end()) return;
    napi_delete_reference(env, found->reference);
    attached_.erase(found);
  }

 private:
  struct Attached {
    napi_env env;
    int32_t* control;
    napi_ref reference;
  };

  std::vector<bool> open_;
  std::vector<Attached> attached_;
};

}  // namespace ryegate
