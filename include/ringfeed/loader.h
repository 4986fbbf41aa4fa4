#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ringfeed/batch.h"
#include "ringfeed/dataset.h"
#include "ringfeed/detail/epoch_iterator.h"
#include "ringfeed/error.h"
#include "ringfeed/failure.h"
#include "ringfeed/order.h"
#include "ringfeed/reader_kind.h"
#include "ringfeed/stats.h"
#include "ringfeed/transform.h"

namespace ringfeed {

/// The largest values that a Loader takes.
namespace largest {
inline constexpr int batch_size = std::numeric_limits<int>::max();
inline constexpr int num_workers = 1024;
inline constexpr int prefetch_factor = 1024;
inline constexpr int depth = 16384;
inline constexpr std::size_t read_ahead_bytes = std::size_t{1} << 40;
inline constexpr std::size_t max_file_bytes = std::size_t{2} << 30;
inline constexpr std::uint64_t max_pixels = std::uint64_t{1} << 62;
inline constexpr int max_scans = std::numeric_limits<int>::max();
inline constexpr std::size_t max_decoder_bytes = std::size_t{1} << 40;
inline constexpr std::size_t views = 256;
inline constexpr std::size_t max_canvas_bytes = std::size_t{1} << 40;
inline constexpr int retries = 100;
}  // namespace largest

struct LoaderOptions {
  int batch_size = 256;     ///< memory is measured out for no more samples than there are
  int num_workers = 0;      ///< decode threads; 0: usable_cores()
  int prefetch_factor = 0;  ///< decoded batches ahead, in all; 0: 2, or 1 where memory is short
  bool shuffle = true;
  bool drop_last = false;
  bool in_order = true;  ///< false: batches (whole, unchanged) come as they complete
  std::uint64_t seed = 0;
  int rank = 0;
  int world_size = 1;
  Uneven uneven = Uneven::pad;
  /// Dataset entries to use, in this order; nullopt: all. An empty list is an epoch of no batches.
  /// With a BatchSource: those that OnError::replace draws from.
  std::optional<std::vector<std::uint32_t>> indices{};

  ReaderKind reader = ReaderKind::automatic;
  /// Encoded bytes ahead; 0: 128 KiB a file of depth; where that is 0 too, no more than the larger
  /// of 4 MiB a worker and 32 MiB; and at most a quarter of this rank's part of the memory that the
  /// container or the machine has left.
  std::size_t read_ahead_bytes = 0;
  std::size_t max_file_bytes = std::size_t{64} << 20;
  int depth = 0;  ///< files in flight; 0: clamp(320 x workers, 64, 1024)
  /// The whole bound of memory_bound(); 0: none, and what is left in the container (the cgroup) or
  /// of the machine's memory is asked for. The others, read_ahead_bytes and prefetch_factor, then
  /// follow it where they are 0, and next() throws std::bad_alloc for batches that cannot fit.
  std::size_t memory_limit = 0;
  std::chrono::nanoseconds timeout{0};  ///< longest wait for a batch; 0: for ever
  OnError on_error = OnError::raise;    ///< replace is for training, raise for measuring
  /// How often files may fail in an epoch on this rank, before Progress too: a number, or below 1 a
  /// share of samples_per_epoch(). A file that comes again counts again. Each batch with one more
  /// is an error.
  double max_failures = std::numeric_limits<double>::infinity();
  /// Times that a file is opened again after EIO, ESTALE, EAGAIN, ETIMEDOUT or ENOTCONN: 50 ms
  /// later, then after twice as long each time, 5 s at most.
  int retries = 0;
  /// Called on the consumer thread every 100 ms while next() waits, and on the caller's once at
  /// the start of draws() and every 100 ms of it (or after each file, where no thread can be
  /// started). May throw: they pass it on, and no batch is lost.
  std::function<void()> while_waiting{};
  DecodeLimits limits{};
  std::shared_ptr<BatchAllocator>
      allocator{};  ///< null: make_huge_page_allocator(prefetch_factor + 2)
};

/// The cores this process may keep busy: its affinity mask, and of what all `ranks` processes of
/// its job on this machine have together (mask, cpuset, cgroup quota) no more than its part; at
/// least 1. `ranks` 0: what the launcher says (torchrun, Lightning, accelerate, MPI, srun), else 1.
int usable_cores(int ranks = 0);

/// The random choices for one sample. A RandomResizedCrop cuts this box from the image, mirrored
/// before where the plan says so; ResizeRandomCrop cuts it from the resized image; for the other
/// geometries it is the whole image.
struct Draw {
  std::uint64_t position = 0;                    ///< place in the epoch's global order
  std::uint32_t index = 0;                       ///< entry of the dataset
  int top = 0, left = 0, height = 0, width = 0;  ///< pixels
  bool hflip = false;
  Interpolation interpolation = Interpolation::bilinear;  ///< of the plan's geometry
  std::vector<Operation> operations{};  ///< of the plan's augmentation, in the order of their turn
  std::vector<Box> erased{};            ///< by the plan's erasing, in this order
  std::uint64_t noise_key = 0;          ///< of the noise in them: see erasing_noise()

