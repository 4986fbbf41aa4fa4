#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/file_descriptor.h"

namespace ringfeed::io {

/// The beginning of a file, read as far as its user turns out to need. Blocks; one thread.
class FileHead {
 public:
  /// Begins with another file. Never waits for a FIFO's writer. Returns 0 or the errno.
  int open(const char* path);
  /// Reads on until there are `wanted` bytes or the file has ended. Returns 0 or the errno.
  int read_to(std::size_t wanted);

  std::span<const std::byte> bytes() const noexcept { return {buffer_.get(), size_}; }
  bool ended() const noexcept { return ended_; }

 private:
  FileDescriptor file_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  bool ended_ = false;
};

}  // namespace ringfeed::io
