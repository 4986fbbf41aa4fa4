#include <ATen/Context.h>
#include <doctest/doctest.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ringfeed/torch.h"
#include "support/image_folder.h"
#include "support/same_bits.h"
#include "torch/mixer.h"

// torch's headers put c10's in its place, which aborts the whole program.
#undef CHECK
#define CHECK DOCTEST_CHECK

using namespace ringfeed;
using ringfeed::testing::SampleFolder;
using testing::same_bits;

namespace {

using Example = DataLoader::Example;

constexpr int classes = 3;

ImageFolder dataset() {
  static const SampleFolder folder(classes, 7);
  return ImageFolder::open(folder.root(), {.use_cache = false});
}

TransformPlan small_plan(DType dtype = DType::float32, Layout layout = Layout::nchw) {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = 12, .width = 8};
  plan.dtype = dtype;
  plan.layout = layout;
  if (dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  return plan;
}

/// 21 files in batches of 8, 8 and 5; dropping the last, all are even.
LoaderOptions small_options(bool drop_last = false) {
  LoaderOptions options;
  options.batch_size = 8;
  options.num_workers = 2;
  options.max_file_bytes = 1 << 20;
  options.seed = 5;
  options.drop_last = drop_last;
  return options;
}

const Mixing either{.mixup_alpha = 0.4, .cutmix_alpha = 1, .label_smoothing = 0.1};
const Mixing elem{.rule = Mixing::Rule::timm,
                  .mixup_alpha = 0.4,
                  .cutmix_alpha = 1,
                  .prob = 0.8,
                  .mode = Mixing::Mode::elem};

std::vector<Example> examples(const TorchOptions& torch_options, const LoaderOptions& options,
                              const TransformPlan& plan = small_plan(),
                              const Progress& start = {}) {
  DataLoader loader(dataset(), plan, options, torch_options);
  std::vector<Example> result;
  for (Example& example : loader.epoch(1, start)) result.push_back(std::move(example));
  return result;
}

void check_same(const std::vector<Example>& ours, const std::vector<Example>& theirs) {
  REQUIRE(ours.size() == theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    CAPTURE(i);
    CHECK(same_bits(ours[i].data, theirs[i].data));
    CHECK(ours[i].data.strides() == theirs[i].data.strides());
    CHECK(same_bits(ours[i].target, theirs[i].target));
  }
}

/// Message of what making such a loader throws.
std::string refusal(const Mixing& mixing, const LoaderOptions& options,
                    const TransformPlan& plan = small_plan()) {
  try {
    DataLoader loader(dataset(), plan, options, {.mixing = mixing});
    loader.epoch(0);
  } catch (const OptionError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("without alphas images stay and targets are smoothed, or one-hot") {
  const std::vector<Example> plain = examples({}, small_options());
  for (const double smoothing : {0.0, 0.1}) {
    const auto mixed = examples({.mixing = Mixing{.label_smoothing = smoothing, .num_classes = 4}},
                                small_options());
    REQUIRE(mixed.size() == plain.size());
    for (std::size_t i = 0; i < plain.size(); ++i) {
      CHECK(same_bits(mixed[i].data, plain[i].data));
      const at::Tensor expected =
          torch::full({plain[i].target.size(0), 4}, smoothing / 4)
              .scatter(1, plain[i].target.unsqueeze(1), 1 - smoothing + smoothing / 4);
      CHECK(same_bits(mixed[i].target, expected));
    }
  }
}

TEST_CASE("targets are mixed by the share that images are") {
  const std::vector<Example> plain = examples({}, small_options());
  const std::vector<Example> mixed =
      examples({.mixing = Mixing{.mixup_alpha = 1, .label_smoothing = 0.1}}, small_options());
  REQUIRE(mixed.size() == plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const at::Tensor labels = plain[i].target;
    const at::Tensor targets = torch::full({labels.size(0), classes}, 0.1 / classes)
                                   .scatter(1, labels.unsqueeze(1), 0.9 + 0.1 / classes);
    const at::Tensor images = plain[i].data, change = images.roll(1, 0) - images;
    // The share that the partner has of the pixels, told by all of them.
    const double rest = ((mixed[i].data - images) * change).sum().item<double>() /
                        (change * change).sum().item<double>();
    CHECK(rest > 0);
    CHECK(rest < 1);
    CHECK(torch::allclose(mixed[i].target, targets * (1 - rest) + targets.roll(1, 0) * rest, 1e-4,
                          1e-5));
  }
}

TEST_CASE("workers, prefetch and resuming change no mixed batch") {
  for (const Mixing& mixing : {either, elem}) {
    const std::vector<Example> expected = examples({.mixing = mixing}, small_options(true));
    CHECK(expected.size() == 2);
    LoaderOptions options = small_options(true);
    options.num_workers = 4;
    options.prefetch_factor = 1;
    check_same(examples({.mixing = mixing}, options), expected);

    DataLoader loader(dataset(), small_plan(), small_options(true), {.mixing = mixing});
    DataLoader::Epoch epoch = loader.epoch(1);
    epoch.next();
    const std::vector<Example> rest =
        examples({.mixing = mixing}, options, small_plan(), epoch.progress());
    check_same(rest, {expected[1]});
  }
}

TEST_CASE("epochs, seeds and ranks are mixed differently") {
  const auto targets = [&](std::uint64_t seed, std::uint64_t number, int rank) {
    LoaderOptions options = small_options();
    options.seed = seed;
    options.rank = rank;
    options.world_size = 2;
    DataLoader loader(dataset(), small_plan(), options, {.mixing = Mixing{.mixup_alpha = 1}});
    at::Tensor first = loader.epoch(number).next()->target;
    return std::get<0>(first.max(1));  // the larger share of each row
  };
  const at::Tensor base = targets(0, 0, 0);
  CHECK(at::equal(targets(0, 0, 0), base));
  CHECK_FALSE(at::equal(targets(1, 0, 0), base));
  CHECK_FALSE(at::equal(targets(0, 1, 0), base));
  CHECK_FALSE(at::equal(targets(0, 0, 1), base));
}

TEST_CASE("batches that are finished on a device are mixed there as on the CPU") {
  std::vector<at::Device> devices{at::kCPU};
  if (at::hasCUDA()) devices.emplace_back(at::kCUDA);
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const Layout layout : {Layout::nchw, Layout::channels_last}) {
      TransformPlan plan = small_plan(dtype, layout);
      plan.erasing = RandomErasing{.probability = 0.7, .value = {0.3f, -1.7f, 2.2f}};
      for (const Mixing& mixing : {either, elem}) {
        const std::vector<Example> expected =
            examples({.mixing = mixing}, small_options(true), plan);
        for (const at::Device device : devices) {
          check_same(examples({.finish_on = device, .mixing = mixing}, small_options(true), plan),
                     expected);
        }
      }
    }
  }
}

TEST_CASE("mixing takes no memory for another batch") {
  DataLoader loader(dataset(), small_plan(), small_options(), {.mixing = either});
  std::vector<const void*> seen;
  for (std::uint64_t e = 0; e < 8; ++e) {
    for (const Example& example : loader.epoch(e)) seen.push_back(example.data.const_data_ptr());
  }
  std::ranges::sort(seen);
  CHECK(std::unique(seen.begin(), seen.end()) - seen.begin() <= 4);  // prefetch_factor and two
}

TEST_CASE("what cannot be mixed is refused by name") {
  const Mixing timm{.rule = Mixing::Rule::timm, .mixup_alpha = 1};
  CHECK(contains(refusal({.mixup_alpha = -1}, small_options()), "mixup_alpha, where it is not 0"));
  CHECK(contains(refusal(either, small_options(), small_plan(DType::uint8)),
                 "the plan's dtype is uint8"));
  CHECK(refusal({.cutmix_alpha = 1}, small_options(), small_plan(DType::uint8)) == "");
  CHECK(refusal(timm, small_options(true), small_plan(DType::uint8)) == "");
  CHECK(contains(refusal(timm, small_options()), "this epoch has a last batch of 5"));
  LoaderOptions odd = small_options(true);
  odd.batch_size = 3;
  CHECK(contains(refusal(timm, odd), "this epoch has batch_size = 3: set an even batch_size"));
  LoaderOptions skipping = small_options(true);
  skipping.on_error = OnError::skip;
  CHECK(contains(refusal(timm, skipping), "on_error = skip leaves odd ones: take replace"));
  CHECK(refusal({.mixup_alpha = 1}, skipping) == "");
  Mixing narrow = timm;
  narrow.cutmix_minmax = {0.5, 0.5};
  CHECK(contains(refusal(narrow, small_options(true)), "no box to draw in images of 12 x 8"));
  CHECK(contains(refusal({.num_classes = 2}, small_options()),
                 "num_classes = 2 leaves no column for the label 2"));
  LoaderOptions few = small_options();
  few.indices = {0, 1, 13};
  CHECK(refusal({.num_classes = 2}, few) == "");
}

TEST_CASE("a resumed epoch that would end with an odd batch is refused before it begins") {
  LoaderOptions options = small_options();
  options.batch_size = 4;
  options.indices.emplace(12);
  const Mixing timm{.rule = Mixing::Rule::timm, .mixup_alpha = 1};
  DataLoader loader(dataset(), small_plan(), options, {.mixing = timm});
  loader.epoch(0);
  CHECK_NOTHROW(loader.epoch(0, {.positions = 2}));
  CHECK_THROWS_WITH_AS(loader.epoch(0, {.positions = 3}),
                       doctest::Contains("a last batch of 1: set an even batch_size"), OptionError);
}

TEST_CASE("several views are neither mixed nor finished on a device") {
  const auto make = [](const TorchOptions& options) {
    const DataLoader loader(dataset(), std::vector(2, small_plan()), small_options(), options);
  };
  CHECK_NOTHROW(make({}));
  CHECK_THROWS_WITH_AS(make({.mixing = either}), doctest::Contains("mixing: "), OptionError);
  CHECK_THROWS_WITH_AS(make({.finish_on = at::Device(at::kCPU)}), doctest::Contains("finish_on: "),
                       OptionError);
}

TEST_CASE("a batch of an order made elsewhere that cannot be mixed fails, and the next comes") {
  LoaderOptions options = small_options(true);
  const auto entries = [](std::vector<std::vector<std::uint32_t>> batches) {
    return [batches, at = 0u]() mutable -> std::optional<std::vector<std::uint32_t>> {
      if (at == batches.size()) return std::nullopt;
      return batches[at++];
    };
  };
  options.drop_last = false;  // its own order would end with an odd batch
  DataLoader loader(dataset(), small_plan(), options, {.mixing = elem});
  DataLoader::Epoch epoch = loader.epoch(0, entries({{0, 1, 2}, {3, 4}}));
  CHECK_THROWS_WITH_AS(epoch.next(), doctest::Contains("this one is of 3: set an even batch_size"),
                       std::invalid_argument);
  CHECK(epoch.next()->target.sizes() == at::IntArrayRef({2, classes}));

  options.indices = {0, 1};
  DataLoader few(dataset(), small_plan(), options, {.mixing = Mixing{.num_classes = 1}});
  DataLoader::Epoch other = few.epoch(0, entries({{20}, {1}}));
  CHECK_THROWS_WITH_AS(other.next(), doctest::Contains("no column for the label 2"),
                       std::invalid_argument);
  CHECK(other.next()->target.sizes() == at::IntArrayRef({1, 1}));
}

TEST_CASE("the data module mixes training batches alone") {
  const testing::TempDir root;
  for (const char* split : {"train", "val"}) {
    for (int i = 0; i < 8; ++i) {
      root.write(
          std::string(split) + "/c" + std::to_string(i % 2) + "/" + std::to_string(i) + ".JPEG",
          testing::make_jpeg(60, 50, static_cast<unsigned>(i)));
    }
  }
  ImageNetDataModule module({.data_root = root.path(),
                             .batch_size = 4,
                             .num_workers = 2,
                             .mixing = Mixing{.mixup_alpha = 0.2, .cutmix_alpha = 1}});
  module.setup("fit");
  DataLoader train = module.train_dataloader(), val = module.val_dataloader();
  CHECK(train.epoch(0).next()->target.sizes() == at::IntArrayRef({4, 2}));
  const Example validated = *val.epoch(0).next();
  CHECK(validated.target.sizes() == at::IntArrayRef({4}));
  CHECK((validated.target.scalar_type() == at::kLong));
}
