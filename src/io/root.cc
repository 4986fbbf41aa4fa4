#include "io/root.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "ringfeed/error.h"

namespace ringfeed::io {

FileDescriptor open_root(const std::string& path) {
  const char* directory = path.empty() ? "." : path.c_str();
  FileDescriptor root(::open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throw LoadError({Stage::setup, errno, directory, "cannot open the images' folder"});
  return root;
}

bool is_regular(int root, const char* path) noexcept {
  struct statx status{};
  return ::statx(root, path, AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
         S_ISREG(status.stx_mode);
}

}  // namespace ringfeed::io
