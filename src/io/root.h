#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace ringfeed::io {

/// The directory that relative paths start from; the working directory if `path` is empty.
/// Throws LoadError (stage setup).
FileDescriptor open_root(const std::string& path);

}  // namespace ringfeed::io
