// Ends a wait from any thread: an eventfd where there is one, else a pipe.
#pragma once

namespace ryegate {

class Waker {
 public:
  Waker() = default;
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // 0 or a negative errno.
  int Open();
  void Close();
  // The descriptor to watch for reading.
  int reader() const { return reader_; }
  // The descriptor to signal; equal to reader() for an eventfd.
  int writer() const { return writer_; }
  void Wake() const { Signal(writer_); }
  void Drain() const { Drain(reader_); }

  static void Signal(int writer);
  static void Drain(int reader);

 private:
  int reader_ = -1;
  int writer_ = -1;
};

}  // namespace ryegate
