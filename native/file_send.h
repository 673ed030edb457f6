// A part of a file on its way to a socket: by sendfile(2) where the system has it and the file
// allows it, else read and sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ryegate {

struct FilePart {
  int fd;
  int64_t position;
  size_t count;
  bool copy;  // sendfile(2) is not to be used
  bool wait;  // may wait for the disk
};

// What Send() returns instead of waiting for the disk; src/native.ts has its name.
constexpr int kNotCached = -0x10000;

class FileSender {
 public:
  // The bytes that the socket took, 0 at the end of the file, or a negative errno. Fewer than asked
  // for mean that the socket is full, or that the file has ended. A socket that is closed raises
  // SIGPIPE in sendfile(2), which Node ignores.
  int Send(int socket, const FilePart& part);

 private:
  int Copy(int socket, const FilePart& part);

  std::unique_ptr<uint8_t[]> block_;
};

}  // namespace ryegate
