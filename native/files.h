// Files: opened beneath a folder, looked at, read and copied. Paths are the bytes that the system
// takes. Calls return a negative errno on failure. Every descriptor is close-on-exec.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace ryegate {

// Places of a file's facts, as described in src/native.ts.
enum Fact : size_t {
  kFactMode,
  kFactSize,
  kFactModified,
  kFactModifiedNanoseconds,
  kFactChanged,
  kFactChangedNanoseconds,
  kFactDeviceHigh,
  kFactDeviceLow,
  kFactInodeHigh,
  kFactInodeLow,
  kFactOffset,
  kFacts,
};

// Writes all but the offset.
void WriteFacts(const struct stat& status, double* facts);

// Opens a file or folder for reading that is named beneath the folder `root`. With `wait` false
// -EAGAIN where the name would have to be looked up on a disk, or nobody can tell.
int OpenBeneath(int root, const std::string& path, bool wait, struct stat* status);
// A folder, as a root for others.
int OpenFolder(const std::string& path);
int StatBeneath(int root, const std::string& path, struct stat* status);
// fstat(2), and the offset, which is -1 where there is none. -EBADF, too, when it is not open for
// reading.
int StatFile(int fd, struct stat* status, double* offset);

// Reads what is in the page cache; -EAGAIN when nothing is, or nobody can tell.
int64_t ReadNow(int fd, uint8_t* data, size_t size, int64_t position);
// Reads until `data` is full or the file ends.
int64_t ReadFully(int fd, uint8_t* data, size_t size, int64_t position);
// Brings a range into the page cache: 0, or a negative errno.
int64_t ReadAhead(int fd, int64_t position, int64_t count);
// Copies until `count` bytes are copied or `from` ends. The offset of `to` may change.
int64_t CopyRange(int from, int64_t from_position, int to, int64_t to_position, int64_t count);

// Takes flock(2)'s exclusive lock, until `fd` is closed; -EAGAIN while somebody else has it.
int LockFile(int fd);

// A file without a name for reading and writing, mode 0600; -EOPNOTSUPP where there are none.
int OpenUnnamed(const std::string& folder);
// Gives a file of OpenUnnamed() its name.
int LinkUnnamed(int fd, const std::string& path);

}  // namespace ryegate
