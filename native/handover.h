// The handover: descriptors on their way from one thread of the process to others, first come,
// first served.
//
// It is an Int32Array over a SharedArrayBuffer. A waker, the giver's, is readable while there is
// something to take; any number of takers watch it. Between putting and taking a descriptor is
// nobody's, and both steps are whole: a thread that is terminated leaves none behind.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ryegate {

class Waker;

// Words before the places of the descriptors, which have two words each.
constexpr size_t kHandoverHead = 5;

struct Handover {
  int32_t* words;
  size_t size;

  size_t places() const { return (size - kHandoverHead) / 2; }
};

void HandoverOpen(Handover handover, const Waker& waker);
// From when it returns no thread uses the waker. What has not been taken stays.
void HandoverClose(Handover handover);
// `stamp` is any number that grows. -EAGAIN: all places are taken; -EBADF: it is closed.
int HandoverPut(Handover handover, int fd, int32_t stamp);
// The oldest descriptor, if its stamp is at most `newest`; else -EAGAIN.
int HandoverTake(Handover handover, int32_t newest);

}  // namespace ryegate
