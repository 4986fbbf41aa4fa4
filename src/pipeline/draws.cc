// Loader::draws(): the beginnings of the files give their sizes, and those the geometry.

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "augment/geometry.h"
#include "base/expected.h"
#include "base/thread_start.h"
#include "data/epoch_order.h"
#include "data/index.h"
#include "data/random.h"
#include "decode/image_size.h"
#include "io/root.h"
#include "pipeline/pipeline.h"
#include "ringfeed/loader.h"

namespace ringfeed {
namespace {

// Most headers end within it.
constexpr std::size_t first_bytes = 64 << 10;
// Files read at once. Each is a round trip or two to the storage and hardly any work.
constexpr int threads_per_worker = 8;
constexpr int most_threads = 64;

using Clock = std::chrono::steady_clock;

template <class Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// Reads the sizes of one loader's images, for one thread.
class SizeReader {
 public:
  SizeReader(const pipeline::Pipeline& pipeline, const FileDescriptor& root)
      : dataset_(pipeline.dataset), settings_(pipeline.settings), root_(root) {}

  Expected<decode::ImageSize> read(std::uint32_t index) {
    index_ = index;
    if (!dataset_.index().regular(index)) {
      return failed(Stage::open, 0,
                    "a FIFO, socket or device, not a regular file; remove it from the dataset");
    }
    dataset_.index().relative_path(index, path_);
    const FileDescriptor file(retry_interrupted(
        // O_NONBLOCK: a FIFO's open must not wait for a writer; its pread then gives ESPIPE.
        [&] { return ::openat(root_.get(), path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); }));
    if (!file) return failed(Stage::open, errno, "check that the file exists and may be read");

    std::size_t used = 0;
    for (std::size_t wanted = first_bytes;; wanted *= 2) {
      if (bytes_.size() < wanted) bytes_.resize(wanted);
      ssize_t count = 1;
      while (used < wanted && count > 0) {
        count = retry_interrupted([&] {
          return ::pread(file.get(), bytes_.data() + used, wanted - used, static_cast<off_t>(used));
        });
        if (count > 0) used += static_cast<std::size_t>(count);
      }
      if (count < 0) {
        return failed(Stage::read, errno, "after " + std::to_string(used) + " bytes");
      }
      auto size = decode::image_size({bytes_.data(), used}, settings_.limits);
      if (size) return *size;
      if (count == 0 || !size.error().truncated) {
        return failed(Stage::decode, 0, std::move(size.error().detail));
      }
      if (used > settings_.max_file_bytes) {
        return failed(Stage::read, EFBIG,
                      "larger than max_file_bytes = " + std::to_string(settings_.max_file_bytes) +
                          "; raise it or leave the file out");
      }
    }
  }

 private:
  tl::unexpected<Error> failed(Stage stage, int code, std::string detail) const {
    return fail(stage, code, dataset_.path(index_), std::move(detail));
  }

  const ImageFolder& dataset_;
  const pipeline::Settings& settings_;
  const FileDescriptor& root_;
  std::uint32_t index_ = 0;
  std::string path_;
  std::vector<std::byte> bytes_;
};

/// The sizes of `files`, by several threads. Throws LoadError for the first that has none.
class Sizes {
 public:
  Sizes(const pipeline::Pipeline& pipeline, const std::vector<std::uint32_t>& files)
      : pipeline_(pipeline),
        files_(files),
        root_(io::open_root(pipeline.dataset.root())),
        sizes_(files.size()) {}

  std::vector<decode::ImageSize> read() {
    const auto most = static_cast<std::size_t>(
        std::min(most_threads, threads_per_worker * pipeline_.settings.num_workers));
    // This thread is one of them.
    std::vector<std::thread> others;
    others.reserve(most);
    try {
      while (others.size() + 1 < std::min(most, files_.size())) {
        others.push_back(start_thread("rf-sizes", [this] { work({}); }));
      }
    } catch (const std::exception&) {
      // Slower with those there are.
    }
    work(pipeline_.settings.while_waiting);
    for (std::thread& thread : others) thread.join();
    if (broken_) std::rethrow_exception(broken_);
    if (error_) throw LoadError(std::move(*error_));
    return std::move(sizes_);
  }

