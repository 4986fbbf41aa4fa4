#include "io/depth_limit.h"

#include <algorithm>
#include <cerrno>

namespace ringfeed::io {

bool DepthLimit::out_of_resources(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
         error == EAGAIN;
}

void DepthLimit::operation_started(std::uint32_t slot) noexcept {
  only_slot_ = operations_ == 0 ? std::optional(slot) : std::nullopt;
  ++operations_;
}

bool DepthLimit::refused(std::uint32_t slot, std::size_t in_flight) {
  if (only_slot_ == slot) return false;
  refused_.push_back(slot);
  freed_ = read_ = 0;
  limit_ = std::max<std::size_t>(1, in_flight - refused_.size());
  return true;
}

std::optional<std::uint32_t> DepthLimit::next_retry() noexcept {
  if (refused_.empty() || (freed_ == 0 && operations_ > 0)) return std::nullopt;
  if (freed_ > 0) --freed_;
  const std::uint32_t slot = refused_.front();
  refused_.pop_front();
  return slot;
}

void DepthLimit::forget(std::uint32_t slot) noexcept { std::erase(refused_, slot); }

void DepthLimit::file_read() noexcept {
  if (limit_ == slots_ || !refused_.empty() || ++read_ < files_per_rise) return;
  ++limit_;
  read_ = 0;
}

}  // namespace ringfeed::io
