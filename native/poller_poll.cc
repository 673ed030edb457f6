#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

#include "poller.h"

namespace ryegate {

namespace {

short PollBits(int events) {
  int bits = 0;
  if (events & kReadable) bits |= POLLIN;
  if (events & kWritable) bits |= POLLOUT;
  return static_cast<short>(bits);
}

class PollWatch final : public Watch {
 public:
  explicit PollWatch(const std::vector<pollfd>& watched) : watched_(watched) {}

  bool Block(int interrupt) override {
    watched_.push_back({interrupt, POLLIN, 0});
    const int ready = poll(watched_.data(), watched_.size(), -1);
    const bool interrupted = watched_.back().revents != 0;
    watched_.pop_back();
    if (ready < 0) return errno != EINTR;
    return ready > (interrupted ? 1 : 0);
  }

 private:
  std::vector<pollfd> watched_;
};

class PollPoller final : public Poller {
 public:
  int Open() override { return 0; }

  int Add(int fd, int events) override {
    // The others are told by the kernel.
    if (fcntl(fd, F_GETFD) < 0) return -errno;
    if (!places_.emplace(fd, watched_.size()).second) return -EEXIST;
    watched_.push_back({fd, PollBits(events), 0});
    return 0;
  }

  int Modify(int fd, int events) override {
    const auto found = places_.find(fd);
    if (found == places_.end()) return -ENOENT;
    if (fcntl(fd, F_GETFD) < 0) return -errno;
    pollfd& entry = watched_[found->second];
    if (entry.fd != fd) return -ENOENT;
    entry.events = PollBits(events);
    return 0;
  }

  int Remove(int fd) override {
    const auto found = places_.find(fd);
    if (found == places_.end()) return -ENOENT;
    const size_t place = found->second;
    places_.erase(found);
    if (place + 1 != watched_.size()) {
      watched_[place] = watched_.back();
      const int moved = watched_[place].fd;
      places_[moved < 0 ? ~moved : moved] = place;
    }
    watched_.pop_back();
    return 0;
  }

  int Wait(int timeout, int32_t* ring, int capacity) override {
    for (;;) {
      const int ready = poll(watched_.data(), watched_.size(), timeout);
      if (ready < 0) return errno == EINTR ? 0 : -errno;
      const int count = Collect(ready, ring, capacity);
      if (count > 0 || ready == 0) return count;
    }
  }

  std::unique_ptr<Watch> MakeWatch() override { return std::make_unique<PollWatch>(watched_); }

 private:
  int Collect(int ready, int32_t* ring, int capacity) {
    int count = 0;
    // Starting where the last harvest stopped keeps a small ring fair to the descriptors at the
    // end.
    for (size_t seen = 0; seen < watched_.size() && ready > 0 && count < capacity; ++seen) {
      if (next_ >= watched_.size()) next_ = 0;
      pollfd& entry = watched_[next_++];
      if (entry.revents == 0) continue;
      --ready;
      if (entry.revents & POLLNVAL) {
        // Closed by others: never ready again, as with epoll. poll(2) skips negative numbers.
        entry.fd = ~entry.fd;
        continue;
      }
      int mask = 0;
      if (entry.revents & ~POLLOUT) mask |= kReadable;
      if (entry.revents & ~POLLIN) mask |= kWritable;
      *ring++ = entry.fd;
      *ring++ = mask;
      ++count;
    }
    return count;
  }

  std::vector<pollfd> watched_;
  std::unordered_map<int, size_t> places_;
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Poller> MakePollPoller() { return std::make_unique<PollPoller>(); }

}  // namespace ryegate