  bool operator==(const Draw&) const = default;
};

/// The first `count` numbers of the noise that fills box number `box` of draw.erased: [3, height,
/// width] for Fill::noise, [3] for Fill::channel_noise. Every machine has the same.
std::vector<float> erasing_noise(const Draw& draw, std::size_t box, std::size_t count);

namespace pipeline {
class Pipeline;
class EpochRun;
}  // namespace pipeline

/// What Epoch::try_next() gives: a batch, the error in a batch's place, or neither at the end.
struct NextBatch {
  std::optional<Batch> batch{};
  std::optional<Error> error{};  ///< of the batch's first failed sample

  /// False at the end of the epoch.
  explicit operator bool() const noexcept { return batch || error; }
};

/// One pass over this rank's share. Single consumer thread; an input range, with next() and
/// try_next() beneath it.
class Epoch {
 public:
  Epoch(Epoch&&) noexcept;
  Epoch& operator=(Epoch&&) noexcept;
  /// Abandons what is left; never waits for I/O.
  ~Epoch();

  /// The next batch, or the error of its first failed sample: that batch counts as taken, and the
  /// next call goes on behind it. Neither at the end of the epoch or after Loader::stop().
  ///
  /// What no batch is to blame for is thrown, and no batch is lost: LoadError of stage setup where
  /// the threads cannot start, std::invalid_argument where $RINGFEED_READER names no reader,
  /// TimeoutError naming the files outstanding after `timeout`, std::bad_alloc naming the options
  /// to lower where the batches do not fit in the memory there is, what while_waiting, the
  /// allocator or a BatchSource throws, and std::logic_error in a forked child or once another
  /// epoch of the loader has begun.
  ///
  /// @code
  /// ringfeed::Loader loader(ringfeed::ImageFolder::open("imagenet/train"),
  ///                         ringfeed::TransformPlan::imagenet_train());
  /// ringfeed::Epoch epoch = loader.epoch(0);
  /// while (const ringfeed::NextBatch next = epoch.try_next()) {
  ///   if (next.error) {
  ///     std::cerr << next.error->message() << "\n";
  ///   } else {
  ///     std::cout << next.batch->size() << "\n";
  ///   }
  /// }
  /// @endcode
  NextBatch try_next();

  /// The same for those who prefer exceptions: throws the error as LoadError.
  std::optional<Batch> next();

  /// Batches this epoch yields from its start position on; nothing with a BatchSource.
  std::optional<std::size_t> size() const noexcept;

  /// The files that could not be loaded, of the batches taken so far; any thread.
  Failures failures() const;

  /// What has been taken so far, failed batches included; consumer thread. Give it to
  /// Loader::epoch() to go on from here.
  Progress progress() const;

