#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "ringfeed/torch.h"
#include "support/image_folder.h"
#include "support/same_bits.h"
#include "torch/finisher.h"
#include "torch/tensors.h"

// torch's headers put c10's in its place, which aborts the whole program.
#undef CHECK
#define CHECK DOCTEST_CHECK

using namespace ringfeed;
using ringfeed::testing::SampleFolder;
using ringfeed::testing::TempDir;

namespace {

using Example = DataLoader::Example;

const SampleFolder& folder() {
  static const SampleFolder folder(3, 7);
  return folder;
}

ImageFolder open(const std::filesystem::path& root) {
  ScanOptions options;
  options.use_cache = false;
  return ImageFolder::open(root, options);
}

/// Higher than wide, so that exchanged strides show.
TransformPlan small_plan(DType dtype = DType::float32, Layout layout = Layout::nchw) {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = 12, .width = 8};
  plan.dtype = dtype;
  plan.layout = layout;
  if (dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  return plan;
}

LoaderOptions small_options(std::shared_ptr<BatchAllocator> allocator = nullptr) {
  LoaderOptions options;
  options.batch_size = 8;
  options.num_workers = 2;
  options.max_file_bytes = 1 << 20;
  options.seed = 5;
  options.allocator = std::move(allocator);
  return options;
}

std::vector<Batch> core_batches(const TransformPlan& plan, std::uint64_t epoch) {
  Loader loader(open(folder().root()), plan, small_options());
  std::vector<Batch> batches;
  for (Batch& batch : loader.epoch(epoch)) batches.push_back(std::move(batch));
  return batches;
}

std::vector<Example> examples(const TransformPlan& plan, std::uint64_t epoch,
                              std::shared_ptr<BatchAllocator> allocator = nullptr) {
  DataLoader loader(open(folder().root()), plan, small_options(std::move(allocator)));
  std::vector<Example> result;
  for (Example& example : loader.epoch(epoch)) result.push_back(std::move(example));
  return result;
}

/// The element at [n][c][y][x] as the strides place it, against the same element in the batch.
void check_equal(const Example& example, const Batch& batch) {
  REQUIRE(example.data.sizes() ==
          at::IntArrayRef({static_cast<std::int64_t>(batch.size()), 3, 12, 8}));
  const std::size_t item = item_size(batch.views[0].dtype);
  REQUIRE(example.data.element_size() == item);
  const auto* const tensor = static_cast<const std::byte*>(example.data.const_data_ptr());
  const bool last = batch.views[0].layout == Layout::channels_last;
  std::size_t different = 0;
  for (std::size_t n = 0; n < batch.size(); ++n) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t y = 0; y < 12; ++y) {
        for (std::size_t x = 0; x < 8; ++x) {
          const std::size_t at = last ? (y * 8 + x) * 3 + c : (c * 12 + y) * 8 + x;
          const auto stride = [&](int dimension) {
            return static_cast<std::size_t>(example.data.stride(dimension));
          };
          const std::size_t seen = n * stride(0) + c * stride(1) + y * stride(2) + x * stride(3);
          different +=
              std::memcmp(tensor + seen * item, batch.sample(n).data() + at * item, item) != 0;
        }
      }
    }
  }
  CHECK(different == 0);
  REQUIRE(example.target.sizes() == at::IntArrayRef({static_cast<std::int64_t>(batch.size())}));
  REQUIRE((example.target.scalar_type() == at::kLong));
  CHECK(std::equal(batch.labels.begin(), batch.labels.end(),
                   example.target.const_data_ptr<std::int64_t>()));
}

/// What page-locked memory does, without CUDA.
std::shared_ptr<BatchAllocator> torch_memory() { return make_tensor_allocator(false); }

template <typename Loader>
concept BeginsEpoch = requires(Loader&& loader) { std::forward<Loader>(loader).epoch(0); };
static_assert(BeginsEpoch<DataLoader&> && !BeginsEpoch<DataLoader>);

}  // namespace

