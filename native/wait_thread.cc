#include "wait_thread.h"

#include <cerrno>

namespace ryegate {

int WaitThread::Start(int highest) {
  const int failure = interrupt_.Open();
  if (failure != 0) return failure;
  if (interrupt_.reader() > highest) return -EMFILE;
  const auto run = [](void* self) -> void* {
    static_cast<WaitThread*>(self)->Run();
    return nullptr;
  };
  const int refused = pthread_create(&thread_, nullptr, run, this);
  running_ = refused == 0;
  return -refused;
}

void WaitThread::Stop() {
  if (!running_) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    quit_ = true;
  }
  changed_.notify_one();
  interrupt_.Wake();
  pthread_join(thread_, nullptr);
  running_ = false;
}

void WaitThread::Arm(std::unique_ptr<Watch> watch) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    next_ = std::move(watch);
    replaced_ = true;
  }
  changed_.notify_one();
  interrupt_.Wake();
}

void WaitThread::Disarm() { Arm(nullptr); }

void WaitThread::Run() {
  std::unique_ptr<Watch> watch;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this, &watch] { return quit_ || replaced_ || watch != nullptr; });
      if (quit_) return;
      if (replaced_) watch = std::move(next_);
      replaced_ = false;
      interrupt_.Drain();
    }
    if (watch == nullptr || !watch->Block(interrupt_.reader())) continue;
    watch.reset();
    ready_();
  }
}

}  // namespace ryegate
