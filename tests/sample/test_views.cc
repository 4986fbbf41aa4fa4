#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "batch/lay_out.h"
#include "sample/sample_maker.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using sample::SampleMaker;
using testing::Octets;

std::span<const std::byte> bytes(const Octets& file) { return std::as_bytes(std::span(file)); }

/// Crops of several sizes, dtypes and layouts; one augmented and erased, one of the whole image,
/// one padded.
std::vector<TransformPlan> plans() {
  std::vector<TransformPlan> all(6);
  all[0].geometry = RandomResizedCrop{.height = 24, .width = 40};
  all[1].geometry = RandomResizedCrop{.height = 9, .width = 9, .scale_max = 0.3};
  all[1].dtype = DType::uint8;
  all[1].normalize.flavour = Normalize::Flavour::none;
  all[1].layout = Layout::channels_last;
  all[2] = all[1];
  all[3].geometry = RandomResizedCrop{.height = 30, .width = 20};
  all[3].interpolation = Interpolation::bicubic;
  all[3].augmentation = {{.step = RandomRotation{.low = -30, .high = 30}},
                         {.step = Operation{.kind = OperationKind::equalize}}};
  all[3].erasing = RandomErasing{.probability = 1};
  all[4].geometry = ResizeCenterCrop{.resize = 40, .height = 32, .width = 32};
  all[4].pillow = PillowRule::before_13;
  all[5].geometry = ResizeCenterCrop{.resize = 0, .height = 150, .width = 170};
  all[5].dtype = DType::float16;
  return all;
}

std::vector<Octets> images() {
  std::vector<Octets> files;
  for (int i = 0; i < 24; ++i) {
    testing::JpegForm form;
    form.width = 33 + 61 * i % 300;
    form.height = 20 + 47 * i % 260;
    form.components = i % 6 == 4 ? 1 : i % 6 == 5 ? 4 : 3;
    form.progressive = i % 4 == 3;
    form.arithmetic = i % 8 == 2;
    form.vertical = 1 + i % 2;
    form.seed = static_cast<std::uint32_t>(i);
    files.push_back(testing::encode_jpeg(form));
  }
  for (const int color_type : {0, 2, 3, 6}) {
    testing::PngForm form;
    form.width = 120 + color_type;
    form.height = 90;
    form.color_type = color_type;
    form.interlaced = color_type == 2;
    files.push_back(testing::encode_png(form).file);
  }
  return files;
}

/// A maker of some plans with memory for one sample.
struct Made {
  explicit Made(const std::vector<TransformPlan>& plans)
      : maker(plans, {}),
        views(batch::lay_out(plans, 1)),
        out(batch::bytes_of(views, 1), std::byte{0xA5}) {}

  auto make(const Octets& file, data::Key key, std::uint64_t position) {
    return maker.make(bytes(file), key, position, {out.data(), views});
  }
  std::span<const std::byte> of(std::size_t view) const {
    return std::span(out).subspan(views[view].offset, views[view].sample_bytes());
  }

  SampleMaker maker;
  std::vector<BatchView> views;
  std::vector<std::byte> out;
};

TEST_CASE("each of several views is what a maker of it alone gives with that view's draws") {
  Made together(plans());
  std::vector<Made> alone;
  for (const TransformPlan& plan : plans()) alone.emplace_back(std::vector{plan});
  const data::Key key = data::make_key(4, 2);
  std::uint64_t position = 0;
  for (const Octets& file : images()) {
    CAPTURE(++position);
    REQUIRE(together.make(file, key, position));
    for (std::size_t v = 0; v < alone.size(); ++v) {
      CAPTURE(v);
      REQUIRE(alone[v].make(file, data::of_view(key, v), position));
      CHECK(together.maker.geometry(v) == alone[v].maker.geometry());
      CHECK(std::ranges::equal(together.of(v), alone[v].of(0)));
    }
    // Equal plans, and each its own draws.
    CHECK(together.maker.geometry(1) != together.maker.geometry(2));
  }
}

TEST_CASE("a failed image fails once for all views, and leaves nothing for the next") {
  Made reused(plans());
  const data::Key key = data::make_key(4, 2);
  for (const Octets& good : images()) {
    for (const std::size_t keep : {good.size() / 2, std::size_t{50}, std::size_t{0}}) {
      const auto end = good.begin() + static_cast<std::ptrdiff_t>(keep);
      CHECK_FALSE(reused.make(Octets(good.begin(), end), key, 0));
    }
    Made fresh(plans());
    REQUIRE(reused.make(good, key, 5));
    REQUIRE(fresh.make(good, key, 5));
    for (std::size_t v = 0; v < plans().size(); ++v) {
      CHECK(std::ranges::equal(reused.of(v), fresh.of(v)));
    }
  }
}

}  // namespace
}  // namespace ringfeed
