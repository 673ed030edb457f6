// The part of BSD's <sys/event.h> that a poller needs, for running its code on Linux in the tests.
// kqueue_shim.cc implements it over epoll and says where it differs.
#pragma once

#include <stdint.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)

// Actions.
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_RECEIPT 0x0040
// Returned values.
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

struct kevent {
  uintptr_t ident;
  int16_t filter;
  uint16_t flags;
  uint32_t fflags;
  intptr_t data;
  void* udata;
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
  do {                                                                 \
    struct kevent* ev_set_target = (event);                            \
    ev_set_target->ident = (ident_);                                   \
    ev_set_target->filter = (filter_);                                 \
    ev_set_target->flags = (flags_);                                   \
    ev_set_target->fflags = (fflags_);                                 \
    ev_set_target->data = (data_);                                     \
    ev_set_target->udata = (udata_);                                   \
  } while (0)

int kqueue();
int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events,
           int event_count, const struct timespec* timeout);
