/*
 * Makes accept4 and sendfile fail, to be put in front of the C library by LD_PRELOAD. The file that
 * RYEGATE_SYSCALL_FAULTS names is shared with whoever tells it what to do; accept4 has its first
 * four words, sendfile the next:
 *   word 0  what every call fails with; 0: nothing; -1: every other call, with each error in turn;
 *           -2: none, but sendfile is asked for a few bytes at a time
 *   word 1  counts the calls
 *   word 2  counts the failures
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kEachInTurn = -1, kFewBytes = -2, kWords = 4, kInTurn = 8 };

typedef int (*accept4_function)(int, struct sockaddr*, socklen_t*, int);
typedef ssize_t (*sendfile_function)(int, int, off64_t*, size_t);

static const int kAcceptFaults[kInTurn] = {ENFILE, ENOBUFS, ECONNABORTED, EINTR,
                                           EPROTO, EMFILE,  ENETDOWN,     EPERM};
static const int kSendfileFaults[kInTurn] = {EINVAL, EINTR, ENOSYS,     EAGAIN,
                                             EPERM,  EINTR, EOPNOTSUPP, EAGAIN};

/* Returns NULL when nobody tells. */
static int* SharedWords(void) {
  static int* words = NULL;
  const char* path = getenv("RYEGATE_SYSCALL_FAULTS");
  if (words != NULL || path == NULL) return words;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return NULL;
  void* map = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) words = map;
  return words;
}

static int Fault(int* words, const int* in_turn) {
  const int mode = words[0];
  const int call = words[1]++;
  int fault = mode > 0 ? mode : 0;
  if (mode == kEachInTurn && call % 2 == 0) fault = in_turn[(call / 2) % kInTurn];
  if (fault != 0) words[2]++;
  return fault;
}

int accept4(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  int* words = SharedWords();
  const int fault = words == NULL ? 0 : Fault(words, kAcceptFaults);
  if (fault != 0) {
    errno = fault;
    return -1;
  }
  accept4_function real = (accept4_function)dlsym(RTLD_NEXT, "accept4");
  return real(fd, address, size, flags);
}

ssize_t sendfile64(int out, int in, off64_t* offset, size_t count) {
  int* words = SharedWords() == NULL ? NULL : SharedWords() + kWords;
  const int fault = words == NULL ? 0 : Fault(words, kSendfileFaults);
  if (fault != 0) {
    errno = fault;
    return -1;
  }
  if (words != NULL && words[0] == kFewBytes) {
    const size_t few = 1 + (size_t)words[1] * 7919 % 5000;
    if (count > few) count = few;
  }
  sendfile_function real = (sendfile_function)dlsym(RTLD_NEXT, "sendfile64");
  return real(out, in, offset, count);
}

/* The same on systems whose off_t has 64 bits. */
ssize_t sendfile(int out, int in, off_t* offset, size_t count) {
  return sendfile64(out, in, offset, count);
}
