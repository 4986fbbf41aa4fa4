// Loader::draws(): the beginnings of the files give their sizes, and those the geometry.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "augment/geometry.h"
#include "base/expected.h"
#include "base/work_queue.h"
#include "data/epoch_order.h"
#include "data/index.h"
#include "data/random.h"
#include "decode/image_size.h"
#include "io/file_head.h"
#include "io/root.h"
#include "pipeline/pipeline.h"
#include "ringfeed/loader.h"

namespace ringfeed {
namespace {

// Most headers end within it.
constexpr std::size_t first_bytes = 64 << 10;
// Files read at once. Each is a round trip or two to the storage and hardly any work.
constexpr std::size_t threads_per_worker = 8;
constexpr std::size_t most_threads = 64;

Expected<decode::ImageSize> read_size(const pipeline::Pipeline& pipeline, int root,
                                      std::uint32_t entry) {
  const data::Index& index = pipeline.dataset.index();
  const auto failed = [&](Stage stage, int code, std::string detail, Option option = Option::none) {
    return fail(stage, code, pipeline.dataset.path(entry), std::move(detail), option);
  };
  if (const char* why = index.why_not_openable(entry)) return failed(Stage::open, 0, why);
  std::string path;
  index.relative_path(entry, path);
  io::FileHead head;
  if (const int code = head.open(root, path.c_str())) {
    return failed(Stage::open, code, "check that the file exists and may be read");
  }
  const std::size_t limit = pipeline.settings.max_file_bytes;
  for (std::size_t wanted = first_bytes;; wanted *= 2) {
    const int code = head.read_to(wanted);
    const std::size_t size = head.bytes().size();
    if (code != 0) return failed(Stage::read, code, "after " + std::to_string(size) + " bytes");
    auto image = decode::image_size(head.bytes(), pipeline.settings.limits);
    if (image) return *image;
    if (head.ended() || !image.error().truncated) {
      return failed(Stage::decode, 0, std::move(image.error().detail), image.error().option);
    }
    if (size > limit) {
      return failed(Stage::read, EFBIG, "larger than " + std::to_string(limit) + " bytes",
                    Option::max_file_bytes);
    }
  }
}

/// The sizes of `files`, by several threads. Throws LoadError for the first that has none.
std::vector<decode::ImageSize> read_sizes(const pipeline::Pipeline& pipeline,
                                          const std::vector<std::uint32_t>& files) {
  const pipeline::Settings& settings = pipeline.settings;
  if (settings.while_waiting) settings.while_waiting();  // the queue asks after 100 ms only
  const FileDescriptor root = io::open_root(pipeline.dataset.root());
  std::vector<decode::ImageSize> sizes(files.size());
  std::atomic<std::size_t> first_failed = files.size();
  std::mutex mutex;  // guards `error`, and the lowering of first_failed
  std::optional<Error> error;
  const auto read = [&](std::size_t i) {
    // Files are begun in order, so all before the first failed one are read.
    if (i >= first_failed) return;
    auto size = read_size(pipeline, root.get(), files[i]);
    if (size) {
      sizes[i] = *size;
      return;
    }
    const std::lock_guard lock(mutex);
    if (i >= first_failed) return;
    first_failed = i;
    error = std::move(size.error());
  };
  std::vector<std::size_t> items(files.size());
  std::iota(items.begin(), items.end(), std::size_t{0});
  const auto threads =
      std::min({files.size(), most_threads,
                threads_per_worker * static_cast<std::size_t>(settings.num_workers)});
  WorkQueue<std::size_t>("rf-sizes", std::move(items))
      .run(static_cast<int>(threads), read, settings.while_waiting);
  if (error) throw LoadError(std::move(*error));
  return sizes;
}

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
  const auto sizes = read_sizes(pipeline, files);
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
