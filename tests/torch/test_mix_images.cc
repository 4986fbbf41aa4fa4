#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <doctest/doctest.h>
#include <torch/types.h>

#include <filesystem>
#include <iterator>

#include "support/same_bits.h"
#include "torch/mixer.h"

// torch's headers put c10's in its place, which aborts the whole program.
#undef CHECK
#define CHECK DOCTEST_CHECK

using namespace ringfeed;
using augment::MixKind;
using testing::same_bits;

TEST_CASE("images are mixed with those that each rule names, in steps that round each") {
  // Of more elements than one piece of work has.
  const at::Tensor images = torch::randn({4, 3, 120, 100});
  const Box box{.top = 20, .left = 30, .height = 90, .width = 50};
  for (const bool mirrored : {false, true}) {
    CAPTURE(mirrored);
    const at::Tensor partners = mirrored ? images.flip(0) : images.roll(1, 0);
    at::Tensor mixed = images.clone();
    mix_images(mixed, {{{MixKind::mixup, 0.3}}, mirrored});
    CHECK(same_bits(mixed, (images * 0.3f) + (partners * static_cast<float>(1 - 0.3))));

    mixed = images.clone();
    mix_images(mixed, {{{MixKind::cutmix, 0.3, box}}, mirrored});
    at::Tensor expected = images.clone();
    const auto part = [&](const at::Tensor& whole) {
      return whole.narrow(2, box.top, box.height).narrow(3, box.left, box.width);
    };
    part(expected).copy_(part(partners));
    CHECK(same_bits(mixed, expected));
    CHECK_FALSE(same_bits(mixed, images));
  }
}

TEST_CASE("a batch of one is mixed with itself") {
  const at::Tensor images = torch::randn({1, 3, 4, 4});
  at::Tensor mixed = images.clone();
  mix_images(mixed, {{{MixKind::mixup, 0.25}}, false});
  CHECK(same_bits(mixed, images * 0.25 + images * 0.75));
}

TEST_CASE("all images at once and image after image give the same bits") {
  for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16, at::kByte}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      for (const bool mirrored : {false, true}) {
        for (const MixKind kind : {MixKind::mixup, MixKind::cutmix}) {
          const at::Tensor images =
              (torch::rand({6, 3, 120, 100}) * 255).to(dtype).contiguous(format);
          const MixDraw draw{{{kind, 0.37, {.top = 3, .left = 2, .height = 100, .width = 90}}},
                             mirrored};
          at::Tensor whole = images.clone(), each = images.clone();
          mix_whole(whole, draw);
          mix_each(each, draw);
          CHECK(same_bits(whole, each));
          CHECK(whole.strides() == images.strides());
          CHECK(each.strides() == images.strides());
          if (!at::hasCUDA()) continue;
          at::Tensor there = images.to(at::kCUDA), alone = there.clone();
          mix_images(there, draw);
          mix_each(alone, draw);
          CHECK(same_bits(there, each));
          CHECK(same_bits(alone, each));
        }
      }
    }
  }
}

TEST_CASE("mixing on the CPU starts no threads of torch's") {
  // They would wait by spinning, on the cores that decode.
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  };
  const int before = at::get_num_threads();
  at::set_num_threads(2 * before + 8);  // more than other tests can have started
  const auto none = threads();
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    for (const auto dtype : {at::kFloat, at::kHalf, at::kByte}) {
      const at::Tensor images = at::empty({4, 3, 224, 224}, dtype, format);
      for (const MixKind kind : {MixKind::mixup, MixKind::cutmix}) {
        for (const bool mirrored : {false, true}) {
          mix_images(images, {{{kind, 0.5, {.height = 224, .width = 224}}}, mirrored});
        }
      }
    }
  }
  CHECK(threads() <= none);  // some may have ended
  at::empty({1 << 22}).fill_(1);
  CHECK(threads() > none);  // else the test shows nothing
  at::set_num_threads(before);
}
