#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace ringfeed {

/// automatic: what $RINGFEED_READER names, else io_uring where the kernel and the container allow
/// it, else a pool of pread threads.
enum class ReaderKind : std::uint8_t { automatic, ring, pool };

/// Each kind with its name in $RINGFEED_READER, on the command line and in Python.
inline constexpr std::pair<std::string_view, ReaderKind> reader_kinds[] = {
    {"auto", ReaderKind::automatic}, {"ring", ReaderKind::ring}, {"pool", ReaderKind::pool}};

/// Nothing where no kind has that name.
///
/// @code
/// const auto kind = ringfeed::parse_reader_kind("pool");
/// std::cout << (kind == ringfeed::ReaderKind::pool) << "\n";
/// @endcode
constexpr std::optional<ReaderKind> parse_reader_kind(std::string_view name) noexcept {
  for (const auto& [candidate, kind] : reader_kinds) {
    if (candidate == name) return kind;
  }
  return std::nullopt;
}

}  // namespace ringfeed
