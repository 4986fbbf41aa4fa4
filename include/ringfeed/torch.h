#pragma once

#include <torch/data/example.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "ringfeed/loader.h"
#include "ringfeed/mixing.h"

namespace ringfeed {

class Finisher;
class Mixer;

/// What a DataLoader does with the batches of its core.
struct TorchOptions {
  /// Batches in page-locked memory where CUDA is there, so that `.to(device,
  /// /*non_blocking=*/true)` copies while the GPU computes; torch's own allocator keeps such memory
  /// until the copy is done. Otherwise, and without CUDA, huge pages that are used again.
  /// LoaderOptions::allocator, where given, decides instead.
  bool pin_memory = true;
  /// Batches travel to this device as 8-bit images, a quarter of float32, and are normalised,
  /// converted, erased and mixed there, on the stream that is current at next(); every bit is the
  /// CPU's. memory_bound() counts the 8-bit batches. Such a plan may not erase with noise.
  std::optional<at::Device> finish_on{};
  /// Batches are mixed in place inside next(), and get float targets: for equal seeds those of
  /// Python's loader, bit for bit. memory_bound() does not count the targets, 4 bytes a class and
  /// sample. nullopt: labels.
  std::optional<Mixing> mixing{};
};

/// A Loader whose batches are tensors. Made with ringfeed_torch (pkg-config: ringfeed-torch) and
/// the torch it was built against. Threads as with Loader: epoch() and next() belong to one
/// consumer thread, one epoch is active at a time, and core().stop() and core().stats() may be
/// called from any.
class DataLoader {
 public:
  /// data: [B, 3, H, W] in the plan's dtype, strides as its layout says; target: int64 [B], of
  /// mixed batches float32 [B, classes]. Both on the CPU, or on TorchOptions::finish_on. Keep them
  /// as long as you like, on any thread, longer than the loader: the memory is theirs. The last
  /// batch of an epoch may be smaller.
  using Example = ::torch::data::Example<>;
  /// data: such a tensor for each view, over one block of memory that lives as long as any of them.
  using ViewsExample = ::torch::data::Example<std::vector<at::Tensor>>;

  /// One pass over this rank's share; an input range, and next() beneath.
  class Epoch {
   public:
    /// The next batch, or nothing at the end. Throws what ringfeed::Epoch::next() does: LoadError
    /// for the first failed sample of a batch, after which next() may go on; TimeoutError. And
    /// std::invalid_argument for a batch of a BatchSource that cannot be mixed, because timm's rule
    /// needs an even one or a label has no column: it counts as taken too.
    std::optional<Example> next();
    /// The same with every view of a loader of several plans; next() gives the first view alone.
    std::optional<ViewsExample> next_views();
    /// Batches from the start position on; nothing with a BatchSource.
    std::optional<std::size_t> size() const noexcept { return batches_.size(); }
    /// What has been taken; give it to DataLoader::epoch() to go on from here.
    Progress progress() const { return batches_.progress(); }

    using iterator = detail::EpochIterator<Epoch, Example>;
    iterator begin() {
      current_ = next();
      return {this, &current_};
    }
    std::default_sentinel_t end() const noexcept { return {}; }

   private:
    friend class DataLoader;
    Epoch(ringfeed::Epoch batches, const DataLoader& loader, std::uint64_t epoch);
    ringfeed::Epoch batches_;
    std::shared_ptr<const Finisher> finisher_;
    std::shared_ptr<const Mixer> mixer_;
    std::uint64_t seed_, epoch_;
    std::optional<Example> current_;
  };

  /// Throws OptionError for options that make no sense, std::invalid_argument for such a plan,
  /// c10::Error for a device that cannot be used.
  ///
  /// @code
  /// ringfeed::DataLoader loader(
  ///     ringfeed::ImageFolder::open("imagenet/train"), ringfeed::TransformPlan::imagenet_train(),
  ///     {.batch_size = 64},
  ///     {.mixing = ringfeed::Mixing{.mixup_alpha = 0.2, .cutmix_alpha = 1}});
  /// for (const auto& batch : loader.epoch(0)) {
  ///   std::cout << batch.data.sizes() << " " << batch.target.sizes() << "\n";  // [64, classes]
  /// }
  /// @endcode
  DataLoader(const ImageFolder& dataset, const TransformPlan& plan,
             const LoaderOptions& options = {}, const TorchOptions& torch_options = {});
  /// Several views of every image, one for each plan; see Loader. They are neither mixed nor
  /// finished on a device: OptionError.
  ///
  /// @code
  /// const std::vector plans(2, ringfeed::TransformPlan::imagenet_train());
  /// ringfeed::DataLoader loader(ringfeed::ImageFolder::open("imagenet/train"), plans);
  /// auto epoch = loader.epoch(0);
  /// while (const auto batch = epoch.next_views()) {
  ///   std::cout << batch->data[0].sizes() << " " << batch->data[1].sizes() << "\n";
  /// }
  /// @endcode
  DataLoader(ImageFolder dataset, std::vector<TransformPlan> plans, LoaderOptions options = {},
             const TorchOptions& torch_options = {});

