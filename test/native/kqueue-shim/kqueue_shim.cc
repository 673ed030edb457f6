// kqueue() and kevent() over epoll, so that the kqueue backend runs in the tests on Linux.
//
// The queue's descriptor is the epoll descriptor itself, so it can be polled and closed like a real
// one. Where this differs from a BSD:
// - fflags of an EV_EOF entry stays 0. kqueue puts the socket's error there and leaves it pending;
//   reading SO_ERROR on Linux would take it away from the caller's next recv().
// - A descriptor that was closed while a duplicate of it lives goes on being reported (epoll's
//   registration belongs to the open file).
// - kevent() may return 0 before its timeout when another thread changed the queue meanwhile.
// - Only the level-triggered EVFILT_READ and EVFILT_WRITE exist; other filters and EV_ONESHOT or
//   EV_CLEAR are refused with EINVAL.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

namespace {

constexpr uint16_t kKnownFlags = EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE | EV_RECEIPT;

struct Filter {
  bool added = false;
  bool enabled = false;
  void* udata = nullptr;
};

struct Watch {
  Filter read;
  Filter write;
  // Which filter fills the last free entry: alternates, so that neither starves the other.
  bool write_first = false;

  bool Empty() const { return !read.added && !write.added; }
  uint32_t Mask() const {
    return (read.added && read.enabled ? EPOLLIN | EPOLLRDHUP : 0U) |
           (write.added && write.enabled ? EPOLLOUT : 0U);
  }
};

// Always readable: while it is in an epoll set, that set is ready because of a file. One for the
// process, because nothing tells when a queue is closed.
int Beacon() {
  static const int beacon = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  return beacon;
}

// At the end of a regular file kqueue does not report EVFILT_READ.
intptr_t FileBytesLeft(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return 0;
  if (!S_ISREG(status.st_mode)) return 1;
  return static_cast<intptr_t>(status.st_size - lseek(fd, 0, SEEK_CUR));
}

intptr_t ReadableBytes(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

int Milliseconds(const struct timespec* timeout) {
  if (timeout == nullptr) return -1;
  const int64_t rounded_up =
      static_cast<int64_t>(timeout->tv_sec) * 1000 + (timeout->tv_nsec + 999999) / 1000000;
  return static_cast<int>(std::min<int64_t>(rounded_up, INT_MAX));
}

class Queue {
 public:
  explicit Queue(int epoll) : epoll_(epoll) {}

  // Returns 0 or an errno.
  int Change(const struct kevent& change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const int fd = static_cast<int>(change.ident);
    if ((change.flags & ~kKnownFlags) != 0) return EINVAL;
    if (change.filter != EVFILT_READ && change.filter != EVFILT_WRITE) return EINVAL;
    if (fcntl(fd, F_GETFD) < 0) {
      Forget(fd);
      return EBADF;
    }
    const Watch before = Current(fd);
    Watch after = before;
    Filter& filter = change.filter == EVFILT_READ ? after.read : after.write;
    if ((change.flags & EV_ADD) != 0) {
      filter = Filter{true, true, change.udata};
    } else if (!filter.added) {
      return ENOENT;
    }
    if ((change.flags & EV_DELETE) != 0) filter = Filter{};
    if ((change.flags & EV_ENABLE) != 0) filter.enabled = true;
    if ((change.flags & EV_DISABLE) != 0) filter.enabled = false;
    return Apply(fd, before.Mask(), after);
  }

  // Returns how many entries were filled, or -1 with errno.
  int Wait(struct kevent* events, int capacity, int timeout) {
    int filled;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      filled = FillFiles(events, capacity);
      SetBeacon(filled > 0);
    }
    std::set<int> seen;
    for (bool more = true; more && filled < capacity; timeout = 0) {
      // epoll reports each descriptor in turn and may not report one that then finds no room: a
      // descriptor takes up to two entries.
      std::vector<struct epoll_event> ready(
          std::max<size_t>(static_cast<size_t>(capacity - filled) / 2, 1));
      const int most = static_cast<int>(ready.size());
      const int count = epoll_wait(epoll_, ready.data(), most, filled > 0 ? 0 : timeout);
      if (count < 0) return filled > 0 ? filled : -1;
      more = count == most;
      const std::lock_guard<std::mutex> lock(mutex_);
      for (int i = 0; i < count; ++i) {
        const struct epoll_event& event = ready[static_cast<size_t>(i)];
        const auto found = watches_.find(event.data.fd);
        if (!seen.insert(event.data.fd).second) {
          more = false;
        } else if (found != watches_.end()) {
          filled += Fill(event, &found->second, events + filled, capacity - filled);
        }
      }
    }
    return filled;
  }

  // Makes the queue's own descriptor readable while a watched file is ready.
  void Settle() {
    const std::lock_guard<std::mutex> lock(mutex_);
    struct kevent scratch;
    SetBeacon(FillFiles(&scratch, 1) > 0);
  }

 private:
  int Control(int operation, int fd, uint32_t mask) {
    struct epoll_event event = {};
    event.events = mask;
    event.data.fd = fd;
    return epoll_ctl(epoll_, operation, fd, &event) == 0 ? 0 : errno;
  }

  void Forget(int fd) {
    watches_.erase(fd);
    files_.erase(fd);
  }

  // What is watched of the file that `fd` names now: closing a descriptor ends its watch, and its
  // number may have been given out again since.
  Watch Current(int fd) {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return Watch{};
    const uint32_t mask = found->second.Mask();
    const int expected = files_.count(fd) != 0 ? EPERM : 0;
    if (mask != 0 && Control(EPOLL_CTL_MOD, fd, mask) != expected) {
      Forget(fd);
      return Watch{};
    }
    return found->second;
  }

  int Apply(int fd, uint32_t before, const Watch& after) {
    const uint32_t mask = after.Mask();
    if (mask != before) {
      const int operation = before == 0 ? EPOLL_CTL_ADD : mask == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
      const int failure = Control(operation, fd, mask);
      // epoll refuses what cannot be polled; kqueue takes it.
      if (failure == EPERM) {
        files_.insert(fd);
      } else if (failure != 0) {
        return failure;
      }
    }
    if (after.Empty()) {
      Forget(fd);
    } else {
      watches_[fd] = after;
    }
    return 0;
  }

  void SetBeacon(bool lit) {
    if (lit == lit_) return;
    Control(lit ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, Beacon(), EPOLLIN);
    lit_ = lit;
  }

  int FillFiles(struct kevent* events, int capacity) {
    int filled = 0;
    for (auto file = files_.begin(); file != files_.end() && filled < capacity; ++file) {
      struct epoll_event event = {};
      event.events = EPOLLOUT | (FileBytesLeft(*file) != 0 ? EPOLLIN : 0U);
      event.data.fd = *file;
      filled += Fill(event, &watches_[*file], events + filled, capacity - filled);
    }
    return filled;
  }

  int Fill(const struct epoll_event& event, Watch* watch, struct kevent* events, int capacity) {
    const int fd = event.data.fd;
    const uint32_t ready = event.events;
    int filled = 0;
    for (const bool write : {watch->write_first, !watch->write_first}) {
      const Filter& filter = write ? watch->write : watch->read;
      const uint32_t ends = EPOLLHUP | EPOLLERR | (write ? 0U : EPOLLRDHUP);
      if (!filter.added || !filter.enabled) continue;
      if ((ready & (ends | (write ? EPOLLOUT : EPOLLIN))) == 0 || filled == capacity) continue;
      const uint16_t flags = (ready & ends) != 0 ? EV_EOF : 0;
      EV_SET(events + filled, static_cast<uintptr_t>(fd), write ? EVFILT_WRITE : EVFILT_READ, flags,
             0, Amount(fd, write), filter.udata);
      filled += 1;
    }
    watch->write_first = !watch->write_first;
    return filled;
  }

  intptr_t Amount(int fd, bool write) const {
    if (write) return 0;
    return files_.count(fd) != 0 ? FileBytesLeft(fd) : ReadableBytes(fd);
  }

  const int epoll_;
  std::mutex mutex_;
  std::unordered_map<int, Watch> watches_;
  std::set<int> files_;
  bool lit_ = false;
};

// Closing a queue tells nobody, so its state stays until the number is a queue again. Whoever still
// uses the old one in another thread keeps it alive by sharing.
struct Queues {
  std::mutex mutex;
  std::unordered_map<int, std::shared_ptr<Queue>> by_fd;
};

Queues& AllQueues() {
  static Queues* const queues = new Queues;  // Outlives the threads that end with the process.
  return *queues;
}

std::shared_ptr<Queue> Find(int fd) {
  Queues& queues = AllQueues();
  const std::lock_guard<std::mutex> lock(queues.mutex);
  const auto found = queues.by_fd.find(fd);
  return found == queues.by_fd.end() || fcntl(fd, F_GETFD) < 0 ? nullptr : found->second;
}

}  // namespace

int kqueue() {
  const int epoll = epoll_create1(0);
  if (epoll < 0) return -1;
  Queues& queues = AllQueues();
  const std::lock_guard<std::mutex> lock(queues.mutex);
  queues.by_fd[epoll] = std::make_shared<Queue>(epoll);
  return epoll;
}

int kevent(int fd, const struct kevent* changes, int change_count, struct kevent* events,
           int event_count, const struct timespec* timeout) {
  const std::shared_ptr<Queue> queue = Find(fd);
  if (queue == nullptr) {
    errno = EBADF;
    return -1;
  }
  int reported = 0;
  for (int i = 0; i < change_count; ++i) {
    // `changes` and `events` may be one array.
    const struct kevent change = changes[i];
    const int failure = queue->Change(change);
    if (failure == 0 && (change.flags & EV_RECEIPT) == 0) continue;
    if (reported < event_count) {
      events[reported] = change;
      events[reported].flags = EV_ERROR;
      events[reported].data = failure;
      reported += 1;
    } else if (failure != 0) {
      errno = failure;
      return -1;
    }
  }
  if (change_count > 0) queue->Settle();
  if (reported > 0 || event_count == 0) return reported;
  return queue->Wait(events, event_count, Milliseconds(timeout));
}