TEST_CASE("tensors hold the core's bytes in every dtype and layout, whoever allocates") {
  const std::pair<DType, at::ScalarType> dtypes[] = {{DType::float32, at::kFloat},
                                                     {DType::float16, at::kHalf},
                                                     {DType::bfloat16, at::kBFloat16},
                                                     {DType::uint8, at::kByte}};
  for (const auto& [dtype, scalar_type] : dtypes) {
    for (const Layout layout : {Layout::nchw, Layout::channels_last}) {
      const TransformPlan plan = small_plan(dtype, layout);
      const std::vector<Batch> batches = core_batches(plan, 3);
      for (const bool of_torch : {false, true}) {
        CAPTURE(to_string(dtype));
        CAPTURE(of_torch);
        const auto tensors = examples(plan, 3, of_torch ? torch_memory() : nullptr);
        REQUIRE(tensors.size() == batches.size());
        for (std::size_t i = 0; i < tensors.size(); ++i) {
          const at::Tensor& data = tensors[i].data;
          check_equal(tensors[i], batches[i]);
          CHECK((data.scalar_type() == scalar_type));
          CHECK(data.is_contiguous(layout == Layout::nchw ? at::MemoryFormat::Contiguous
                                                          : at::MemoryFormat::ChannelsLast));
          CHECK_FALSE(data.requires_grad());
        }
      }
    }
  }
}

TEST_CASE("every view is a tensor over the one block of its batch, whoever allocates") {
  std::vector plans{small_plan(DType::float32), small_plan(DType::uint8, Layout::channels_last),
                    small_plan(DType::float16)};
  Loader core(open(folder().root()), plans, small_options());
  for (const bool of_torch : {false, true}) {
    DataLoader loader(open(folder().root()), plans,
                      small_options(of_torch ? torch_memory() : nullptr));
    DataLoader::Epoch epoch = loader.epoch(1);
    std::size_t batches = 0;
    for (const Batch& batch : core.epoch(1)) {
      const auto views = epoch.next_views();
      REQUIRE(views);
      REQUIRE(views->data.size() == plans.size());
      for (std::size_t v = 0; v < plans.size(); ++v) {
        Batch alone;  // whose first view is this one
        alone.memory = batch.memory;
        alone.labels = batch.labels;
        alone.views = {batch.views[v]};
        check_equal(Example(views->data[v], views->target), alone);
        CHECK(static_cast<std::byte*>(views->data[v].data_ptr()) ==
              static_cast<std::byte*>(views->data[0].data_ptr()) + batch.views[v].offset);
      }
      ++batches;
    }
    CHECK_FALSE(epoch.next_views());
    CHECK(batches > 1);
    Example first = *loader.epoch(1).next();
    CHECK((first.data.scalar_type() == at::kFloat));
  }
}

TEST_CASE("the last batch is smaller, or left out with drop_last") {
  const std::vector<Example> all = examples(small_plan(), 0);  // 21 files by 8
  REQUIRE(all.size() == 3);
  CHECK(all[1].data.size(0) == 8);
  CHECK(all[2].data.size(0) == 5);
  CHECK(all[2].target.size(0) == 5);

  LoaderOptions options = small_options();
  options.drop_last = true;
  DataLoader loader(open(folder().root()), small_plan(), options);
  CHECK(loader.size() == 2);
  CHECK(*loader.epoch(0).size() == 2);
}

TEST_CASE("a kept tensor outlives loader and epoch, and no later batch overwrites it") {
  for (const bool of_torch : {false, true}) {
    CAPTURE(of_torch);
    at::Tensor kept, slice, copy;
    {
      DataLoader loader(open(folder().root()), small_plan(),
                        small_options(of_torch ? torch_memory() : nullptr));
      DataLoader::Epoch epoch = loader.epoch(0);
      {
        const Example first = *epoch.next();
        kept = first.data;
        slice = first.data[3];
        copy = first.data.clone();
      }
      for (std::uint64_t e = 1; e < 4; ++e) {
        for (const Example& example : loader.epoch(e)) CHECK(example.data.size(1) == 3);
      }
    }
    CHECK(at::equal(kept, copy));
    kept.reset();
    std::thread([slice = std::move(slice), want = copy[3]]() mutable {
      CHECK(at::equal(slice, want));
      slice.reset();  // the memory goes back on a thread that is not the loader's
    }).join();
  }
}

TEST_CASE("huge pages are used again once no tensor needs them") {
  DataLoader loader(open(folder().root()), small_plan(), small_options());
  std::vector<const void*> seen;
  for (std::uint64_t e = 0; e < 8; ++e) {
    for (const Example& example : loader.epoch(e)) seen.push_back(example.data.const_data_ptr());
  }
  std::sort(seen.begin(), seen.end());
  const auto distinct = std::unique(seen.begin(), seen.end()) - seen.begin();
  CHECK(distinct <= 4);  // prefetch_factor and two
}

