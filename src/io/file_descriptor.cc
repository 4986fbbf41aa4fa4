#include "io/file_descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace ringfeed::io {

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void FileDescriptor::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

FileDescriptor open_root(const std::string& path) {
  const char* directory = path.empty() ? "." : path.c_str();
  FileDescriptor root(::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) throw std::system_error(errno, std::generic_category(), directory);
  return root;
}

}  // namespace ringfeed::io
