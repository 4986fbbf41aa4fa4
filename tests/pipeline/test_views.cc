// Loaders of several plans: a tensor for each, of one decode.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "batch/lay_out.h"
#include "data/random.h"
#include "pipeline/loader_test.h"
#include "sample/decode_pool.h"
#include "sample/sample_maker.h"

using namespace ringfeed;
using namespace ringfeed::testing;

namespace {

/// Three of different sizes, dtypes and layouts.
std::vector<TransformPlan> plans() {
  std::vector<TransformPlan> all(3, small_plan());
  all[1].geometry = RandomResizedCrop{.height = 5, .width = 5, .scale_max = 0.4};
  all[1].dtype = DType::uint8;
  all[1].normalize.flavour = Normalize::Flavour::none;
  all[2].geometry = ResizeCenterCrop{.resize = 9, .height = 7, .width = 7};
  all[2].dtype = DType::bfloat16;
  all[2].layout = Layout::channels_last;
  return all;
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

}  // namespace

TEST_CASE("a batch holds every view of its samples, the last and smaller one too") {
  for (const ReaderKind reader : readers) {
    const ImageFolder dataset = open(folder().root());
    const LoaderOptions options = small_options(reader);
    Loader loader(dataset, plans(), options);
    const std::vector<Draw> draws = loader.draws(2);
    REQUIRE(draws.size() == 3 * dataset.size());
    sample::SampleMaker maker(plans(), {});
    const auto one = batch::lay_out(plans(), 1);
    std::vector<std::byte> expected(batch::bytes_of(one, 1));
    std::vector<std::size_t> sizes;
    std::size_t drawn = 0;
    for (const Batch& batch : loader.epoch(2)) {
      sizes.push_back(batch.size());
      REQUIRE(batch.views.size() == 3);
      for (std::size_t v = 0; v < 3; ++v) {
        CHECK(batch.pixels(v).size() == batch.size() * plans()[v].sample_bytes());
        CHECK(reinterpret_cast<std::uintptr_t>(batch.pixels(v).data()) % 64 == 0);
      }
      for (std::size_t i = 0; i < batch.size(); ++i) {
        REQUIRE(maker.make(read_file(dataset.path(batch.indices[i])),
                           data::make_key(options.seed, 2), batch.positions[i],
                           {expected.data(), one}));
        for (std::size_t v = 0; v < 3; ++v) {
          CHECK(std::ranges::equal(batch.sample(i, v), std::span(expected).subspan(
                                                           one[v].offset, one[v].sample_bytes())));
          const Draw& draw = draws[drawn++];
          const augment::Geometry& g = maker.geometry(v);
          CHECK(draw.position == batch.positions[i]);
          CHECK(draw.index == batch.indices[i]);
          CHECK(std::array{draw.top, draw.left, draw.height, draw.width} ==
                std::array{g.top, g.left, g.height, g.width});
          CHECK(draw.hflip == g.hflip);
        }
      }
    }
    CHECK(drawn == draws.size());
    CHECK(sizes.size() == 14);
    CHECK(sizes.back() == 1);
  }
}

TEST_CASE("the first view is what a loader of it alone gives") {
  Delivered alone, first;
  collect(Loader(open(folder().root()), plans()[0], small_options()).epoch(1), alone);
  collect(Loader(open(folder().root()), plans(), small_options()).epoch(1), first);
  CHECK(alone == first);
}

TEST_CASE("an epoch goes on with the views it would have had") {
  const auto all_views = [](Epoch epoch) {
    std::vector<std::string> batches;
    for (const Batch& batch : epoch) {
      std::string& bytes = batches.emplace_back();
      for (std::size_t v = 0; v < 3; ++v) {
        const auto pixels = batch.pixels(v);
        bytes.append(reinterpret_cast<const char*>(pixels.data()), pixels.size());
      }
    }
    return batches;
  };
  Loader loader(open(folder().root()), plans(), small_options());
  const auto whole = all_views(loader.epoch(0));
  const auto rest = all_views(loader.epoch(0, Progress{40, {}}));
  REQUIRE(rest.size() == whole.size() - 5);
  CHECK(std::equal(rest.begin(), rest.end(), whole.begin() + 5));
}

TEST_CASE("a file that fails is one error of its batch, whatever the number of views") {
  SampleFolder files(1, 6);
  std::filesystem::resize_file(files.file(0, 2), 300);
  auto options = small_options();
  options.batch_size = 3;
  options.shuffle = false;
  Loader loader(open(files.root()), plans(), options);
  Epoch epoch = loader.epoch(0);
  const NextBatch failed = epoch.try_next();
  REQUIRE(failed.error);
  CHECK(failed.error->path == files.file(0, 2).string());
  const NextBatch good = epoch.try_next();
  REQUIRE(good.batch);
  CHECK(good.batch->number == 1);
  CHECK_FALSE(epoch.try_next());
  CHECK(loader.stats().decode.failed == 1);
}

TEST_CASE("the memory bound counts every view of a batch and of a maker") {
  const auto bound = [](const std::vector<TransformPlan>& of) {
    return Loader(open(folder().root()), of, small_options()).memory_bound();
  };
  const auto batches = [](const std::vector<TransformPlan>& of) {
    const LoaderOptions options = small_options();
    const auto size = static_cast<std::size_t>(options.batch_size);
    const std::size_t bytes = batch::bytes_of(batch::lay_out(of, size), size);
    return 4 * make_huge_page_allocator(4)->footprint(bytes);
  };
  std::vector<TransformPlan> more = plans();
  more.insert(more.end(), 40, TransformPlan::imagenet_train());
  const auto pool = [](const std::vector<TransformPlan>& of) {
    return sample::DecodePool::memory_bound(2, of, {});
  };
  const std::size_t makers = pool(more) - pool(plans());
  CHECK(makers > 0);
  CHECK(bound(more) - bound(plans()) == batches(more) - batches(plans()) + makers);
}

TEST_CASE("a memory limit that is too small says what there is to lower") {
  LoaderOptions options = small_options();
  options.memory_limit = 1 << 20;
  const auto message = [&](const std::vector<TransformPlan>& of) -> std::string {
    try {
      Loader(open(folder().root()), of, options);
      return "";
    } catch (const OptionError& error) {
      return error.what();
    }
  };
  const std::string of_views = message(plans());
  CAPTURE(of_views);
  CHECK(of_views.find(" for 3 views of an image; lower limits.max_pixels, num_workers, ") !=
        std::string::npos);
  CHECK(message({TransformPlan::imagenet_train()})
            .find(" bytes; lower limits.max_pixels, num_workers, ") != std::string::npos);
  TransformPlan whole = TransformPlan::imagenet_val();
  whole.geometry = WholeImage{};
  whole.augmentation = {{.step = CenterCrop{}}};
  const std::string of_whole = message({whole});
  CAPTURE(of_whole);
  CHECK(of_whole.find(" bytes; lower limits.max_canvas_bytes, num_workers, ") != std::string::npos);
}

TEST_CASE("a batch shows nothing of a view that it does not have") {
  CHECK(Batch{}.pixels().empty());
  CHECK(Batch{}.sample(0, 2).empty());
}

TEST_CASE("too few or too many plans and a senseless one are refused") {
  const auto make = [](const std::vector<TransformPlan>& of) {
    Loader(open(folder().root()), of, small_options());
  };
  CHECK_THROWS_WITH_AS(make({}), "Loader: there must be 1 to 256 plans, one for each view, not 0",
                       std::invalid_argument);
  CHECK_THROWS_AS(make(std::vector(257, small_plan())), std::invalid_argument);
  std::vector<TransformPlan> senseless = plans();
  senseless[2].hflip_probability = 2;
  CHECK_THROWS_AS(make(senseless), std::invalid_argument);
}
