#include "processes.h"

#include <grp.h>
#include <pwd.h>
#include <sys/types.h>
#include <sys/wait.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <vector>

namespace ryegate {

namespace {

constexpr size_t kFirstSize = 1024;
constexpr size_t kLargestSize = size_t{1} << 20;

// Looks an entry up with as much memory as it takes: a group may have many members.
template <typename Entry, typename Find>
int Look(Entry* entry, std::vector<char>* memory, Find find) {
  for (size_t size = kFirstSize; size <= kLargestSize; size *= 2) {
    memory->resize(size);
    Entry* found = nullptr;
    const int failure = find(entry, memory->data(), size, &found);
    if (failure == ERANGE || failure == EINTR) continue;
    // POSIX lets an unknown name be any of these, or no failure.
    const bool unknown = failure == ESRCH || failure == EBADF || failure == EPERM;
    if (failure != 0 && !unknown) return -failure;
    return found == nullptr ? -ENOENT : 0;
  }
  return -ERANGE;
}

}  // namespace

int FindUser(const std::string& name, uint32_t id, Account* account) {
  passwd entry{};
  std::vector<char> memory;
  const int failure =
      Look(&entry, &memory, [&](passwd* place, char* data, size_t size, passwd** found) {
        return name.empty() ? getpwuid_r(id, place, data, size, found)
                            : getpwnam_r(name.c_str(), place, data, size, found);
      });
  if (failure == 0) *account = {entry.pw_name, entry.pw_uid, entry.pw_gid};
  return failure;
}

int FindGroup(const std::string& name, uint32_t id, Account* account) {
  group entry{};
  std::vector<char> memory;
  const int failure =
      Look(&entry, &memory, [&](group* place, char* data, size_t size, group** found) {
        return name.empty() ? getgrgid_r(id, place, data, size, found)
                            : getgrnam_r(name.c_str(), place, data, size, found);
      });
  if (failure == 0) *account = {entry.gr_name, entry.gr_gid, 0};
  return failure;
}

int ReapChild(pid_t pid) {
  // Below 1 stands for groups of processes, and any child at all.
  if (pid < 1) return -EINVAL;
  int status = 0;
  const pid_t reaped = waitpid(pid, &status, WNOHANG);
  return reaped < 0 ? -errno : reaped;
}

int BecomeSubreaper() {
#ifdef PR_SET_CHILD_SUBREAPER
  return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
#else
  return -ENOTSUP;
#endif
}

}  // namespace ryegate
