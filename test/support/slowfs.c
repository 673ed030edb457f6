/*
 * A file system whose reads are slow, are held or fail, as it is told: `slowfs FOLDER` mounts it
 * there by the kernel's FUSE protocol, which needs /dev/fuse and CAP_SYS_ADMIN, until its standard
 * input ends. There are no folders, and a file for every name that begins with digits: so many
 * bytes it has. What they are, ByteAt() says.
 *
 * Commands, a line each; each is answered by the line `state HELD EXPIRED`: reads that are held,
 * and reads that were held too long since `hold`. hold OFFSET    reads from this offset on are not
 * answered ... release        ... until now delay MS       every read takes so long fail ERRNO
 * reads fail when they are due; 0: they do not keep 0|1       whether what was read before stays in
 * the page cache when a file is opened direct 0|1     whether reads of files opened from now on go
 * past the page cache state          nothing else Lines without being asked: `mounted` at first,
 * and for each request of the kernel `open NAME`, `read NAME OFFSET SIZE`, `answered NAME OFFSET
 * ERRNO`, `close NAME`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
  kFirstFile = FUSE_ROOT_ID + 1,
  kMostFiles = 256,
  kMostPending = 1024,
  kReadSize = 128 * 1024,
  kRequestSize = kReadSize + 4096,
  /* Milliseconds: who stalls in a held read goes on after that, and can be told of. */
  kLongestHold = 15000,
  kSecondsValid = 3600,
};

struct Read {
  uint64_t unique;
  uint64_t node;
  uint64_t offset;
  uint32_t size;
  int held;
  int64_t due;
};

static int device;
static char names[kMostFiles][64];
static int file_count;
static struct Read pending[kMostPending];
static int pending_count;
static int expired;
static int64_t hold_from = -1;
static int delay;
static int failure;
static int keep;
static int direct;

