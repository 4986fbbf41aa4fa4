#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "augment/noise.h"
#include "pack/erase.h"
#include "pack/packer.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

/// The bits of `value` in a dtype.
std::uint32_t bits(DType dtype, float value) {
  if (dtype == DType::float16) return pack::to_float16(value);
  if (dtype == DType::bfloat16) return pack::to_bfloat16(value);
  std::uint32_t word = 0;
  std::memcpy(&word, &value, sizeof word);
  return word;
}

TEST_CASE("erasing sets the box and nothing else, in every dtype and layout") {
  constexpr int height = 7, width = 5;
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const Layout layout : {Layout::nchw, Layout::channels_last}) {
      for (const Box box : {Box{2, 1, 3, 2}, {0, 0, 7, 5}, {6, 4, 1, 1}, {3, 2, 0, 0}}) {
        TransformPlan plan;
        plan.geometry = RandomResizedCrop{.height = height, .width = width};
        plan.dtype = dtype;
        plan.layout = layout;
        plan.erasing = RandomErasing{.value = {0.1f, -2.00001f, 70000.0f}};
        plan.validate();
        const std::size_t size = item_size(dtype);
        std::vector<std::byte> out(plan.sample_bytes(), std::byte{0x5A});
        pack::erase(plan, std::array{box}, 0, out.data());
        for (int c = 0; c < 3; ++c) {
          for (int y = 0; y < height; ++y) {
            for (int x = 0; x < width; ++x) {
              const int at =
                  layout == Layout::nchw ? (c * height + y) * width + x : (y * width + x) * 3 + c;
              std::uint32_t got = 0, wanted = 0x5A5A5A5A;
              std::memcpy(&got, out.data() + static_cast<std::size_t>(at) * size, size);
              const bool inside = y >= box.top && y < box.top + box.height && x >= box.left &&
                                  x < box.left + box.width;
              if (inside) {
                wanted = bits(dtype, plan.erasing->value[static_cast<std::size_t>(c)]);
              } else if (size == 2) {
                wanted &= 0xFFFF;
              }
              REQUIRE(got == wanted);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("erasing with noise gives each box its own, channel by channel and row by row") {
  constexpr int height = 40, width = 50;
  constexpr std::uint64_t key = 0x123456789;
  const std::array boxes{Box{2, 1, 30, 45}, Box{20, 20, 19, 7}, Box{39, 49, 1, 1}};
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const Layout layout : {Layout::nchw, Layout::channels_last}) {
      for (const auto fill : {RandomErasing::Fill::noise, RandomErasing::Fill::channel_noise}) {
        TransformPlan plan;
        plan.geometry = RandomResizedCrop{.height = height, .width = width};
        plan.dtype = dtype;
        plan.layout = layout;
        plan.erasing = RandomErasing{.fill = fill, .max_count = 3};
        const std::size_t size = item_size(dtype);
        std::vector<std::byte> out(plan.sample_bytes(), std::byte{0x5A});
        std::vector<std::byte> wanted = out;
        for (std::size_t number = 0; number < boxes.size(); ++number) {
          const Box& box = boxes[number];
          const int pixels = box.height * box.width;
          const std::vector<float> noise = augment::noise_of_box(
              key, static_cast<std::uint32_t>(number), static_cast<std::size_t>(3 * pixels));
          for (int i = 0; i < 3 * pixels; ++i) {
            const int c = i / pixels;
            const int y = box.top + i % pixels / box.width, x = box.left + i % box.width;
            const int from = fill == RandomErasing::Fill::noise ? i : c;
            const int at =
                layout == Layout::nchw ? (c * height + y) * width + x : (y * width + x) * 3 + c;
            const std::uint32_t word = bits(dtype, noise[static_cast<std::size_t>(from)]);
            std::memcpy(wanted.data() + static_cast<std::size_t>(at) * size, &word, size);
          }
        }
        const std::vector<std::byte> before = out;
        testing::for_each_target([&](const std::string&) {
          out = before;
          pack::erase(plan, boxes, key, out.data());
          CHECK(out == wanted);
        });
      }
    }
  }
}

TEST_CASE("a plan refuses an erasing that makes no sense") {
  const auto is_valid = [](const RandomErasing& erasing, DType dtype = DType::float32) {
    TransformPlan plan;
    plan.erasing = erasing;
    plan.dtype = dtype;
    if (dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
    try {
      plan.validate();
    } catch (const std::invalid_argument&) {
      return false;
    }
    return true;
  };
  CHECK(is_valid({}));
  CHECK_FALSE(is_valid({}, DType::uint8));
  CHECK_FALSE(is_valid({.probability = -0.1}));
  CHECK_FALSE(is_valid({.scale_min = 0.5, .scale_max = 0.4}));
  CHECK_FALSE(is_valid({.scale_max = 1.1}));
  CHECK_FALSE(is_valid({.ratio_min = 0}));
  CHECK(is_valid({.min_count = 2, .max_count = RandomErasing::max_boxes}));
  CHECK_FALSE(is_valid({.min_count = 0}));
  CHECK_FALSE(is_valid({.min_count = 2}));
  CHECK_FALSE(is_valid({.max_count = RandomErasing::max_boxes + 1}));
}

}  // namespace
}  // namespace ringfeed
