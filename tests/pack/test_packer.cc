#include <doctest/doctest.h>
#include <xxhash.h>

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "base/planar.h"
#include "pack/packer.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

struct GoldenTable {
  Normalize::Flavour flavour;
  DType dtype;
  std::array<float, 3> mean, std;
  std::uint64_t hash;
};

const GoldenTable golden_tables[] = {
#include "golden_pack.inc"
};

TransformPlan plan_of(DType dtype, Layout layout, int height, int width) {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = height, .width = width};
  plan.dtype = dtype;
  plan.layout = layout;
  if (dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  return plan;
}

std::vector<std::uint8_t> planar_row(int width, int y) {
  // The slack holds a value of its own, so that reading it into the result would show.
  std::vector<std::uint8_t> row(3 * plane_stride(width) + 2 * kernel_slack, 0xEE);
  std::mt19937 random(static_cast<unsigned>(y));
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
      row[c * plane_stride(width) + x] = static_cast<std::uint8_t>(random());
    }
  }
  return row;
}

std::uint32_t element(const std::byte* out, DType dtype, std::size_t index) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, out + index * item_size(dtype), item_size(dtype));
  return bits;
}

/// Packs rows into a buffer `shift` bytes off a 64-byte boundary; counts wrong elements.
int wrong_elements(const TransformPlan& plan, std::size_t shift) {
  const auto height = static_cast<std::size_t>(plan.out_height());
  const auto width = static_cast<std::size_t>(plan.out_width());
  std::vector<std::byte> buffer(plan.sample_bytes() + 192, std::byte{0xA5});
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
  std::byte* out = buffer.data() + (64 - address % 64) % 64 + shift;
  pack::Packer packer(plan);
  for (int y = 0; y < plan.out_height(); ++y) {
    packer.row(planar_row(plan.out_width(), y).data(), y, out);
  }
  packer.finish();

  const std::vector<std::uint32_t> table = pack::reference_table(plan);
  int wrong = 0;
  for (std::size_t y = 0; y < height; ++y) {
    const auto row = planar_row(plan.out_width(), static_cast<int>(y));
    for (std::size_t x = 0; x < width; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        const std::size_t index =
            plan.layout == Layout::nchw ? (c * height + y) * width + x : (y * width + x) * 3 + c;
        const std::uint8_t value = row[c * plane_stride(plan.out_width()) + x];
        wrong += element(out, plan.dtype, index) != table[c * 256 + value];
      }
    }
  }
  for (const std::byte* p = out + plan.sample_bytes(); p < buffer.data() + buffer.size(); ++p) {
    wrong += *p != std::byte{0xA5};
  }
  return wrong;
}

TEST_CASE("the reference table hashes to what torchvision gave") {
  for (const GoldenTable& golden : golden_tables) {
    CAPTURE(&golden - golden_tables);
    TransformPlan plan = plan_of(golden.dtype, Layout::nchw, 1, 1);
    plan.normalize = {golden.flavour, golden.mean, golden.std};
    const std::vector<std::uint32_t> table = pack::reference_table(plan);
    std::vector<std::byte> bytes;
    for (std::uint32_t bits : table) {
      const auto* first = reinterpret_cast<const std::byte*>(&bits);
      bytes.insert(bytes.end(), first, first + item_size(golden.dtype));
    }
    CHECK(XXH3_64bits(bytes.data(), bytes.size()) == golden.hash);
  }
}

TEST_CASE("every dtype, layout, width and alignment equals the table") {
  testing::for_each_target([](const std::string&) {
    for (DType dtype : {DType::float32, DType::float16, DType::bfloat16, DType::uint8}) {
      for (Layout layout : {Layout::nchw, Layout::channels_last}) {
        for (int width : {1, 2, 5, 15, 16, 17, 31, 33, 48, 63, 64, 65, 67, 100, 224}) {
          CAPTURE(static_cast<int>(dtype));
          CAPTURE(static_cast<int>(layout));
          CAPTURE(width);
          CHECK(wrong_elements(plan_of(dtype, layout, 3, width), 0) == 0);
          CHECK(wrong_elements(plan_of(dtype, layout, 3, width), 4) == 0);
        }
      }
    }
  });
}

TEST_CASE("the table takes over where the formula would round differently") {
  testing::for_each_target([](const std::string&) {
    TransformPlan plan = plan_of(DType::float32, Layout::channels_last, 2, 37);
    // -0.0: the formula's two terms have opposite signs there and give +0.0.
    plan.normalize.mean = {0, 0, 0};
    plan.normalize.std = {-0.3f, -0.7f, -0.9f};
    CHECK_FALSE(pack::Packer(plan).uses_formula());
    CHECK(wrong_elements(plan, 0) == 0);
    plan.layout = Layout::nchw;
    plan.dtype = DType::bfloat16;
    CHECK(wrong_elements(plan, 0) == 0);
  });
}

TEST_CASE("the usual normalisation runs as a formula where there is a fused multiply-add") {
  testing::for_each_target([](const std::string& name) {
    if (name != "AVX2" && name != "AVX3") return;
    for (auto flavour : {Normalize::Flavour::to_tensor, Normalize::Flavour::to_dtype}) {
      for (DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
        TransformPlan plan = plan_of(dtype, Layout::nchw, 1, 1);
        plan.normalize.flavour = flavour;
        CHECK(pack::Packer(plan).uses_formula());
      }
    }
  });
}

TEST_CASE("float16 rounds to nearest even, overflows to infinity and keeps subnormals") {
  CHECK(pack::to_float16(1.0f) == 0x3C00);
  CHECK(pack::to_float16(-2.0f) == 0xC000);
  CHECK(pack::to_float16(0x1.002p0f) == 0x3C00);     // half way, even below
  CHECK(pack::to_float16(0x1.006p0f) == 0x3C02);     // half way, even above
  CHECK(pack::to_float16(0x1.002002p0f) == 0x3C01);  // just over half way
  CHECK(pack::to_float16(65504.0f) == 0x7BFF);
  CHECK(pack::to_float16(65519.996f) == 0x7BFF);
  CHECK(pack::to_float16(65520.0f) == 0x7C00);
  CHECK(pack::to_float16(-std::numeric_limits<float>::infinity()) == 0xFC00);
  CHECK(pack::to_float16(0x1p-24f) == 0x0001);
  CHECK(pack::to_float16(0x1p-25f) == 0x0000);
  CHECK(pack::to_float16(0x1.8p-24f) == 0x0002);
  CHECK(pack::to_float16(0x1.fffp-15f) == 0x0400);  // carries into the smallest normal
  CHECK(pack::to_float16(-0.0f) == 0x8000);
}

TEST_CASE("bfloat16 rounds to nearest even") {
  CHECK(pack::to_bfloat16(1.0f) == 0x3F80);
  CHECK(pack::to_bfloat16(std::bit_cast<float>(0x3F808000u)) == 0x3F80);
  CHECK(pack::to_bfloat16(std::bit_cast<float>(0x3F818000u)) == 0x3F82);
  CHECK(pack::to_bfloat16(std::bit_cast<float>(0x3F808001u)) == 0x3F81);
}

}  // namespace
}  // namespace ringfeed
