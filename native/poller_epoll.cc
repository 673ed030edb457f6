#include "poller.h"

#ifdef RYEGATE_HAVE_EPOLL

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ryegate {

namespace {

constexpr uint32_t kReadBits = EPOLLIN;
constexpr uint32_t kWriteBits = EPOLLOUT;
constexpr uint32_t kBehindBits = EPOLLRDHUP | EPOLLPRI;

class EpollPoller final : public Poller {
 public:
  ~EpollPoller() override {
    if (epoll_ >= 0) close(epoll_);
  }

  int Open() override {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    return epoll_ < 0 ? -errno : 0;
  }

  int Add(int fd, int events) override { return Control(EPOLL_CTL_ADD, fd, events); }
  int Modify(int fd, int events) override { return Control(EPOLL_CTL_MOD, fd, events); }
  int Remove(int fd) override { return Control(EPOLL_CTL_DEL, fd, 0); }

  int Wait(int timeout, int32_t* ring, int capacity) override {
    const int ready = epoll_wait(epoll_, events_, std::min(capacity, kBatch), timeout);
    if (ready < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < ready; ++i) {
      const uint32_t bits = events_[i].events;
      int mask = 0;
      if (bits & ~kWriteBits) mask |= kReadable;
      if (bits & ~(kReadBits | kBehindBits)) mask |= kWritable;
      if (bits & kBehindBits) mask |= kBehind;
      *ring++ = events_[i].data.fd;
      *ring++ = mask;
    }
    return ready;
  }

  int fd() const override { return epoll_; }

 private:
  static constexpr int kBatch = 1024;

  int Control(int operation, int fd, int events) {
    epoll_event event{};
    if (events & kReadable) event.events |= kReadBits;
    if (events & kWritable) event.events |= kWriteBits;
    if (events & kEdge) event.events |= EPOLLET | kBehindBits;
    event.data.fd = fd;
    return epoll_ctl(epoll_, operation, fd, &event) < 0 ? -errno : 0;
  }

  int epoll_ = -1;
  epoll_event events_[kBatch];
};

}  // namespace

std::unique_ptr<Poller> MakeEpollPoller() { return std::make_unique<EpollPoller>(); }

}  // namespace ryegate

#endif  // RYEGATE_HAVE_EPOLL
