#include "data/batch_order.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringfeed::data {

BatchOrder in_batches(EpochOrder order, std::size_t batch_size, bool drop_last) {
  return [order = std::move(order), batch_size, drop_last,
          k = std::size_t{0}]() mutable -> std::optional<OrderedBatch> {
    const std::size_t size = std::min(batch_size, order.size() - k);
    if (size == 0 || (drop_last && size < batch_size)) return std::nullopt;
    OrderedBatch batch;
    batch.samples.reserve(size);
    for (const std::size_t end = k + size; k < end; ++k) batch.samples.push_back(order[k]);
    const std::uint64_t end =
        order.options().start + k * static_cast<std::uint64_t>(order.options().world_size);
    batch.end = size < batch_size ? order.total() : std::min<std::uint64_t>(end, order.total());
    return batch;
  };
}

BatchOrder from_source(BatchSource source, std::size_t dataset_size, const OrderOptions& options) {
  return [source = std::move(source), dataset_size,
          ranks = static_cast<std::uint64_t>(options.world_size),
          rank = static_cast<std::uint64_t>(options.rank), position = options.start,
          number = std::uint64_t{0}]() mutable -> std::optional<OrderedBatch> {
    const auto indices = source();
    if (!indices) return std::nullopt;
    const auto refuse = [&](const std::string& what) {
      throw std::invalid_argument("the BatchSource's batch " + std::to_string(number) + " " + what);
    };
    if (indices->empty()) refuse("is empty");
    OrderedBatch batch;
    batch.samples.reserve(indices->size());
    for (const std::uint32_t index : *indices) {
      if (index >= dataset_size) {
        refuse("holds " + std::to_string(index) + ", but the dataset has " +
               std::to_string(dataset_size) + " entries");
      }
      batch.samples.push_back({position + rank, index, false});
      position += ranks;
    }
    ++number;
    batch.end = position;
    return batch;
  };
}

}  // namespace ringfeed::data