TEST_CASE("memory of torch's own stays torch's storage, slices included") {
  // Only so does a copy by non_blocking=true from page-locked memory find the block it reads.
  class Recording final : public BatchAllocator {
   public:
    BatchMemory allocate(std::size_t bytes) override {
      blocks.push_back(inner_->allocate(bytes));
      return blocks.back();
    }
    std::vector<BatchMemory> blocks;

   private:
    std::shared_ptr<BatchAllocator> inner_ = torch_memory();
  };
  const auto recording = std::make_shared<Recording>();
  DataLoader loader(open(folder().root()), small_plan(), small_options(recording));
  const Example example = *loader.epoch(0).next();
  REQUIRE_FALSE(recording->blocks.empty());
  const BatchMemory& block = recording->blocks.front();
  CHECK(example.data.storage().data() == block.data);
  // c10's CPU allocator makes the pointer its own context; from_blob would not.
  CHECK(example.data.storage().data_ptr().get_context() == block.data);
  CHECK(example.data[2].storage().is_alias_of(example.data.storage()));
  CHECK(example.data.storage().nbytes() >= block.bytes);
}

TEST_CASE("batches are page-locked where CUDA is there and it is wanted") {
  for (const bool pin_memory : {true, false}) {
    DataLoader loader(open(folder().root()), small_plan(), small_options(),
                      {.pin_memory = pin_memory});
    const Example example = *loader.epoch(0).next();
    CHECK(example.data.is_pinned() == (pin_memory && at::hasCUDA()));
    CHECK(example.target.is_pinned() == (pin_memory && at::hasCUDA()));
  }
}

TEST_CASE("page-locked memory is counted as torch rounds it") {
  const auto pinned = make_tensor_allocator(true);
  CHECK(pinned->footprint(1 << 20) == 1 << 20);
  CHECK(pinned->footprint((1 << 20) + 1) == 1 << 21);
}

TEST_CASE("a batch taken in inference mode is an inference tensor, the next one is not") {
  DataLoader loader(open(folder().root()), small_plan(), small_options(torch_memory()));
  DataLoader::Epoch epoch = loader.epoch(0);
  {
    const c10::InferenceMode inference;
    CHECK(epoch.next()->data.is_inference());
  }
  CHECK_FALSE(epoch.next()->data.is_inference());
}

TEST_CASE("a bad file fails its batch by name, and next() may go on") {
  const SampleFolder damaged(2, 4);
  damaged.write("c00/0002.JPEG", "no image");
  LoaderOptions options = small_options();
  options.batch_size = 2;
  options.shuffle = false;
  DataLoader loader(open(damaged.root()), small_plan(), options);
  DataLoader::Epoch epoch = loader.epoch(0);
  CHECK(epoch.next()->target.size(0) == 2);
  try {
    epoch.next();
    FAIL("no error");
  } catch (const LoadError& error) {
    CHECK(error.error().stage == Stage::decode);
    CHECK(error.error().path == damaged.file(0, 2).string());
  }
  int left = 0;
  while (epoch.next()) ++left;
  CHECK(left == 2);
}

TEST_CASE("an epoch goes on from its progress") {
  const std::vector<Batch> batches = core_batches(small_plan(), 2);
  Progress progress;
  {
    DataLoader loader(open(folder().root()), small_plan(), small_options());
    DataLoader::Epoch epoch = loader.epoch(2);
    epoch.next();
    progress = epoch.progress();
  }
  DataLoader loader(open(folder().root()), small_plan(), small_options());
  DataLoader::Epoch rest = loader.epoch(2, progress);
  CHECK(*rest.size() == 2);
  check_equal(*rest.next(), batches[1]);
  check_equal(*rest.next(), batches[2]);
  CHECK_FALSE(rest.next());
}

