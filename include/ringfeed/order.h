#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace ringfeed {

/// What happens where the ranks' shares are not equal, in DistributedSampler's terms.
enum class Uneven : std::uint8_t {
  pad,   ///< repeat samples from the start (drop_last=False)
  drop,  ///< leave the tail out (drop_last=True)
  keep,  ///< each sample exactly once; ranks may differ by one
};

/// How far an epoch has come: what Loader::epoch() goes on from. The same on every rank that has
/// taken as many batches, but for `failed`.
struct Progress {
  /// Places of the epoch's global order that all ranks together have consumed, from the front.
  /// Padding is not counted: the loader's own order ends at its length.
  std::uint64_t positions = 0;
  /// With in_order = false: batches of this rank taken beyond that, counted from there; ascending.
  /// They mean something for the same batch_size and world_size only.
  std::vector<std::uint64_t> beyond{};
  /// Files that on_error has let pass on this rank so far: max_failures counts on from there.
  std::uint64_t failed = 0;

  bool operator==(const Progress&) const = default;
};

/// An order made elsewhere, such as by a weighted sampler: the dataset entries of the next batch of
/// this rank, or nothing at the end. Called on the consumer thread from within next(), up to a
/// window of read-ahead before the batch is taken: prefetch_factor batches, and as many more as
/// make depth x 8 samples. What it throws ends the order: next() passes it on once, after the
/// batches before it. Released on the consumer thread, at its end or with the Epoch.
///
/// @code
/// // Each of ten entries twice, four a batch.
/// ringfeed::BatchSource source =
///     [next = 0u]() mutable -> std::optional<std::vector<std::uint32_t>> {
///   if (next == 20) return std::nullopt;
///   std::vector<std::uint32_t> entries;
///   while (entries.size() < 4) entries.push_back(next++ / 2);
///   return entries;
/// };
/// while (const auto entries = source()) std::cout << entries->front() << "\n";
/// @endcode
using BatchSource = std::function<std::optional<std::vector<std::uint32_t>>()>;

}  // namespace ringfeed
