#include <fcntl.h>
#include <sys/select.h>

#include <algorithm>
#include <cerrno>

#include "poller.h"

namespace ryegate {

namespace {

struct Interest {
  fd_set read;
  fd_set write;
  int highest = -1;

  Interest() {
    FD_ZERO(&read);
    FD_ZERO(&write);
  }

  void Set(int fd, int events) {
    if (events & kReadable) FD_SET(fd, &read);
    if (events & kWritable) FD_SET(fd, &write);
    highest = std::max(highest, fd);
  }

  void Clear(int fd) {
    FD_CLR(fd, &read);
    FD_CLR(fd, &write);
    while (highest >= 0 && !Has(highest)) --highest;
  }

  bool Has(int fd) const { return FD_ISSET(fd, &read) || FD_ISSET(fd, &write); }
};

class SelectWatch final : public Watch {
 public:
  explicit SelectWatch(const Interest& interest) : interest_(interest) {}

  bool Block(int interrupt) override {
    Interest ready = interest_;
    ready.Set(interrupt, kReadable);
    const int count = select(ready.highest + 1, &ready.read, &ready.write, nullptr, nullptr);
    if (count < 0) return errno != EINTR;
    return count > (FD_ISSET(interrupt, &ready.read) ? 1 : 0);
  }

 private:
  Interest interest_;
};

class SelectPoller final : public Poller {
 public:
  int Open() override { return 0; }

  int Add(int fd, int events) override {
    if (!InRange(fd)) return -EINVAL;
    if (fcntl(fd, F_GETFD) < 0) return -errno;
    if (interest_.Has(fd)) return -EEXIST;
    interest_.Set(fd, events);
    return 0;
  }

  int Modify(int fd, int events) override {
    if (!InRange(fd)) return -ENOENT;
    if (fcntl(fd, F_GETFD) < 0) return -errno;
    if (!interest_.Has(fd)) return -ENOENT;
    interest_.Clear(fd);
    interest_.Set(fd, events);
    return 0;
  }

  int Remove(int fd) override {
    if (!InRange(fd) || !interest_.Has(fd)) return -ENOENT;
    interest_.Clear(fd);
    return 0;
  }

  int Wait(int timeout, int32_t* ring, int capacity) override {
    Interest ready;
    int left = Select(timeout, &ready);
    // Some were closed by others: those are never ready again, as with epoll.
    if (left == -EBADF && ForgetClosed()) left = Select(timeout, &ready);
    if (left < 0) return left == -EINTR ? 0 : left;
    int count = 0;
    const int span = ready.highest + 1;
    // Starting where the last harvest stopped keeps a small ring fair to the high descriptors.
    for (int seen = 0; seen < span && left > 0 && count < capacity; ++seen) {
      if (next_ >= span) next_ = 0;
      const int fd = next_++;
      const int mask = (FD_ISSET(fd, &ready.read) ? kReadable : 0) |
                       (FD_ISSET(fd, &ready.write) ? kWritable : 0);
      if (mask == 0) continue;
      left -= mask == (kReadable | kWritable) ? 2 : 1;
      *ring++ = fd;
      *ring++ = mask;
      ++count;
    }
    return count;
  }

  int highest() const override { return FD_SETSIZE - 1; }

  std::unique_ptr<Watch> MakeWatch() override { return std::make_unique<SelectWatch>(interest_); }

 private:
  int Select(int timeout, Interest* ready) const {
    *ready = interest_;
    struct timeval limit;
    limit.tv_sec = timeout / 1000;
    limit.tv_usec = static_cast<suseconds_t>(timeout % 1000) * 1000;
    const int count = select(ready->highest + 1, &ready->read, &ready->write, nullptr,
                             timeout < 0 ? nullptr : &limit);
    return count < 0 ? -errno : count;
  }

  bool ForgetClosed() {
    bool forgotten = false;
    for (int fd = interest_.highest; fd >= 0; --fd) {
      if (!interest_.Has(fd) || fcntl(fd, F_GETFD) >= 0) continue;
      interest_.Clear(fd);
      forgotten = true;
    }
    return forgotten;
  }

  static bool InRange(int fd) { return fd >= 0 && fd < FD_SETSIZE; }

  Interest interest_;
  int next_ = 0;
};

}  // namespace

std::unique_ptr<Poller> MakeSelectPoller() { return std::make_unique<SelectPoller>(); }

}  // namespace ryegate