 private:
  void work(const std::function<void()>& while_waiting) noexcept {
    try {
      SizeReader reader(pipeline_, root_);
      auto next_call = Clock::now();
      for (;;) {
        if (while_waiting && Clock::now() >= next_call) {
          while_waiting();
          next_call = Clock::now() + std::chrono::milliseconds(100);
        }
        // Files are taken in order, so all before a failed one have been taken too.
        const std::size_t i = next_++;
        if (i >= first_failed_) return;
        if (auto size = reader.read(files_[i])) {
          sizes_[i] = *size;
        } else {
          note_failure(i, std::move(size.error()));
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      broken_ = std::current_exception();
      first_failed_ = 0;
    }
  }

  void note_failure(std::size_t file, Error error) {
    const std::lock_guard lock(mutex_);
    if (file >= first_failed_) return;
    first_failed_ = file;
    error_ = std::move(error);
  }

  const pipeline::Pipeline& pipeline_;
  const std::vector<std::uint32_t>& files_;
  const FileDescriptor root_;
  std::vector<decode::ImageSize> sizes_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> first_failed_{files_.size()};
  std::mutex mutex_;  // guards what follows, and the lowering of first_failed_
  std::optional<Error> error_;
  std::exception_ptr broken_;
};

/// Completes draws whose position and index are there.
void draw(const pipeline::Pipeline& pipeline, std::uint64_t epoch, std::vector<Draw>& draws) {
  if (draws.empty()) return;
  // Each file once, in the order of its first sample.
  constexpr auto unseen = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> files, place(pipeline.dataset.size(), unseen);
  for (const Draw& sample : draws) {
    if (place[sample.index] != unseen) continue;
    place[sample.index] = static_cast<std::uint32_t>(files.size());
    files.push_back(sample.index);
  }
  const auto sizes = Sizes(pipeline, files).read();
  const data::Key key = data::make_key(pipeline.settings.seed, epoch);
  for (Draw& sample : draws) {
    const decode::ImageSize size = sizes[place[sample.index]];
    const augment::Geometry g =
        augment::draw_geometry(pipeline.plan, size.height, size.width, key, sample.position);
    sample.top = g.top;
    sample.left = g.left;
    sample.height = g.height;
    sample.width = g.width;
    sample.hflip = g.hflip;
  }
}

}  // namespace

std::vector<Draw> Loader::draws(std::uint64_t epoch) const {
  const pipeline::Settings& settings = pipeline_->settings;
  const data::EpochOrder order(pipeline_->dataset.size(), settings.indices,
                               pipeline::order_options(settings, epoch));
  std::vector<Draw> draws(std::min(order.size(), batches_per_epoch() * settings.batch_size));
  for (std::size_t k = 0; k < draws.size(); ++k) {
    const data::Sample sample = order[k];
    draws[k].position = sample.position;
    draws[k].index = sample.entry;
  }
  draw(*pipeline_, epoch, draws);
  return draws;
}

std::vector<Draw> Loader::draws(std::uint64_t epoch, std::span<const std::uint32_t> order) const {
  const auto ranks = static_cast<std::uint64_t>(pipeline_->settings.world_size);
  const auto rank = static_cast<std::uint64_t>(pipeline_->settings.rank);
  const std::size_t entries = pipeline_->dataset.size();
  std::vector<Draw> draws(order.size());
  for (std::size_t k = 0; k < draws.size(); ++k) {
    if (order[k] >= entries) {
      throw std::invalid_argument("Loader::draws: order holds " + std::to_string(order[k]) +
                                  ", but the dataset has " + std::to_string(entries) + " entries");
    }
    draws[k].position = k * ranks + rank;
    draws[k].index = order[k];
  }
  draw(*pipeline_, epoch, draws);
  return draws;
}

}  // namespace ringfeed
