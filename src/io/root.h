#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace ringfeed::io {

/// The directory that relative paths start from; the working directory if `path` is empty.
/// Throws LoadError (stage setup).
FileDescriptor open_root(const std::string& path);

/// Whether `path`, below `root` unless absolute, is a regular file, as far as is known without
/// asking a server.
bool is_regular(int root, const char* path) noexcept;

}  // namespace ringfeed::io
