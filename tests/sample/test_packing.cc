#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "batch/lay_out.h"
#include "pack/packer.h"
#include "resize/resample_reference.h"
#include "sample/sample_maker.h"
#include "support/encode.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using sample::SampleMaker;
using testing::Image;

struct Case {
  const char* name;
  int height, width;  // of the image
  decltype(TransformPlan::geometry) geometry;
};

const Case cases[] = {
    {"shrunk", 90, 71, RandomResizedCrop{.height = 37, .width = 53}},
    {"enlarged", 23, 19, RandomResizedCrop{.height = 61, .width = 65}},
    {"tall", 200, 64,
     ResizeCenterCrop{
         .resize = 0, .height = 39, .width = 57, .resize_height = 41, .resize_width = 60}},
    {"padded", 21, 33, ResizeCenterCrop{.resize = 20, .height = 33, .width = 57}},
    {"as it is", 45, 51, ResizeCenterCrop{.resize = 0, .height = 31, .width = 17}},
};

std::vector<TransformPlan> plans(const Case& c) {
  std::vector<TransformPlan> plans;
  for (DType dtype : {DType::float32, DType::float16, DType::bfloat16, DType::uint8}) {
    for (Layout layout : {Layout::nchw, Layout::channels_last}) {
      for (PillowRule rule : {PillowRule::before_13, PillowRule::from_13}) {
        for (double flips : {0.0, 1.0}) {
          TransformPlan plan;
          plan.geometry = c.geometry;
          plan.hflip_probability = flips;
          plan.dtype = dtype;
          plan.layout = layout;
          plan.pillow = rule;
          if (dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
          plans.push_back(plan);
        }
      }
    }
  }
  return plans;
}

/// The sample by the plain loops and the conversion's table.
std::vector<std::byte> reference_sample(const TransformPlan& plan, const Image& image,
                                        const augment::Geometry& geometry) {
  const std::vector<std::uint8_t> bytes = testing::reference_resize(image, geometry, plan.pillow);
  const std::vector<std::uint32_t> table = pack::reference_table(plan);
  const std::size_t pixels = bytes.size() / 3, item = item_size(plan.dtype);
  std::vector<std::byte> sample(plan.sample_bytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t channel = i % 3;
    const std::size_t at = plan.layout == Layout::nchw ? channel * pixels + i / 3 : i;
    // Little-endian, as every supported target: a narrow value is the word's first bytes.
    std::memcpy(sample.data() + at * item, &table[channel * 256 + bytes[i]], item);
  }
  return sample;
}

/// A sample between two guards, 64-byte aligned as in a batch.
class Output {
 public:
  explicit Output(std::size_t bytes) : buffer_(bytes + 3 * guard, std::byte{0xA5}), bytes_(bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(buffer_.data());
    begin_ = guard + (guard - address % guard) % guard;
  }
  std::byte* data() { return buffer_.data() + begin_; }
  bool equals(const std::vector<std::byte>& want) {
    return std::memcmp(data(), want.data(), bytes_) == 0;
  }
  bool guards_stand() const {
    for (std::size_t i = 0; i < buffer_.size(); ++i) {
      if ((i < begin_ || i >= begin_ + bytes_) && buffer_[i] != std::byte{0xA5}) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t guard = 64;
  std::vector<std::byte> buffer_;
  std::size_t bytes_, begin_;
};

TEST_CASE("a sample holds the table's values of the resized bytes, by row and by canvas") {
  for (const Case& c : cases) {
    CAPTURE(c.name);
    testing::PngForm form;
    form.height = c.height;
    form.width = c.width;
    const auto png = testing::encode_png(form);
    const Image image{c.height, c.width, png.rgb};
    for (const TransformPlan& plan : plans(c)) {
      CAPTURE(to_string(plan.dtype));
      CAPTURE(static_cast<int>(plan.layout));
      CAPTURE(static_cast<int>(plan.pillow));
      CAPTURE(plan.hflip_probability);
      testing::for_each_target([&](const std::string&) {
        for (const bool augmented : {false, true}) {
          CAPTURE(augmented);
          TransformPlan same = plan;
          if (augmented) same.augmentation = {Augmentation{}};  // a step that does nothing
          SampleMaker maker({same}, {});
          const auto views = batch::lay_out({same}, 1);
          Output out(plan.sample_bytes());
          REQUIRE(maker.make(std::as_bytes(std::span(png.file)), data::make_key(3, 0), 5,
                             {out.data(), views}));
          CHECK(out.equals(reference_sample(plan, image, maker.geometry())));
          CHECK(out.guards_stand());
        }
      });
    }
  }
}

}  // namespace
}  // namespace ringfeed
