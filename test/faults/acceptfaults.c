/*
 * Makes accept4 fail, to be put in front of the C library by LD_PRELOAD. The file that
 * RYEGATE_ACCEPT_FAULTS names is shared with whoever tells it what to do:
 *   word 0  what every call fails with; 0: nothing; -1: every other call, with each error in turn
 *   word 1  counts the calls
 *   word 2  counts the failures
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int (*accept4_function)(int, struct sockaddr*, socklen_t*, int);

static const int kInTurn[] = {ENFILE, ENOBUFS, ECONNABORTED, EINTR,
                              EPROTO, EMFILE,  ENETDOWN,     EPERM};

static int Fault(int* words) {
  const int mode = words[0];
  const int call = words[1]++;
  if (mode >= 0) return mode;
  if (call % 2 != 0) return 0;
  return kInTurn[(call / 2) % (sizeof kInTurn / sizeof *kInTurn)];
}

static int* SharedWords(void) {
  static int* words = NULL;
  const char* path = getenv("RYEGATE_ACCEPT_FAULTS");
  if (words != NULL || path == NULL) return words;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return NULL;
  void* map = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (map != MAP_FAILED) words = map;
  return words;
}

int accept4(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  int* words = SharedWords();
  const int fault = words == NULL ? 0 : Fault(words);
  if (fault != 0) {
    words[2]++;
    errno = fault;
    return -1;
  }
  accept4_function real = (accept4_function)dlsym(RTLD_NEXT, "accept4");
  return real(fd, address, size, flags);
}
