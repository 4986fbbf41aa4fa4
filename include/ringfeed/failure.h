#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ringfeed/error.h"

namespace ringfeed {

/// What becomes of a sample whose file cannot be read or decoded. Errors that are no file's fault
/// are always raised: memory or descriptors at their end, a file system that is not there any more.
enum class OnError : std::uint8_t {
  raise,  ///< its batch is an error: that of the first failed sample
  skip,   ///< its batch comes without it, in order; one without any sample left is an error
  /// Another entry takes its place: drawn from (seed, epoch, position) alone, among all entries or
  /// LoaderOptions::indices, and with the position's own crop. One that fails too is replaced in
  /// turn; the 16th makes the batch an error.
  replace,
};

/// A file that could not be loaded.
struct Failure {
  std::uint64_t position = 0;  ///< of the sample, in the epoch's global order
  std::uint32_t index = 0;     ///< entry of the dataset that failed
  Error error;
  std::optional<std::uint32_t> substitute;  ///< entry that came in its place; nothing: none did
};

/// Those of an epoch, or of what has been taken of it.
///
/// @code
/// const ringfeed::Failures failures;  // epoch.failures()
/// std::cerr << failures.count << " files could not be loaded\n";
/// for (const ringfeed::Failure& failure : failures.first) {
///   std::cerr << failure.position << ": " << failure.error.message() << "\n";
/// }
/// @endcode
struct Failures {
  static constexpr std::size_t most_listed = 1000;

  std::uint64_t count = 0;
  std::vector<Failure> first{};  ///< of the count, at most most_listed, as their batches came
};

}  // namespace ringfeed
