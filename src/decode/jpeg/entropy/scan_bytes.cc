#include "decode/jpeg/entropy/scan_bytes.h"

#include <algorithm>
#include <cstring>

#include "decode/jpeg/markers.h"

namespace ringfeed::decode {
namespace {

/// The next 0xFF, or `end`.
const std::uint8_t* next_ff(const std::uint8_t* from, const std::uint8_t* end) {
  const void* found = std::memchr(from, 0xFF, static_cast<std::size_t>(end - from));
  return found == nullptr ? end : static_cast<const std::uint8_t*>(found);
}

}  // namespace

bool ScanBytes::open(Bytes scan, std::size_t most, std::uint32_t restarts) {
  if (bytes_.size() < most + padding) bytes_.resize(most + padding);
  most_ = most;
  ready_ = restarts_ready_ = 0;
  restarts_ = restarts;
  restarts_read_ = 0;
  behind_ = scan.data();
  end_ = behind_ + scan.size();
  fill();
  if (unread() == 0) return false;
  // To EOI, whether or not the window reaches that far.
  const std::uint8_t* at = behind_;
  std::uint32_t number = restarts_read_;
  while (true) {
    at = next_ff(at, end_);
    if (end_ - at < 2) return false;
    if (is_restart(at, number)) {
      ++number;
    } else if (at[1] != 0) {
      break;
    }
    at += 2;
  }
  end_ = at;
  if (unread() == 0) std::memset(bytes_.data() + ready_, 0, padding);
  return begins_eoi(at) && number == restarts;
}

bool ScanBytes::is_restart(const std::uint8_t* at, std::uint32_t number) const {
  return number < restarts_ && begins_restart(at, number);
}

void ScanBytes::skip(std::size_t count, std::size_t intervals) {
  ready_ -= count;
  std::memmove(bytes_.data(), bytes_.data() + count, ready_);
  const std::size_t passed = std::min(intervals, restarts_ready_);
  restarts_ready_ -= passed;
  for (std::size_t i = 0; i < restarts_ready_; ++i) {
    ends_[i] = ends_[i + passed] - static_cast<std::uint32_t>(count);
  }
  fill();
  if (unread() == 0) std::memset(bytes_.data() + ready_, 0, padding);
}

/// Until the window is full, or a marker comes that is no restart.
void ScanBytes::fill() {
  while (ready_ < most_ && behind_ < end_ && restarts_ready_ < most_restarts) {
    const std::uint8_t* const last = behind_ + std::min(unread(), most_ - ready_);
    const std::uint8_t* const ff = next_ff(behind_, last);
    const auto count = static_cast<std::size_t>(ff - behind_);
    std::memcpy(bytes_.data() + ready_, behind_, count);
    ready_ += count;
    behind_ = ff;
    if (ff == last) continue;
    if (end_ - ff < 2) return;
    if (is_restart(ff, restarts_read_)) {
      ends_[restarts_ready_++] = static_cast<std::uint32_t>(ready_);
      ++restarts_read_;
    } else if (ff[1] == 0) {
      bytes_.data()[ready_++] = 0xFF;
    } else {
      return;
    }
    behind_ = ff + 2;
  }
}

}  // namespace ringfeed::decode
