// The contract of a readiness facility. One backend file implements it for each facility; no other
// file knows which one is in use.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace ryegate {

constexpr int kReadable = 1;
constexpr int kWritable = 2;
// Asked for beside kReadable of epoll alone: what is there is reported once, and again when more
// comes or the descriptor is modified.
constexpr int kEdge = 4;
// Reported of what is watched so: behind the bytes there is an end or urgent data, before which a
// receive stops.
constexpr int kBehind = 4;

// One ready descriptor in the ring: descriptor, events.
constexpr int kReadyWords = 2;

// A copy of what a poller without a descriptor of its own watches, for another thread to block on.
class Watch {
 public:
  virtual ~Watch() = default;
  // Blocks until something watched, or `interrupt`, is ready. True when the poller has to look.
  virtual bool Block(int interrupt) = 0;
};

// Every call returns a negative errno on failure. Level-triggered, but for kEdge. An error or a
// hang-up on a descriptor counts as readable and writable, so that whoever waits for either finds
// out.
class Poller {
 public:
  virtual ~Poller() = default;
  virtual int Open() = 0;
  virtual int Add(int fd, int events) = 0;
  virtual int Modify(int fd, int events) = 0;
  virtual int Remove(int fd) = 0;
  // Fills `ring` with at most `capacity` ready descriptors and returns how many. `timeout` is in
  // milliseconds, negative blocks. An interrupted wait returns 0.
  virtual int Wait(int timeout, int32_t* ring, int capacity) = 0;
  // The facility's descriptor, -1 where it has none.
  virtual int fd() const { return -1; }
  // The highest descriptor that can be watched.
  virtual int highest() const { return std::numeric_limits<int>::max(); }
  // What to block on in another thread; null where fd() can be watched instead.
  virtual std::unique_ptr<Watch> MakeWatch() { return nullptr; }
};

// The backends of this build, best first.
std::vector<std::string> PollerNames();
// Null for a name that this build does not have.
std::unique_ptr<Poller> MakePoller(const std::string& name);

std::unique_ptr<Poller> MakeEpollPoller();
std::unique_ptr<Poller> MakeKqueuePoller();
std::unique_ptr<Poller> MakePollPoller();
std::unique_ptr<Poller> MakeSelectPoller();

}  // namespace ryegate

#if defined(__linux__)
#define RYEGATE_HAVE_EPOLL 1
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || \
    defined(RYEGATE_KQUEUE_SHIM)
#define RYEGATE_HAVE_KQUEUE 1
#endif
