// Waits for a poller that has no descriptor of its own, on a thread of its own.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "poller.h"
#include "waker.h"

namespace ryegate {

class WaitThread {
 public:
  // `ready` runs on the waiting thread, once for each Arm().
  explicit WaitThread(std::function<void()> ready) : ready_(std::move(ready)) {}
  ~WaitThread() { Stop(); }

  // 0 or a negative errno. `highest` is the highest descriptor that a watch can block on.
  int Start(int highest);
  void Stop();
  // Blocks on `watch` until it is ready; replaces the watch of an earlier call.
  void Arm(std::unique_ptr<Watch> watch);
  // Stops waiting; `ready` may still run once for what had been found before.
  void Disarm();

 private:
  void Run();

  std::function<void()> ready_;
  Waker interrupt_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Watch> next_;
  bool replaced_ = false;
  bool quit_ = false;
  // std::thread would need exceptions to say that it could not be started.
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace ryegate