  using iterator = detail::EpochIterator<Epoch, Batch>;
  iterator begin() {
    current_ = next();
    return {this, &current_};
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class Loader;
  Epoch(std::shared_ptr<pipeline::Pipeline> pipeline, std::unique_ptr<pipeline::EpochRun> run);
  std::shared_ptr<pipeline::Pipeline> pipeline_;
  std::unique_ptr<pipeline::EpochRun> run_;
  std::optional<Batch> current_;
};

/// Reads, decodes and batches a folder. Threads start at the first next() and serve all epochs;
/// one epoch is active at a time: the first next() of another ends it. epoch() and next() belong to
/// one consumer thread; stop(), stats() and memory_bound() may be called from any.
///
/// @code
/// ringfeed::Loader loader(ringfeed::ImageFolder::open("imagenet/train"),
///                         ringfeed::TransformPlan::imagenet_train(), {.batch_size = 64});
/// for (std::uint64_t epoch = 0; epoch < 90; ++epoch) {
///   for (const ringfeed::Batch& batch : loader.epoch(epoch)) {
///     std::cout << batch.size() << " images, the first of class " << batch.labels[0] << "\n";
///   }
/// }
/// std::cout << loader.stats().verdict_line() << "\n";
/// @endcode
class Loader {
 public:
  /// Throws OptionError for options that make no sense, stating the legal range, and
  /// std::invalid_argument for such a plan.
  Loader(ImageFolder dataset, TransformPlan plan, LoaderOptions options = {});
  /// Several views of every image, one for each of `plans`, all of one decode: Batch::views has as
  /// many, and each draws for itself.
  ///
  /// @code
  /// ringfeed::TransformPlan small = ringfeed::TransformPlan::imagenet_train();
  /// small.geometry = ringfeed::RandomResizedCrop{.height = 96, .width = 96, .scale_max = 0.4};
  /// const std::vector plans{ringfeed::TransformPlan::imagenet_train(), small, small};
  /// ringfeed::Loader loader(ringfeed::ImageFolder::open("imagenet/train"), plans);
  /// for (const ringfeed::Batch& batch : loader.epoch(0)) {
  ///   std::cout << batch.pixels(0).size() << " bytes, " << batch.pixels(2).size() << " bytes\n";
  /// }
  /// @endcode
  Loader(ImageFolder dataset, std::vector<TransformPlan> plans, LoaderOptions options = {});
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;
  ~Loader();

  /// Begins epoch `epoch`, or goes on from `start`, with any world size. The order and every draw
  /// are a function of (dataset, seed, epoch, position) alone: sample k of this rank since `start`
  /// stands at start.positions + k * world_size + rank. Throws std::invalid_argument where
  /// start.beyond is not ascending. `order_of`: the epoch whose order is taken, with the crops and
  /// all other draws of `epoch`; nothing: `epoch`.
  Epoch epoch(std::uint64_t epoch, const Progress& start = {},
              std::optional<std::uint64_t> order_of = std::nullopt);
  /// The same with an order made elsewhere. `source` begins with the batch that follows
  /// start.positions; it also gives those of start.beyond, which are not loaded again. A batch may
  /// be of any size but 0; one above batch_size, or above this rank's share of the dataset, takes
  /// its memory beyond memory_bound().
  Epoch epoch(std::uint64_t epoch, BatchSource source, const Progress& start = {});

  /// The random choices of this rank's samples in `epoch`, in the order of delivery (in_order): a
  /// Draw for each view of a sample, in the order of the plans, then the next sample's. Reads the
  /// beginning of every file concerned, several at once; any thread. Throws LoadError for the first
  /// file whose size cannot be told, or that a plan cannot be carried out on. `order_of`: as in
  /// epoch(). `failed`: what Epoch::failures() says of that epoch, after it has run: which files
  /// fail cannot be known before. With OnError::replace their positions then have the substitutes,
  /// with OnError::skip they are left out, as in the batches.
  std::vector<Draw> draws(std::uint64_t epoch, std::optional<std::uint64_t> order_of = std::nullopt,
                          const Failures& failed = {}) const;
  /// The same for an order made elsewhere: sample k of this rank is entry `order[k]`.
  std::vector<Draw> draws(std::uint64_t epoch, std::span<const std::uint32_t> order,
                          const Failures& failed = {}) const;

  std::size_t batches_per_epoch() const noexcept;
  std::size_t samples_per_epoch() const noexcept;  ///< of this rank, padding included
  /// The most bytes the loader holds at any moment: read-ahead, the reserve for one large file,
  /// prefetch_factor batches and two more (the one taken and the one before), the decoders and what
  /// their images share, the index and the order. Further batches that the caller keeps are not
  /// counted.
  std::size_t memory_bound() const noexcept;
  Stats stats() const;
  /// Ends every epoch: next() returns nothing. Waits for the running decodes and, a few seconds at
  /// most, for the reads in flight; what still hangs then is named, and set aside until it has been
  /// answered. In a forked child it does nothing.
  void stop();

 private:
  std::shared_ptr<pipeline::Pipeline> pipeline_;
};

}  // namespace ringfeed