  /// Begins epoch `epoch`, or goes on from `start`; see Loader::epoch(). Not of a temporary, which
  /// would be gone before the first batch. Throws OptionError where Mixing::Rule::timm would find
  /// an odd batch.
  Epoch epoch(std::uint64_t epoch, const Progress& start = {}) &;
  Epoch epoch(std::uint64_t epoch, BatchSource source, const Progress& start = {}) &;

  /// Batches an epoch.
  std::size_t size() const noexcept { return core_.batches_per_epoch(); }
  /// For stats(), draws(), memory_bound(), samples_per_epoch() and stop(). An epoch begun there
  /// ends the one begun here. With `finish_on` it has the plan up to the 8-bit image: its draws
  /// name no erased boxes.
  Loader& core() noexcept { return core_; }
  const Loader& core() const noexcept { return core_; }

 private:
  std::uint64_t seed_;
  Loader core_;
  std::shared_ptr<const Finisher> finisher_;
  std::shared_ptr<const Mixer> mixer_;
};

struct ImageNetOptions {
  std::filesystem::path data_root{};  ///< holds train/ and val/, each a folder of class folders
  int batch_size = 256;               ///< per rank
  int num_workers = 8;                ///< decode threads of each loader; 0: usable_cores()
  bool pin_memory = true;             ///< see TorchOptions
  int prefetch_factor = 0;            ///< decoded batches ahead, in all; see LoaderOptions
  bool drop_last = false;             ///< leave out the last, smaller training batch
  std::uint64_t seed = 0;             ///< of the training order, the crops and the flips
  int rank = 0;
  int world_size = 1;
  DecodeLimits limits{};  ///< what one image may ask for
  std::size_t max_file_bytes = LoaderOptions{}.max_file_bytes;
  int depth = 0;                      ///< files in flight; see LoaderOptions
  std::size_t read_ahead_bytes = 0;   ///< encoded bytes ahead; see LoaderOptions
  OnError on_error = OnError::raise;  ///< of the training loader; validation always raises
  /// See LoaderOptions; of the training loader.
  double max_failures = std::numeric_limits<double>::infinity();
  int retries = 0;  ///< of both loaders; see LoaderOptions
  TransformPlan train_plan = TransformPlan::imagenet_train();
  TransformPlan val_plan = TransformPlan::imagenet_val();
  std::optional<at::Device> finish_on{};  ///< see TorchOptions
  std::optional<Mixing> mixing{};         ///< of training batches; validation's stay as they are
};

/// ImageNet, or any set of that layout: training shuffled, cropped at random and flipped, 224 x
/// 224; validation in order, 256 to 224. One thread.
///
/// @code
/// ringfeed::ImageNetDataModule data({.data_root = "imagenet", .batch_size = 64});
/// data.setup();
/// ringfeed::DataLoader loader = data.train_dataloader();
/// for (const auto& batch : loader.epoch(0)) std::cout << batch.data.sizes() << "\n";
/// @endcode
class ImageNetDataModule {
 public:
  explicit ImageNetDataModule(ImageNetOptions options);

  /// Lists the folders that `stage` needs: "fit" both, "validate", "test" and "predict" val alone.
  /// What is there already is kept. Throws LoadError naming a folder that is missing or cannot be
  /// listed, or a class that train and val do not share; std::invalid_argument for other stages.
  void setup(std::string_view stage = "fit");

  /// These throw std::logic_error before setup().
  const ImageFolder& train_dataset() const;
  const ImageFolder& val_dataset() const;
  /// A new loader each. It owns its threads: keep it for all epochs.
  DataLoader train_dataloader() const;
  DataLoader val_dataloader() const;

 private:
  DataLoader make_loader(const ImageFolder& dataset, const TransformPlan& plan,
                         bool training) const;

  ImageNetOptions options_;
  std::optional<ImageFolder> train_, val_;
};

}  // namespace ringfeed
