#include "io/credits.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "base/out_of_memory.h"

namespace ringfeed::io {
namespace {

Arena arena(std::size_t bytes, const char* of_what, Option lower) {
  try {
    return Arena(bytes);
  } catch (const std::bad_alloc&) {
    throw OutOfMemory("no address space for the " + std::to_string(bytes) + " bytes " + of_what +
                          "; lower {}, or " + OutOfMemory::raise_the_limit,
                      {lower});
  }
}

}  // namespace

Buffer::~Buffer() {
  if (credits_ != nullptr) (reserve_ ? credits_->reserve_ : credits_->main_).free(extent_);
}

std::byte* Buffer::data() const noexcept {
  return (reserve_ ? credits_->reserve_ : credits_->main_).data(extent_);
}

void Buffer::shrink(std::size_t bytes) noexcept {
  // The reserve is granted whole and comes back whole.
  if (credits_ != nullptr && !reserve_) credits_->main_.shrink(extent_, bytes);
}

Credits::Credits(std::size_t bytes, std::size_t reserve)
    : main_(arena(bytes, "that are read ahead", Option::read_ahead_bytes)),
      reserve_(arena(reserve, "kept for one large file", Option::max_file_bytes)) {}

void Credits::note_peak() noexcept { peak_ = std::max(peak_, in_use()); }

Buffer Credits::try_acquire(std::size_t bytes) {
  if (growth_waits()) return {};
  const auto extent = main_.allocate(bytes);
  if (!extent) return {};
  note_peak();
  return {this, *extent, false};
}

void Credits::request(Growth& growth) {
  const auto at =
      std::upper_bound(growing_.begin(), growing_.end(), growth.sequence,
                       [](std::uint64_t sequence, Growth* g) { return sequence < g->sequence; });
  growing_.insert(at, &growth);
}

void Credits::withdraw(Growth& growth) noexcept { std::erase(growing_, &growth); }

void Credits::serve_growth(std::uint64_t oldest) {
  while (!growing_.empty()) {
    Growth& first = *growing_.front();
    if (!grow_from_free(first) && !(first.sequence == oldest && grow_from_reserve(first))) return;
    growing_.erase(growing_.begin());
    note_peak();
    first.granted();
  }
}

bool Credits::grow_from_free(Growth& growth) {
  Buffer& buffer = *growth.buffer;
  if (main_.extend(buffer.extent_, growth.wanted)) return true;
  const auto extent = main_.allocate(growth.wanted);
  if (!extent) return false;
  move_to(growth, {this, *extent, false});
  return true;
}

bool Credits::grow_from_reserve(Growth& growth) {
  const auto extent = reserve_.allocate(reserve_.capacity());
  if (!extent) return false;
  move_to(growth, {this, *extent, true});
  return true;
}

void Credits::move_to(Growth& growth, Buffer larger) {
  note_peak();  // both are held while the bytes move
  std::memcpy(larger.data(), growth.buffer->data(), growth.used);
  *growth.buffer = std::move(larger);
}

}  // namespace ringfeed::io
