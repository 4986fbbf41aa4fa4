#include "io/judge_end.h"

namespace ringfeed::io {

EndVerdict judge_end(const ReadSoFar& read, std::size_t max_file_bytes) noexcept {
  if (read.total > max_file_bytes) return EndVerdict::too_large;
  if (read.got == 0) return read.total == 0 ? EndVerdict::empty : EndVerdict::ended;
  if (read.total == read.room) return EndVerdict::grow;
  return read.got < read.asked && read.tail_clean ? EndVerdict::believed : EndVerdict::read_on;
}

}  // namespace ringfeed::io
