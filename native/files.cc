#include "files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#ifdef __linux__
#include <sys/sendfile.h>
#include <sys/syscall.h>
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#endif

namespace ryegate {

namespace {

#if defined(O_PATH)
// Needs no permission to list the folder.
constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
#elif defined(O_SEARCH)
constexpr int kFolderFlags = O_SEARCH | O_DIRECTORY | O_CLOEXEC;
#else
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
#endif

// Opening a FIFO for reading does not wait with O_NONBLOCK. It does let a writer go on that waits
// for a reader; that one gets EPIPE once the FIFO is closed again.
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

constexpr size_t kReadAheadBlock = size_t{64} * 1024;
constexpr size_t kCopyBlock = size_t{1} << 20;

bool HasNul(const std::string& path) { return path.find('\0') != std::string::npos; }

// Calls until it is not interrupted: its result, or a negative errno.
template <typename Call>
auto Uninterrupted(Call call) -> decltype(call()) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

int OpenAt(int folder, const char* path, int flags) {
  return Uninterrupted([=] { return openat(folder, path, flags, 0600); });
}

// Not through a link: -ELOOP for one, whatever the system says.
int OpenComponent(int folder, const std::string& name, int flags) {
  const int fd = OpenAt(folder, name.c_str(), flags | O_NOFOLLOW);
  if (fd >= 0) return fd;
  struct stat status {};
  const bool found = fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  return found && S_ISLNK(status.st_mode) ? -ELOOP : fd;
}

// Component by component, so that no link leads out of `root`.
int WalkBeneath(int root, const std::string& path) {
  if (path.empty()) return -ENOENT;
  if (path.front() == '/') return -EXDEV;
  int folder = root;
  for (size_t at = 0;;) {
    const size_t end = std::min(path.find('/', at), path.size());
    const bool last = end == path.size();
    std::string name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() && !last) continue;
    // What ends in a slash is a folder.
    const int flags = !last ? kFolderFlags : kReadFlags | (name.empty() ? O_DIRECTORY : 0);
    if (name.empty()) name = ".";
    const int next = name == ".." ? -EXDEV : OpenComponent(folder, name, flags);
    if (folder != root) close(folder);
    if (next < 0 || last) return next;
    folder = next;
  }
}

#ifdef __linux__

// openat2(2) and its constants are newer than some of the headers that this is built with.
struct OpenHow {
  uint64_t flags;
  uint64_t mode;
  uint64_t resolve;
};
constexpr uint64_t kNoMagicLinks = 0x02;
constexpr uint64_t kBeneath = 0x08;
constexpr uint64_t kCached = 0x20;
constexpr int kReadNoWait = 0x8;
// A name with `..` in it may have to be looked up again, when something else is renamed meanwhile;
// and a file under a lease has to be waited for, until the other program has given that up.
constexpr int kMostLookups = 64;
constexpr useconds_t kLookupRest = 2000;

int OpenBeneathAtOnce(int root, const std::string& path, bool wait) {
  OpenHow how{};
  how.flags = kReadFlags;
  how.resolve = kBeneath | kNoMagicLinks | (wait ? 0 : kCached);
  int fd = -EAGAIN;
  for (int i = 0; i < (wait ? kMostLookups : 1) && fd == -EAGAIN; ++i) {
    if (i > 0) usleep(kLookupRest);
    fd = static_cast<int>(
        Uninterrupted([&] { return syscall(SYS_openat2, root, path.c_str(), &how, sizeof how); }));
  }
  return fd;
}

// Whether a system call is missing, or forbidden, or does not know what it is asked for.
bool IsUnknown(int64_t result) {
  return result == -ENOSYS || result == -EPERM || result == -EINVAL;
}

int OpenNamed(int root, const std::string& path, bool wait) {
  const int fd = OpenBeneathAtOnce(root, path, wait);
  if (!IsUnknown(fd)) return fd;
  return wait ? WalkBeneath(root, path) : -EAGAIN;
}

#else

int OpenNamed(int root, const std::string& path, bool wait) {
  return wait ? WalkBeneath(root, path) : -EAGAIN;
}

#endif

}  // namespace