static int64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void Fail(const char* what) {
  fprintf(stderr, "slowfs: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t SizeOf(uint64_t node) { return strtoull(names[node - kFirstFile], NULL, 10); }

static uint8_t ByteAt(uint64_t size, uint64_t offset) {
  return (uint8_t)(size + offset + 3 * (offset >> 8) + 5 * (offset >> 16) + 7 * (offset >> 24));
}

static void Reply(uint64_t unique, int error, const void* data, size_t size) {
  struct fuse_out_header header = {.error = -error, .unique = unique};
  struct iovec parts[] = {{&header, sizeof header}, {(void*)data, size}};
  header.len = (uint32_t)(sizeof header + size);
  /* ENOENT: whoever had asked was killed meanwhile. */
  if (writev(device, parts, 2) < 0 && errno != ENOENT) Fail("answering the kernel");
}

static void Attributes(uint64_t node, struct fuse_attr* attributes) {
  const int is_root = node == FUSE_ROOT_ID;
  *attributes = (struct fuse_attr){
      .ino = node,
      .size = is_root ? 0 : SizeOf(node),
      .mtime = 1000000000,
      .ctime = 1000000000,
      .mode = is_root ? S_IFDIR | 0755 : S_IFREG | 0444,
      .nlink = 1,
      .blksize = 4096,
  };
  attributes->blocks = (attributes->size + 511) / 512;
}

/* Returns 0 when there is no such file. */
static uint64_t FindFile(const char* name) {
  if (name[0] < '0' || name[0] > '9' || strlen(name) >= sizeof names[0]) return 0;
  for (int i = 0; i < file_count; i++) {
    if (strcmp(names[i], name) == 0) return (uint64_t)(kFirstFile + i);
  }
  if (file_count == kMostFiles) return 0;
  strcpy(names[file_count], name);
  return (uint64_t)(kFirstFile + file_count++);
}

static void LookUp(uint64_t unique, const char* name) {
  const uint64_t node = FindFile(name);
  struct fuse_entry_out entry = {
      .nodeid = node, .entry_valid = kSecondsValid, .attr_valid = kSecondsValid};
  if (node == 0) {
    Reply(unique, ENOENT, NULL, 0);
    return;
  }
  Attributes(node, &entry.attr);
  Reply(unique, 0, &entry, sizeof entry);
}

static void Initialize(uint64_t unique, const struct fuse_init_in* in) {
  struct fuse_init_out out = {
      .major = FUSE_KERNEL_VERSION,
      .minor = FUSE_KERNEL_MINOR_VERSION,
      .max_readahead = kReadSize,
      .flags = in->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES),
      .max_background = 64,
      .congestion_threshold = 64,
      .max_write = 4096,
      .time_gran = 1,
  };
  Reply(unique, 0, &out, sizeof out);
}

static void Open(uint64_t unique, uint64_t node) {
  struct fuse_open_out out = {.open_flags =
                                  (keep ? FOPEN_KEEP_CACHE : 0u) | (direct ? FOPEN_DIRECT_IO : 0u)};
  printf("open %s\n", names[node - kFirstFile]);
  Reply(unique, 0, &out, sizeof out);
}

static void BeginRead(uint64_t unique, uint64_t node, const struct fuse_read_in* in) {
  const int held = hold_from >= 0 && in->offset + in->size > (uint64_t)hold_from;
  printf("read %s %llu %u\n", names[node - kFirstFile], (unsigned long long)in->offset, in->size);
  if (pending_count == kMostPending) {
    Reply(unique, ENOMEM, NULL, 0);
    return;
  }
  pending[pending_count++] = (struct Read){
      .unique = unique,
      .node = node,
      .offset = in->offset,
      .size = in->size > kReadSize ? kReadSize : in->size,
      .held = held,
      .due = Now() + (held ? kLongestHold : delay),
  };
}

static void EndRead(const struct Read* read) {
  static uint8_t bytes[kReadSize];
  const uint64_t size = SizeOf(read->node);
  const uint64_t left = read->offset < size ? size - read->offset : 0;
  const size_t count = failure != 0 ? 0 : left < read->size ? left : read->size;
  for (size_t i = 0; i < count; i++) bytes[i] = ByteAt(size, read->offset + i);
  if (read->held) expired++;
  printf("answered %s %llu %d\n", names[read->node - kFirstFile], (unsigned long long)read->offset,
         failure);
  Reply(read->unique, failure, bytes, count);
}

/* Answers what is due; returns the milliseconds until the next is, -1 without any. */
static int EndReads(void) {
  const int64_t now = Now();
  int64_t next = -1;
  int kept = 0;
  for (int i = 0; i < pending_count; i++) {
    if (pending[i].due <= now) {
      EndRead(&pending[i]);
    } else {
      const int64_t wait = pending[i].due - now;
      if (next < 0 || wait < next) next = wait;
      pending[kept++] = pending[i];
    }
  }
  pending_count = kept;
  return (int)next;
}

static void Answer(const struct fuse_in_header* in) {
  const void* argument = in + 1;
  struct fuse_attr_out attributes = {.attr_valid = kSecondsValid};
  struct fuse_open_out folder = {0};
  switch (in->opcode) {
    case FUSE_INIT:
      Initialize(in->unique, argument);
      break;
    case FUSE_LOOKUP:
      LookUp(in->unique, argument);
      break;
    case FUSE_GETATTR:
      Attributes(in->nodeid, &attributes.attr);
      Reply(in->unique, 0, &attributes, sizeof attributes);
      break;
    case FUSE_OPEN:
      Open(in->unique, in->nodeid);
      break;
    case FUSE_READ:
      BeginRead(in->unique, in->nodeid, argument);
      break;
    case FUSE_RELEASE:
      printf("close %s\n", names[in->nodeid - kFirstFile]);
      Reply(in->unique, 0, NULL, 0);
      break;
    case FUSE_OPENDIR:
      Reply(in->unique, 0, &folder, sizeof folder);
      break;
    case FUSE_READDIR:
    case FUSE_RELEASEDIR:
      Reply(in->unique, 0, NULL, 0);
      break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      break;
    default:
      Reply(in->unique, ENOSYS, NULL, 0);
  }
}

/* Returns whether the file system is still mounted. */
static int AnswerOne(void) {
  static char request[kRequestSize] __attribute__((aligned(8)));
  const ssize_t size = read(device, request, sizeof request);
  if (size >= (ssize_t)sizeof(struct fuse_in_header)) Answer((void*)request);
  return size >= 0 || errno == EINTR || errno == EAGAIN || errno == ENOENT;
}

static void Release(void) {
  hold_from = -1;
  for (int i = 0; i < pending_count; i++) {
    if (!pending[i].held) continue;
    pending[i].held = 0;
    pending[i].due = 0;
  }
  EndReads();
}

static void Obey(const char* line) {
  long long value = 0;
  char command[16] = "";
  sscanf(line, "%15s %lld", command, &value);
  if (strcmp(command, "hold") == 0) {
    hold_from = value;
    expired = 0;
  }
  if (strcmp(command, "release") == 0) Release();
  if (strcmp(command, "delay") == 0) delay = (int)value;
  if (strcmp(command, "fail") == 0) failure = (int)value;
  if (strcmp(command, "keep") == 0) keep = (int)value;
  if (strcmp(command, "direct") == 0) direct = (int)value;
  int held = 0;
  for (int i = 0; i < pending_count; i++) held += pending[i].held;
  printf("state %d %d\n", held, expired);
}

/* Returns whether standard input goes on. */
static int ObeyAll(void) {
  static char text[4096];
  static size_t used;
  const ssize_t size = read(STDIN_FILENO, text + used, sizeof text - 1 - used);
  if (size <= 0) return 0;
  used += (size_t)size;
  text[used] = '\0';
  char* line = text;
  for (char* end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    Obey(line);
  }
  used -= (size_t)(line - text);
  memmove(text, line, used);
  return 1;
}

static void Mount(const char* folder) {
  char options[128];
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) Fail("/dev/fuse");
  snprintf(options, sizeof options,
           "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other,default_permissions", device,
           getuid(), getgid());
  if (mount("slowfs", folder, "fuse", MS_NOSUID | MS_NODEV, options) < 0) Fail("mount");
  puts("mounted");
}

int main(int count, char** arguments) {
  if (count != 2) {
    fputs("usage: slowfs FOLDER\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  /* Ctrl-C ends who started this, and then this by the end of the input: after the unmounting. */
  const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  Mount(arguments[1]);
  struct pollfd ready[] = {{.fd = device, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};
  for (int going = 1; going;) {
    const int wait = EndReads();
    if (poll(ready, 2, wait) < 0 && errno != EINTR) break;
    if (ready[0].revents != 0) going = AnswerOne();
    if (going && ready[1].revents != 0) going = ObeyAll();
  }
  /* What has not been read gets an error when the device is closed. */
  return umount2(arguments[1], MNT_DETACH) < 0 ? 1 : 0;
}
