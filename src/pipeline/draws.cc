#include "pipeline/draws.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "augment/draw_operations.h"
#include "augment/erasing.h"
#include "augment/geometry.h"
#include "augment/noise.h"
#include "base/expected.h"
#include "base/mutex.h"
#include "base/work_queue.h"
#include "data/index.h"
#include "data/random.h"
#include "decode/image_size.h"
#include "io/file_head.h"
#include "io/read_errors.h"

namespace ringfeed::pipeline {
namespace {

// Most headers end within it.
constexpr std::size_t first_bytes = 64 << 10;
// Files read at once. Each is a round trip or two to the storage and hardly any work.
constexpr std::size_t threads_per_worker = 8;
constexpr std::size_t most_threads = 64;

Expected<decode::ImageSize> read_size(const ImageFolder& dataset, const DecodeLimits& limits,
                                      std::size_t limit, std::uint32_t entry) {
  const data::Index& index = dataset.index();
  const auto failed = [&](Stage stage, int code, std::string detail, Option option = Option::none,
                          bool unidentified = false) {
    return fail(stage, code, dataset.path(entry), std::move(detail), option, unidentified);
  };
  if (const char* why = index.why_not_openable(entry)) return failed(Stage::open, 0, why);
  io::FileHead head;
  if (const int code = head.open(dataset.path(entry).c_str())) {
    return failed(Stage::open, code, io::about_open(code));
  }
  for (std::size_t wanted = first_bytes;; wanted *= 2) {
    const int code = head.read_to(wanted);
    const std::size_t size = head.bytes().size();
    if (code != 0) return failed(Stage::read, code, io::about_read(code, size));
    auto image = decode::image_size(head.bytes(), limits);
    if (image) return *image;
    if (head.ended() || !image.error().truncated) {
      return failed(Stage::decode, 0, std::move(image.error().detail), image.error().option,
                    image.error().unidentified);
    }
    if (size > limit) {
      return failed(Stage::read, EFBIG, io::larger_than(limit), Option::max_file_bytes);
    }
  }
}

/// The files whose sizes are read; the threads' own, because the caller may give up while one
/// hangs.
struct SizeReads {
  SizeReads(const ImageFolder& folder, const Settings& settings, std::vector<std::uint32_t> entries)
      : dataset(folder),
        limits(settings.limits),
        max_file_bytes(settings.max_file_bytes),
        files(std::move(entries)),
        sizes(files.size()),
        first_failed(files.size()) {}

  void read(std::size_t i) {
    // Files are begun in order, so all before the first failed one are read.
    if (i >= first_failed) return;
    auto size = read_size(dataset, limits, max_file_bytes, files[i]);
    if (size) {
      sizes[i] = *size;
      return;
    }
    const MutexLock lock(mutex);
    if (i >= first_failed) return;
    first_failed = i;
    error = std::move(size.error());
  }

  const ImageFolder dataset;
  const DecodeLimits limits;
  const std::size_t max_file_bytes;
  const std::vector<std::uint32_t> files;
  std::vector<decode::ImageSize> sizes;
  std::atomic<std::size_t> first_failed;  // lowered under the mutex
  Mutex mutex;
  std::optional<Error> error GUARDED_BY(mutex);
};

/// The sizes of `files`, by several threads. Throws LoadError for the first that has none.
std::vector<decode::ImageSize> read_sizes(const ImageFolder& dataset, const Settings& settings,
                                          const std::vector<std::uint32_t>& files) {
  if (settings.while_waiting) settings.while_waiting();  // the queue asks after 100 ms only
  const auto reads = std::make_shared<SizeReads>(dataset, settings, files);
  std::vector<std::size_t> items(files.size());
  std::iota(items.begin(), items.end(), std::size_t{0});
  const auto threads =
      std::min({files.size(), most_threads,
                threads_per_worker * static_cast<std::size_t>(settings.num_workers)});
  WorkQueue<std::size_t>("rf-sizes", std::move(items))
      .run(
          static_cast<int>(threads), [reads](std::size_t i) { reads->read(i); },
          settings.while_waiting);
  const MutexLock lock(reads->mutex);
  if (reads->error) throw LoadError(std::move(*reads->error));
  return std::move(reads->sizes);
}

}  // namespace

void follow(const Failures& failed, OnError on_error, std::vector<Draw>& draws) {
  if (on_error == OnError::raise || failed.first.empty()) return;
  std::unordered_map<std::uint64_t, std::optional<std::uint32_t>> substitutes;  // by position
  for (const Failure& failure : failed.first) {
    substitutes.emplace(failure.position, failure.substitute);
  }
  if (on_error == OnError::skip) {
    std::erase_if(draws, [&](const Draw& draw) { return substitutes.contains(draw.position); });
    return;
  }
  for (Draw& draw : draws) {
    const auto found = substitutes.find(draw.position);
    if (found != substitutes.end() && found->second) draw.index = *found->second;
  }
}

void draw(const ImageFolder& dataset, const std::vector<TransformPlan>& plans,
          const Settings& settings, std::uint64_t epoch, std::vector<Draw>& draws) {
  if (draws.empty()) return;
  // Each file once, in the order of its first sample.
  constexpr auto unseen = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> files, place(dataset.size(), unseen);
  for (const Draw& sample : draws) {
    if (place[sample.index] != unseen) continue;
    place[sample.index] = static_cast<std::uint32_t>(files.size());
    files.push_back(sample.index);
  }
  const auto sizes = read_sizes(dataset, settings, files);
  std::vector<Size> outs;  // of each view
  outs.reserve(plans.size());
  for (const TransformPlan& plan : plans) outs.push_back({plan.out_height(), plan.out_width()});
  const data::Key epochs_key = data::make_key(settings.seed, epoch);
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const std::size_t view = i % plans.size();
    const TransformPlan& plan = plans[view];
    const data::Key key = data::of_view(epochs_key, view);
    Draw& sample = draws[i];
    const decode::ImageSize size = sizes[place[sample.index]];
    const auto check = [&](std::optional<decode::Failure> failure) {
      if (!failure) return;
      throw LoadError({Stage::decode, 0, dataset.path(sample.index), std::move(failure->detail),
                       failure->option});
    };
    const std::size_t max_canvas_bytes = settings.limits.max_canvas_bytes;
    check(augment::check_image(plan, size.height, size.width, max_canvas_bytes));
    const augment::Geometry g =
        augment::draw_geometry(plan, size.height, size.width, key, sample.position);
    const Box box = augment::drawn_box(plan, g, size.width);
    sample.top = box.top;
    sample.left = box.left;
    sample.height = box.height;
    sample.width = box.width;
    sample.hflip = g.hflip || g.mirrored_source;
    sample.interpolation = g.interpolation;
    if (plan.erasing) {
      augment::draw_erasing(*plan.erasing, outs[view].height, outs[view].width, key,
                            sample.position, sample.erased);
      if (plan.erasing->fill != RandomErasing::Fill::value) {
        sample.noise_key = augment::draw_noise_key(key, sample.position);
      }
    }
    if (plan.augmentation.empty()) continue;
    auto drawn = augment::draw_operations(plan.augmentation, g.out_height, g.out_width, key,
                                          sample.position, max_canvas_bytes, sample.operations);
    if (!drawn) check(std::move(drawn.error()));
  }
}

}  // namespace ringfeed::pipeline
