#pragma once

#include <string>
#include <utility>

namespace ringfeed::io {

/// Owns a descriptor; closes it when dropped.
class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { reset(); }

  int get() const noexcept { return fd_; }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

/// The directory that relative paths start from; the working directory if `path` is empty.
/// Throws std::system_error.
FileDescriptor open_root(const std::string& path);

}  // namespace ringfeed::io