void WriteFacts(const struct stat& status, double* facts) {
#ifdef __APPLE__
  const timespec& modified = status.st_mtimespec;
  const timespec& changed = status.st_ctimespec;
#else
  const timespec& modified = status.st_mtim;
  const timespec& changed = status.st_ctim;
#endif
  const auto device = static_cast<uint64_t>(status.st_dev);
  const auto inode = static_cast<uint64_t>(status.st_ino);
  facts[kFactMode] = status.st_mode;
  facts[kFactSize] = static_cast<double>(status.st_size);
  facts[kFactModified] = static_cast<double>(modified.tv_sec);
  facts[kFactModifiedNanoseconds] = static_cast<double>(modified.tv_nsec);
  facts[kFactChanged] = static_cast<double>(changed.tv_sec);
  facts[kFactChangedNanoseconds] = static_cast<double>(changed.tv_nsec);
  facts[kFactDeviceHigh] = static_cast<uint32_t>(device >> 32);
  facts[kFactDeviceLow] = static_cast<uint32_t>(device);
  facts[kFactInodeHigh] = static_cast<uint32_t>(inode >> 32);
  facts[kFactInodeLow] = static_cast<uint32_t>(inode);
}

int OpenBeneath(int root, const std::string& path, bool wait, struct stat* status) {
  if (HasNul(path)) return -EINVAL;
  const int fd = OpenNamed(root, path, wait);
  if (fd < 0) return fd;
  int failure = fstat(fd, status) < 0 ? -errno : 0;
  if (failure == 0 && !S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode)) failure = -EACCES;
  if (failure == 0) return fd;
  close(fd);
  return failure;
}

int OpenFolder(const std::string& path) {
  return HasNul(path) ? -EINVAL : OpenAt(AT_FDCWD, path.c_str(), kFolderFlags);
}

int StatBeneath(int root, const std::string& path, struct stat* status) {
  if (HasNul(path)) return -EINVAL;
  return fstatat(root, path.c_str(), status, 0) < 0 ? -errno : 0;
}

int StatFile(int fd, struct stat* status, double* offset) {
  if (fstat(fd, status) < 0) return -errno;
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY) return -EBADF;
  *offset = static_cast<double>(lseek(fd, 0, SEEK_CUR));
  return 0;
}

int64_t ReadNow(int fd, uint8_t* data, size_t size, int64_t position) {
  // preadv2(2) takes -1 for the descriptor's own offset.
  if (position < 0) return -EINVAL;
#ifdef __linux__
  size_t filled = 0;
  while (filled < size) {
    const iovec part{data + filled, size - filled};
    const auto at = static_cast<uint64_t>(position) + filled;
    const auto low = static_cast<long>(at);  // NOLINT(google-runtime-int): of the system call
    const auto high = static_cast<long>(at >> 32);
    const int64_t count =
        Uninterrupted([&] { return syscall(SYS_preadv2, fd, &part, 1, low, high, kReadNoWait); });
    if (count == 0) break;
    if (count > 0) {
      filled += static_cast<size_t>(count);
    } else if (filled > 0) {
      break;
    } else {
      return count == -EOPNOTSUPP || count == -ENOSYS ? -EAGAIN : count;
    }
  }
  return static_cast<int64_t>(filled);
#else
  static_cast<void>(fd);
  static_cast<void>(data);
  return size == 0 ? 0 : -EAGAIN;
#endif
}