namespace {

TransformPlan erasing_plan(DType dtype, Layout layout, Normalize::Flavour flavour) {
  TransformPlan plan = small_plan(dtype, layout);
  plan.normalize.flavour = flavour;
  plan.erasing = RandomErasing{.probability = 0.7, .value = {0.3f, -1.7f, 2.2f}, .max_count = 2};
  return plan;
}

void check_same_bits(const at::Tensor& a, const at::Tensor& b) {
  CHECK(a.strides() == b.strides());
  CHECK(testing::same_bits(a, b));
}

/// `check` of each plan on each device that is there.
template <class Check>
void for_each_plan(const Check& check) {
  std::vector<at::Device> devices{at::kCPU};
  if (at::hasCUDA()) devices.emplace_back(at::kCUDA);
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const Layout layout : {Layout::nchw, Layout::channels_last}) {
      for (const auto flavour : {Normalize::Flavour::to_tensor, Normalize::Flavour::to_dtype}) {
        for (const at::Device device : devices) check(erasing_plan(dtype, layout, flavour), device);
      }
    }
  }
}

}  // namespace

TEST_CASE("batches that are finished on a device are the CPU's, and travel as bytes") {
  for_each_plan([](const TransformPlan& plan, at::Device device) {
    const std::vector<Example> expected = examples(plan, 2);
    DataLoader loader(open(folder().root()), plan, small_options(), {.finish_on = device});
    std::size_t at = 0;
    for (const Example& example : loader.epoch(2)) {
      REQUIRE(at < expected.size());
      CHECK(example.data.device().type() == device.type());
      check_same_bits(example.data.cpu(), expected[at].data);
      CHECK(at::equal(example.target.cpu(), expected[at++].target));
    }
    CHECK(at == expected.size());
    const DataLoader whole(open(folder().root()), plan, small_options());
    CHECK(loader.core().memory_bound() < whole.core().memory_bound());
  });
}

TEST_CASE("a device's arithmetic and the CPU's table give the same") {
  for_each_plan([](const TransformPlan& plan, at::Device device) {
    const Finisher finisher(plan, device);
    CHECK(finisher.uses_arithmetic());
    at::Tensor images = at::randint(256, {2, 3, 12, 8}, at::kByte);
    if (plan.layout == Layout::channels_last) {
      images = images.contiguous(at::MemoryFormat::ChannelsLast);
    }
    images = images.to(device);
    check_same_bits(finisher.compute(images).cpu(), finisher.look_up(images).cpu());
  });
}

TEST_CASE("noise is not made on a device") {
  TransformPlan plan = small_plan();
  plan.erasing = RandomErasing{.fill = RandomErasing::Fill::noise};
  CHECK_THROWS_WITH_AS(
      DataLoader(open(folder().root()), plan, small_options(), {.finish_on = at::Device(at::kCPU)}),
      doctest::Contains("finish_on: erasing fills with noise"), std::invalid_argument);
}

TEST_CASE("an order made elsewhere is loaded as it is") {
  DataLoader loader(open(folder().root()), small_plan(), small_options());
  int left = 2;
  DataLoader::Epoch epoch = loader.epoch(0, [&]() -> std::optional<std::vector<std::uint32_t>> {
    if (left-- == 0) return std::nullopt;
    return std::vector<std::uint32_t>{20, 0, 20};
  });
  int batches = 0;
  for (const Example& example : epoch) {
    CHECK(at::equal(example.target, at::tensor({2, 0, 2}, at::kLong)));
    ++batches;
  }
  CHECK(batches == 2);
}

TEST_CASE("a stopped loader ends the epoch and has counted its batches") {
  DataLoader loader(open(folder().root()), small_plan(), small_options());
  DataLoader::Epoch epoch = loader.epoch(0);
  REQUIRE(epoch.next());
  CHECK(loader.core().stats().deliver.count == 1);
  loader.core().stop();
  CHECK_FALSE(epoch.next());
}

namespace {

/// data_root with train/ and val/ of `classes` and `val_classes`.
struct DataRoot {
  DataRoot(int classes, int val_classes) {
    add("train", classes, 6);
    add("val", val_classes, 3);
  }
  void add(const std::string& split, int classes, int per_class) const {
    for (int c = 0; c < classes; ++c) {
      for (int i = 0; i < per_class; ++i) {
        directory.write(split + "/c" + std::to_string(c) + "/" + std::to_string(i) + ".JPEG",
                        ringfeed::testing::make_jpeg(60, 50, static_cast<unsigned>(9 * c + i)));
      }
    }
  }
  TempDir directory;
};

}  // namespace

