#pragma once

#include <string>

namespace ringfeed::io {

/// The directory that relative paths start from, by its name: no descriptor is kept, so that every
/// open finds what has that name by then (a file system mounted anew, a link turned elsewhere), and
/// nothing keeps it from being unmounted.
class Root {
 public:
  /// Counts from the working directory of now.
  explicit Root(const std::string& path);

  /// Writes `path`, put behind the root unless it is absolute, into `out` (capacity reused).
  void put_before(const char* path, std::string& out) const;

 private:
  std::string directory_;  // ends in '/'
};

/// Whether `path` is a regular file, as far as is known without asking a server.
bool is_regular(const char* path) noexcept;

}  // namespace ringfeed::io
