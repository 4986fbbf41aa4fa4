#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <tuple>

#include "ringfeed/loader.h"
#include "support/image_folder.h"

namespace ringfeed::testing {

/// 105 images in 5 classes of 21.
inline const SampleFolder& folder() {
  static const SampleFolder folder(5, 21);
  return folder;
}

inline ImageFolder open(const std::filesystem::path& root) {
  ScanOptions options;
  options.use_cache = false;
  return ImageFolder::open(root, options);
}

inline TransformPlan small_plan() {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = 8, .width = 12};
  return plan;
}

inline LoaderOptions small_options(ReaderKind reader = ReaderKind::automatic) {
  LoaderOptions options;
  options.batch_size = 8;
  options.num_workers = 2;
  options.max_file_bytes = 1 << 20;
  options.reader = reader;
  return options;
}

/// position -> (index, label, tensor bytes); every position at most once.
using Delivered = std::map<std::uint64_t, std::tuple<std::uint32_t, std::int64_t, std::string>>;

inline void collect(const Batch& batch, Delivered& into) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto pixels = batch.sample(i);
    const bool added =
        into.try_emplace(batch.positions[i], batch.indices[i], batch.labels[i],
                         std::string(reinterpret_cast<const char*>(pixels.data()), pixels.size()))
            .second;
    CHECK(added);
  }
}

inline void collect(Epoch&& epoch, Delivered& into) {
  for (Batch& batch : epoch) collect(batch, into);
}

inline Delivered whole_epoch(const LoaderOptions& options, std::uint64_t epoch = 3) {
  Loader loader(open(folder().root()), small_plan(), options);
  Delivered delivered;
  collect(loader.epoch(epoch), delivered);
  return delivered;
}

/// Counts the batches it has out, and refuses call number `refused`.
class TestAllocator final : public BatchAllocator {
 public:
  BatchMemory allocate(std::size_t bytes) override {
    if (calls++ == refused) throw std::bad_alloc();
    auto* const data = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    most = std::max(most, ++*out);
    return {data, bytes, std::shared_ptr<std::byte>(data, [out = out](std::byte* memory) {
              std::free(memory);
              --*out;
            })};
  }
  std::size_t footprint(std::size_t bytes) const noexcept override { return bytes + extra; }

  int calls = 0, refused = -1;
  int most = 0;  // out at once
  std::size_t extra = 0;
  std::shared_ptr<std::atomic<int>> out = std::make_shared<std::atomic<int>>(0);
};

constexpr ReaderKind readers[] = {ReaderKind::ring, ReaderKind::pool};

}  // namespace ringfeed::testing
