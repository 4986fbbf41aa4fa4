#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "ringfeed/batch.h"
#include "ringfeed/dataset.h"
#include "ringfeed/error.h"
#include "ringfeed/stats.h"
#include "ringfeed/transform.h"

namespace ringfeed {

/// automatic: io_uring where the kernel and the container allow it, else a pool of pread threads.
enum class ReaderKind : std::uint8_t { automatic, ring, pool };

/// What happens where the ranks' shares are not equal, in DistributedSampler's terms.
enum class Uneven : std::uint8_t {
  pad,   ///< repeat samples from the start (drop_last=False)
  drop,  ///< leave the tail out (drop_last=True)
  keep,  ///< each sample exactly once; ranks may differ by one
};

struct LoaderOptions {
  int batch_size = 256;
  int num_workers = 0;      ///< decode threads; 0: the cores this process may run on
  int prefetch_factor = 2;  ///< decoded batches ahead, in all
  bool shuffle = true;
  bool drop_last = false;
  bool in_order = true;  ///< false: batches (whole, unchanged) come as they complete
  std::uint64_t seed = 0;
  int rank = 0;
  int world_size = 1;
  Uneven uneven = Uneven::pad;
  std::vector<std::uint32_t> indices{};  ///< dataset entries to use, in this order; empty: all

  ReaderKind reader = ReaderKind::automatic;  ///< automatic also asks $RINGFEED_READER
  std::size_t read_ahead_bytes = 0;           ///< encoded bytes ahead; 0: 128 KiB a file of depth
  std::size_t max_file_bytes = std::size_t{64} << 20;
  int depth = 0;                        ///< files in flight; 0: clamp(320 x workers, 64, 1024)
  std::size_t memory_limit = 0;         ///< the whole bound of memory_bound(); 0: none
  std::chrono::nanoseconds timeout{0};  ///< longest wait for a batch; 0: for ever
  DecodeLimits limits{};
  std::shared_ptr<BatchAllocator>
      allocator{};  ///< null: make_huge_page_allocator(prefetch_factor + 2)
};

namespace detail {
class Pipeline;
class Run;
}  // namespace detail

/// One pass over this rank's share. Single consumer thread; an input range, and next() beneath.
class Epoch {
 public:
  Epoch(Epoch&&) noexcept;
  Epoch& operator=(Epoch&&) noexcept;
  /// Abandons what is left; never waits for I/O.
  ~Epoch();

  /// The next batch, or nothing at the end of the epoch or after Loader::stop(). Throws LoadError
  /// for the first failed sample of the batch whose turn it is; that batch counts as consumed and
  /// next() may go on. Throws TimeoutError naming the files outstanding after `timeout`, and
  /// std::logic_error in a forked child or once another epoch of the loader has begun.
  std::optional<Batch> next();

  /// Batches this epoch yields from its start position on.
  std::size_t size() const noexcept;

  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = Batch*;
    using reference = Batch&;
    Batch& operator*() const noexcept { return **current_; }
    Batch* operator->() const noexcept { return &**current_; }
    iterator& operator++() {
      *current_ = epoch_->next();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const noexcept { return !current_->has_value(); }

   private:
    friend class Epoch;
    iterator(Epoch* epoch, std::optional<Batch>* current) : epoch_(epoch), current_(current) {}
    Epoch* epoch_;
    std::optional<Batch>* current_;
  };
  iterator begin() {
    current_ = next();
    return {this, &current_};
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class Loader;
  explicit Epoch(std::shared_ptr<detail::Run> run);
  std::shared_ptr<detail::Run> run_;
  std::optional<Batch> current_;
};

/// No batch within LoaderOptions::timeout.
class TimeoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Reads, decodes and batches a folder. Threads start at the first epoch() and serve all epochs;
/// one epoch is active at a time: the first next() of another ends it. epoch() and next() belong to
/// one consumer thread; stop(), stats() and memory_bound() may be called from any.
class Loader {
 public:
  /// Throws std::invalid_argument for options that make no sense, stating the legal range.
  Loader(ImageFolder dataset, TransformPlan plan, LoaderOptions options = {});
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;
  ~Loader();

  /// Begins epoch `epoch` at local batch `first_batch`. The order and every draw are a function
  /// of (dataset, seed, epoch, position) alone.
  Epoch epoch(std::uint64_t epoch, std::size_t first_batch = 0);

  std::size_t batches_per_epoch() const noexcept;
  std::size_t samples_per_epoch() const noexcept;  ///< of this rank, padding included
  /// The most bytes the loader holds at any moment: read-ahead, the reserve for one large file,
  /// prefetch_factor batches and two more (the one taken and the one before), the decoders, the
  /// index and the order. Further batches that the caller keeps are his.
  std::size_t memory_bound() const noexcept;
  Stats stats() const;
  /// Ends every epoch: next() returns nothing. Waits for the running decodes and, a few seconds at
  /// most, for the reads in flight; what still hangs then is set aside, never freed, and named.
  /// In a forked child it does nothing.
  void stop();

 private:
  std::shared_ptr<detail::Pipeline> pipeline_;
};

}  // namespace ringfeed
