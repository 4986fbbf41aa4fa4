#include "io/file_head.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/retry.h"
#include "io/root.h"

namespace ringfeed::io {

int FileHead::open(const char* path) {
  size_ = 0;
  ended_ = false;
  file_ = {};  // here, where its close() spoils no errno
  // O_NONBLOCK: a FIFO's open must not wait for a writer; its pread then gives ESPIPE.
  int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
  file_ = FileDescriptor(retry_interrupted([&] { return ::open(path, flags); }));
  if (!file_ && errno == EAGAIN && is_regular(path)) {  // somebody holds it: wait
    flags &= ~O_NONBLOCK;
    file_ = FileDescriptor(retry_interrupted([&] { return ::open(path, flags); }));
  }
  return file_ ? 0 : errno;
}

int FileHead::read_to(std::size_t wanted) {
  if (capacity_ < wanted) {
    // Not a vector, which would write zeros first: to every file's 64 kB in Loader::draws().
    auto wider = std::make_unique_for_overwrite<std::byte[]>(wanted);
    if (size_ > 0) std::memcpy(wider.get(), buffer_.get(), size_);
    buffer_ = std::move(wider);
    capacity_ = wanted;
  }
  while (size_ < wanted && !ended_) {
    const auto count = retry_interrupted([&] {
      return ::pread(file_.get(), buffer_.get() + size_, wanted - size_, static_cast<off_t>(size_));
    });
    // Only a file that somebody holds gives it, and then for O_NONBLOCK.
    if (count < 0 && errno == EAGAIN && (::fcntl(file_.get(), F_GETFL) & O_NONBLOCK) != 0 &&
        ::fcntl(file_.get(), F_SETFL, 0) == 0) {
      continue;
    }
    if (count < 0) return errno;
    ended_ = count == 0;
    size_ += static_cast<std::size_t>(count);
  }
  return 0;
}

}  // namespace ringfeed::io