TEST_CASE("the data module's defaults are the Python one's") {
  const ImageNetOptions options;
  CHECK(options.batch_size == 256);
  CHECK(options.num_workers == 8);
  CHECK(options.pin_memory);
  CHECK(options.prefetch_factor == 0);
  CHECK_FALSE(options.drop_last);
}

TEST_CASE("the data module serves train shuffled and val in order") {
  const DataRoot root(2, 2);
  ImageNetDataModule module(
      {.data_root = root.directory.path(), .batch_size = 4, .num_workers = 2});
  CHECK_THROWS_AS(module.train_dataset(), std::logic_error);
  CHECK_THROWS_AS(module.val_dataloader(), std::logic_error);
  module.setup("fit");
  CHECK(module.train_dataset().size() == 12);
  CHECK(module.val_dataset().size() == 6);

  DataLoader train = module.train_dataloader();
  const Example first = *train.epoch(0).next();
  CHECK(first.data.sizes() == at::IntArrayRef({4, 3, 224, 224}));
  CHECK((first.data.scalar_type() == at::kFloat));
  std::vector<at::Tensor> targets[2];
  for (const std::uint64_t epoch : {0, 1}) {
    for (const Example& example : train.epoch(epoch)) targets[epoch].push_back(example.target);
  }
  CHECK(at::cat(targets[0]).sum().item<std::int64_t>() == 6);
  CHECK_FALSE(at::equal(at::cat(targets[0]), at::cat(targets[1])));

  DataLoader val = module.val_dataloader();
  std::vector<at::Tensor> in_order;
  for (const Example& example : val.epoch(0)) in_order.push_back(example.target);
  CHECK(at::equal(at::cat(in_order), at::tensor({0, 0, 0, 1, 1, 1}, at::kLong)));
}

TEST_CASE("the data module names what is missing") {
  const TempDir empty;
  const auto message = [](ImageNetDataModule& module, const char* stage) {
    try {
      module.setup(stage);
    } catch (const LoadError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  ImageNetDataModule none({.data_root = empty.path()});
  const std::string train = message(none, "fit");
  CHECK(train.find((empty.path() / "train").string()) != std::string::npos);
  CHECK(train.find("val/CLASS/IMAGE") != std::string::npos);
  CHECK(message(none, "test").find((empty.path() / "val").string()) != std::string::npos);
  CHECK_THROWS_AS(none.setup("training"), std::invalid_argument);

  const DataRoot uneven(3, 2);
  ImageNetDataModule module({.data_root = uneven.directory.path()});
  CHECK(message(module, "fit").find("class 2 is 'c2' there and none here") != std::string::npos);
}

TEST_CASE("the data module's loaders take the options that their errors name") {
  const DataRoot root(1, 1);
  const ImageNetOptions given{
      .data_root = root.directory.path(), .batch_size = 3, .num_workers = 1};
  const auto load = [](const ImageNetOptions& options) {
    ImageNetDataModule module(options);
    module.setup("validate");
    DataLoader loader = module.val_dataloader();
    try {
      for (const Example& example : loader.epoch(0)) CHECK(example.data.size(0) == 3);
    } catch (const LoadError& error) {
      return std::string(error.what());
    }
    CHECK(loader.core().stats().depth == options.depth);
    return std::to_string(loader.core().memory_bound());
  };
  const auto names = [&](const ImageNetOptions& options, const char* option) {
    return load(options).find(std::string("; raise ") + option + " to accept it") !=
           std::string::npos;
  };
  ImageNetOptions options = given;
  options.depth = 3;
  options.read_ahead_bytes = 1 << 20;
  const std::string bound = load(options);
  options.read_ahead_bytes = 2 << 20;
  CHECK(std::stoull(load(options)) - std::stoull(bound) == 1 << 20);

  options = given;
  options.max_file_bytes = 100;
  CHECK(names(options, "max_file_bytes"));
  options = given;
  options.limits.max_pixels = 100;
  CHECK(names(options, "limits.max_pixels"));
}

TEST_CASE("the data module's error for an empty class advises no option that it lacks") {
  const DataRoot root(1, 1);
  std::filesystem::create_directories(root.directory.path() / "val" / "empty");
  ImageNetDataModule module({.data_root = root.directory.path()});
  std::string message;
  try {
    module.setup("validate");
  } catch (const LoadError& error) {
    message = error.what();
  }
  CHECK(message.find("no image found for the classes empty") != std::string::npos);
  CHECK(message.find("allow_empty") == std::string::npos);
}
