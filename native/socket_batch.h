// Sockets in batches over preregistered memory: the addresses are taken once, and a call moves
// integers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "file_send.h"

namespace ryegate {

struct Span {
  uint8_t* data = nullptr;
  size_t size = 0;
};

struct Ring {
  int32_t* words = nullptr;
  size_t size = 0;  // in words
};

// Words of an entry, as described in src/native.ts.
struct Receive {
  int32_t fd, offset, length;
};
struct Send {
  int32_t fd, offset, length, external, external_offset, result;
  int32_t file;
  uint32_t position_low, position_high;
  int32_t count, flags, file_result;
};
constexpr int32_t kCopyFile = 1;
constexpr int32_t kWaitForFile = 2;
constexpr int32_t kLast = 4;
struct Accept {
  int32_t fd, family, port;
  uint32_t address[4];
};

class SocketBatch {
 public:
  SocketBatch(Span input, Span output, Ring receives, Ring sends, Ring accepts)
      : input_(input), output_(output), receives_(receives), sends_(sends), accepts_(accepts) {}

  size_t receive_capacity() const { return receives_.size * sizeof(int32_t) / sizeof(Receive); }
  size_t send_capacity() const { return sends_.size * sizeof(int32_t) / sizeof(Send); }
  size_t accept_capacity() const { return accepts_.size * sizeof(int32_t) / sizeof(Accept); }
  // Bytes so far: received, and taken by the kernel, files included.
  uint64_t received() const { return received_; }
  uint64_t sent() const { return sent_; }
  const Send* sends() const { return reinterpret_cast<const Send*>(sends_.words); }

  // How many were accepted, or a negative errno when none was.
  int AcceptMany(int listener, size_t max);
  // How many of the first `count` sockets were served before the slab was full.
  int ReceiveMany(size_t count);
  // `externals` are indexed by the entries.
  void SendMany(size_t count, const std::vector<Span>& externals);

 private:
  int SendBytes(const Send& entry, const std::vector<Span>& externals) const;
  // False when not all of it went.
  bool SendOne(Send* entry, const std::vector<Span>& externals);

  Span input_;
  Span output_;
  Ring receives_;
  Ring sends_;
  Ring accepts_;
  FileSender files_;
  std::vector<int32_t> short_;
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
};

}  // namespace ryegate
