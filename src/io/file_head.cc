#include "io/file_head.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/retry.h"

namespace ringfeed::io {

int FileHead::open(int root, const char* path) {
  // O_NONBLOCK: a FIFO's open must not wait for a writer; its pread then gives ESPIPE.
  file_ = FileDescriptor(
      retry_interrupted([&] { return ::openat(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); }));
  return file_ ? 0 : errno;
}

int FileHead::read_to(std::size_t wanted) {
  if (buffer_.size() < wanted) buffer_.resize(wanted);
  while (size_ < wanted && !ended_) {
    const auto count = retry_interrupted([&] {
      return ::pread(file_.get(), buffer_.data() + size_, wanted - size_,
                     static_cast<off_t>(size_));
    });
    if (count < 0) return errno;
    ended_ = count == 0;
    size_ += static_cast<std::size_t>(count);
  }
  return 0;
}

}  // namespace ringfeed::io
