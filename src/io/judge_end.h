#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfeed::io {

/// A read that has just succeeded, and the file so far.
struct ReadSoFar {
  std::size_t asked = 0;    ///< bytes, of this read
  std::size_t got = 0;      ///< bytes, by this read; 0 at the end of the file
  std::size_t total = 0;    ///< bytes of the file that are there, these included
  std::size_t room = 0;     ///< bytes of the buffer
  bool tail_clean = false;  ///< the last bytes look like the end of the file's format
};

enum class EndVerdict : std::uint8_t {
  too_large,  ///< more than the largest legal file
  empty,      ///< no bytes and none to come
  ended,      ///< a read behind the last byte gave 0
  believed,   ///< short, with a clean tail: as good as ended, unless the decoder misses data
  grow,       ///< the buffer is full, and nothing says that the file ends here
  read_on,    ///< short, but without a clean tail
};

/// Where a file ends, whose size nobody has asked for. A file system may hand out what it has
/// before it reports an error, so a short read ends a file only if its last bytes agree.
EndVerdict judge_end(const ReadSoFar& read, std::size_t max_file_bytes) noexcept;

}  // namespace ringfeed::io
