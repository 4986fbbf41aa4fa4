#include "io/pool_slot.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/retry.h"
#include "io/root.h"

namespace ringfeed::io {

int PoolSlot::open_file() {
  if (wait && !is_regular(path.c_str())) return EAGAIN;
  // O_NONBLOCK: a FIFO's open must not wait for a writer; its pread then gives ESPIPE.
  const int flags = O_RDONLY | O_CLOEXEC | (wait ? 0 : O_NONBLOCK);
  file = FileDescriptor(retry_interrupted([&] { return ::open(path.c_str(), flags); }));
  return file ? 0 : errno;
}

int PoolSlot::read_file() const {
  const auto count = retry_interrupted([&] {
    return ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
  });
  return count < 0 ? -errno : static_cast<int>(count);
}

}  // namespace ringfeed::io
