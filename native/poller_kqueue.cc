#include "poller.h"

#ifdef RYEGATE_HAVE_KQUEUE

#include <fcntl.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>

namespace ryegate {

namespace {

// kqueue has one filter for each direction, so a descriptor that is ready both ways takes two
// entries of the ring.
class KqueuePoller final : public Poller {
 public:
  ~KqueuePoller() override {
    if (kqueue_ >= 0) close(kqueue_);
  }

  int Open() override {
    kqueue_ = kqueue();
    if (kqueue_ < 0) return -errno;
    fcntl(kqueue_, F_SETFD, FD_CLOEXEC);
    return 0;
  }

  int Add(int fd, int events) override {
    const int failure = Change(fd, 0, events);
    if (failure == 0) watched_[fd] = events;
    return failure;
  }

  int Modify(int fd, int events) override {
    const auto found = watched_.find(fd);
    if (found == watched_.end()) return -ENOENT;
    const int failure = Change(fd, found->second, events);
    if (failure == 0) found->second = events;
    return failure;
  }

  int Remove(int fd) override {
    const auto found = watched_.find(fd);
    if (found == watched_.end()) return -ENOENT;
    const int events = found->second;
    watched_.erase(found);
    return Change(fd, events, 0);
  }

  int Wait(int timeout, int32_t* ring, int capacity) override {
    struct timespec limit;
    limit.tv_sec = timeout / 1000;
    limit.tv_nsec = static_cast<long>(timeout % 1000) * 1000000L;
    const int ready = kevent(kqueue_, nullptr, 0, events_, std::min(capacity, kBatch),
                             timeout < 0 ? nullptr : &limit);
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < ready; ++i) {
      *ring++ = static_cast<int32_t>(events_[i].ident);
      *ring++ = events_[i].filter == EVFILT_READ ? kReadable : kWritable;
    }
    return ready;
  }

  int fd() const override { return kqueue_; }

 private:
  static constexpr int kBatch = 1024;

  int Change(int fd, int before, int after) {
    const int read = ChangeFilter(fd, EVFILT_READ, before & kReadable, after & kReadable);
    const int write = ChangeFilter(fd, EVFILT_WRITE, before & kWritable, after & kWritable);
    if (read == 0 && write == 0) return 0;
    // A half-made change must not stay behind: the caller takes the descriptor as unwatched.
    if (after != 0) {
      ChangeFilter(fd, EVFILT_READ, 1, 0);
      ChangeFilter(fd, EVFILT_WRITE, 1, 0);
      watched_.erase(fd);
    }
    return read != 0 ? read : write;
  }

  int ChangeFilter(int fd, int16_t filter, int before, int after) {
    if ((before != 0) == (after != 0)) return 0;
    struct kevent change;
    EV_SET(&change, static_cast<uintptr_t>(fd), filter, after != 0 ? EV_ADD : EV_DELETE, 0, 0,
           nullptr);
    return kevent(kqueue_, &change, 1, nullptr, 0, nullptr) < 0 ? -errno : 0;
  }

  int kqueue_ = -1;
  std::unordered_map<int, int> watched_;
  struct kevent events_[kBatch];
};

}  // namespace

std::unique_ptr<Poller> MakeKqueuePoller() { return std::make_unique<KqueuePoller>(); }

}  // namespace ryegate

#endif  // RYEGATE_HAVE_KQUEUE
