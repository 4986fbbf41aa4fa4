#include "io/root.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>

namespace ringfeed::io {

Root::Root(const std::string& path) : directory_(path) {
  if (!path.starts_with('/')) {
    std::error_code removed;  // the working directory
    const auto working = std::filesystem::current_path(removed);
    directory_ = removed ? "/dev/null/" : (working / path).string();  // below which nothing is
  }
  if (!directory_.ends_with('/')) directory_ += '/';
}

void Root::put_before(const char* path, std::string& out) const {
  out.clear();
  if (path[0] != '/' && path[0] != '\0') out = directory_;  // "" is no file, not the root
  out += path;
}

bool is_regular(const char* path) noexcept {
  struct statx status{};
  return ::statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
         S_ISREG(status.stx_mode);
}

}  // namespace ringfeed::io