int64_t ReadFully(int fd, uint8_t* data, size_t size, int64_t position) {
  size_t filled = 0;
  while (filled < size) {
    const int64_t count = Uninterrupted([&] {
      return pread(fd, data + filled, size - filled, position + static_cast<int64_t>(filled));
    });
    if (count < 0) return count;
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  return static_cast<int64_t>(filled);
}

int64_t ReadAhead(int fd, int64_t position, int64_t count) {
  std::vector<uint8_t> block(kReadAheadBlock);
  for (int64_t done = 0; done < count;) {
    const auto wanted = std::min<int64_t>(count - done, kReadAheadBlock);
    const int64_t got = ReadFully(fd, block.data(), static_cast<size_t>(wanted), position + done);
    if (got < 0) return got;
    if (got < wanted) break;
    done += got;
  }
  return 0;
}

namespace {

// A copy under way. Each way goes on where the one before it had to stop: all return 0 at the end
// of the source, and where they cannot go on.
struct Copy {
  int from;
  off_t from_position;
  int to;
  off_t to_position;
  int64_t left;

  void Advance(int64_t count) {
    from_position += count;
    to_position += count;
    left -= count;
  }

  int64_t ByBlocks() {
    std::vector<uint8_t> block(static_cast<size_t>(std::min<int64_t>(left, kCopyBlock)));
    while (left > 0) {
      const auto wanted = static_cast<size_t>(std::min<int64_t>(left, kCopyBlock));
      const int64_t got = ReadFully(from, block.data(), wanted, from_position);
      if (got <= 0) return got;
      for (int64_t written = 0; written < got;) {
        const int64_t count = Uninterrupted([&] {
          return pwrite(to, block.data() + written, static_cast<size_t>(got - written),
                        to_position);
        });
        if (count < 0) return count;
        written += count;
        Advance(count);
      }
    }
    return 0;
  }

#ifdef __linux__
  // The kernel takes no more at a time.
  size_t Most() const { return static_cast<size_t>(std::min<int64_t>(left, 0x40000000)); }

  template <typename Call>
  int64_t InKernel(Call call) {
    while (left > 0) {
      const int64_t count = Uninterrupted(call);
      if (IsUnknown(count) || count == -EXDEV || count == -EOPNOTSUPP) return 0;
      if (count <= 0) return count;
      // The call advances only its copies of the positions.
      Advance(count);
    }
    return 0;
  }

  int64_t ByCopyFileRange() {
    return InKernel([this] {
      auto source = static_cast<int64_t>(from_position);
      auto target = static_cast<int64_t>(to_position);
      return syscall(SYS_copy_file_range, from, &source, to, &target, Most(), 0u);
    });
  }

  int64_t BySendfile() {
    if (left > 0 && lseek(to, to_position, SEEK_SET) < 0) return -errno;
    return InKernel([this] {
      off_t source = from_position;
      return sendfile(to, from, &source, Most());
    });
  }
#endif
};

}  // namespace

int64_t CopyRange(int from, int64_t from_position, int to, int64_t to_position, int64_t count) {
  if (from_position < 0 || to_position < 0 || count < 0) return -EINVAL;
  Copy copy{from, from_position, to, to_position, count};
  int64_t failure = 0;
#ifdef __linux__
  failure = copy.ByCopyFileRange();
  if (failure == 0) failure = copy.BySendfile();
#endif
  if (failure == 0) failure = copy.ByBlocks();
  return failure < 0 ? failure : count - copy.left;
}

int LockFile(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno; }

int OpenUnnamed(const std::string& folder) {
  if (HasNul(folder)) return -EINVAL;
#ifdef O_TMPFILE
  return OpenAt(AT_FDCWD, folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC);
#else
  return -EOPNOTSUPP;
#endif
}

int LinkUnnamed(int fd, const std::string& path) {
  if (HasNul(path)) return -EINVAL;
#ifdef O_TMPFILE
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const int done = linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
  return done < 0 ? -errno : 0;
#else
  static_cast<void>(fd);
  return -EOPNOTSUPP;
#endif
}

}  // namespace ryegate
