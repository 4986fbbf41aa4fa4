#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/file_descriptor.h"

namespace ringfeed::io {

/// A slot of the pool: its file, and the operation that one thread runs on it. Both calls block.
struct PoolSlot {
  /// 0 or an errno; `file` is empty before.
  int open_file();
  /// Bytes, or -errno.
  int read_file() const;

  FileDescriptor file;
  std::string path;  ///< from "/"
  std::span<std::byte> buffer;
  std::uint64_t offset = 0;
  bool open = false;  ///< opens `path` first; else reads on
  bool wait = false;  ///< open and read without O_NONBLOCK
};

}  // namespace ringfeed::io
