#include "options.h"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "output.h"
#include "ringfeed/policies.h"

namespace ringfeed::cli {
namespace {

Interpolation interpolation_named(const std::string& wanted) {
  for (const auto& [name, value] : interpolations) {
    if (name == wanted) return value;
  }
  return Interpolation::bilinear;
}

Augmentation policy_named(const std::string& name, const PolicyOptions& options) {
  if (name == "randaugment") return rand_augment(options);
  if (name == "trivialaugment") return trivial_augment_wide(options);
  return auto_augment(options, name == "cifar10" ? AutoAugmentPolicy::cifar10
                               : name == "svhn"  ? AutoAugmentPolicy::svhn
                                                 : AutoAugmentPolicy::imagenet);
}

}  // namespace

ImageFolder DatasetFlags::open() const {
  ScanOptions options;
  options.allow_empty = allow_empty;
  options.use_cache = !no_cache;
  options.always_use_cache = always_cache;
  options.cache_dir = cache_dir;
  options.threads = threads;
  ImageFolder dataset = ImageFolder::open(root, options);
  for (const std::string& warning : dataset.report().warnings) complain("warning: " + warning);
  return dataset;
}

TransformPlan TransformFlags::plan() const {
  TransformPlan plan =
      transform == "val" ? TransformPlan::imagenet_val() : TransformPlan::imagenet_train();
  plan.interpolation = interpolation_named(interpolation);
  if (!augment.empty()) {
    const PolicyOptions options{.height = plan.out_height(),
                                .width = plan.out_width(),
                                .interpolation = interpolation_named(augment_interpolation)};
    plan.augmentation = {policy_named(augment, options)};
  }
  for (const DType type : {DType::float32, DType::float16, DType::bfloat16, DType::uint8}) {
    if (to_string(type) == dtype) plan.dtype = type;
  }
  if (plan.dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  plan.layout = channels_last ? Layout::channels_last : Layout::nchw;
  plan.pillow = pillow < 13 ? PillowRule::before_13 : PillowRule::from_13;
  return plan;
}

DecodeLimits LimitFlags::decode() const {
  DecodeLimits limits;
  limits.load_truncated = load_truncated;
  limits.max_pixels = max_pixels;
  limits.max_scans = max_scans;
  limits.max_decoder_bytes = max_decoder_bytes;
  return limits;
}

LoaderOptions LoaderFlags::options(const ReaderFlags& reader, const LimitFlags& limits) const {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.num_workers = workers;
  options.prefetch_factor = prefetch_factor;
  options.shuffle = !no_shuffle;
  options.drop_last = drop_last;
  options.in_order = !out_of_order;
  options.seed = seed;
  options.rank = rank;
  options.world_size = world_size;
  options.uneven = uneven == "pad" ? Uneven::pad : uneven == "drop" ? Uneven::drop : Uneven::keep;
  options.reader = parse_reader_kind(reader.reader).value();
  options.depth = reader.depth;
  options.read_ahead_bytes = reader.read_ahead_bytes;
  options.max_file_bytes = reader.max_file_bytes;
  options.memory_limit = memory_limit;
  options.timeout =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(timeout));
  options.on_error = on_error == "skip"      ? OnError::skip
                     : on_error == "replace" ? OnError::replace
                                             : OnError::raise;
  if (max_failures >= 0) options.max_failures = max_failures;
  options.retries = retries;
  options.limits = limits.decode();
  return options;
}

}  // namespace ringfeed::cli
