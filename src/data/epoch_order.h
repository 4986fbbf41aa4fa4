#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ringfeed/order.h"

namespace ringfeed::data {

/// One sample of a rank's epoch.
struct Sample {
  std::uint64_t position = 0;  ///< place in the epoch's global order; keys every random draw
  std::uint32_t entry = 0;     ///< of the dataset
  bool padding = false;        ///< repeated only so that ranks get equal shares
};

struct OrderOptions {
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
  bool shuffle = true;
  int rank = 0;
  int world_size = 1;
  Uneven uneven = Uneven::pad;
  std::uint64_t start = 0;  ///< positions consumed before, by whatever number of ranks
};

/// The order in which one rank visits the dataset in one epoch, or what is left of it after
/// `start`; immutable, any thread. Local sample k of rank r stands at global position start + k *
/// world_size + r, as DistributedSampler deals them. The permutation is Philox-keyed by (seed,
/// epoch) and the same on every rank and for every start.
class EpochOrder {
 public:
  /// `indices` nullopt: 0 … dataset_size - 1. Throws std::invalid_argument for a rank outside
  /// [0, world_size) or an index outside the dataset.
  EpochOrder(std::size_t dataset_size, std::optional<std::span<const std::uint32_t>> indices,
             const OrderOptions& options);

  std::size_t size() const noexcept;  ///< of this rank, padding included
  Sample operator[](std::size_t k) const noexcept;
  /// Positions of the whole epoch, padding not counted.
  std::size_t total() const noexcept { return order_.size(); }
  const OrderOptions& options() const noexcept { return options_; }

  /// size() without building the order; `total` is of the whole epoch.
  static std::size_t share(std::size_t total, const OrderOptions& options) noexcept;

 private:
  std::vector<std::uint32_t> order_;  // the whole epoch, all ranks
  OrderOptions options_;
  std::size_t size_ = 0;
};

}  // namespace ringfeed::data
