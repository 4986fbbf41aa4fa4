// Follows this program's own heap, so that the stated bound of a decoder is one.

#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <new>
#include <string_view>

#include "resize/resampler.h"
#include "sample/sample_maker.h"
#include "support/encode.h"

namespace {

std::size_t live = 0;
std::size_t peak = 0;

void* counted(void* p) {
  if (p == nullptr) throw std::bad_alloc();
  live += malloc_usable_size(p);
  peak = std::max(peak, live);
  return p;
}

void uncount(void* p) {
  live -= malloc_usable_size(p);
  std::free(p);
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(std::malloc(bytes)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(align, (bytes + align - 1) / align * align));
}
void operator delete(void* p) noexcept { uncount(p); }
void operator delete(void* p, std::size_t) noexcept { uncount(p); }
void operator delete(void* p, std::align_val_t) noexcept { uncount(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { uncount(p); }

namespace ringfeed {
namespace {

using testing::Octets;

/// Heap bytes beyond those held before: the most at any moment of one decode, and what stays.
struct Use {
  std::size_t most = 0, kept = 0;
};

Use decode(sample::SampleMaker& decoder, const TransformPlan& plan, const Octets& file) {
  std::vector<std::byte> out(plan.sample_bytes());
  const std::size_t before = peak = live;
  REQUIRE(decoder.make(std::as_bytes(std::span(file)), data::make_key(1, 0), 0, out.data()));
  return {peak - before, live - std::min(live, before)};
}

Octets with_empty_data_chunks(const Octets& png, std::size_t count) {
  static constexpr std::uint8_t empty[12] = {0,   0,   0,    0,    'I',  'D',
                                             'A', 'T', 0x35, 0xAF, 0x06, 0x1E};
  const auto first = std::search(png.begin(), png.end(), empty + 4, empty + 8) - 4;
  Octets file(png.begin(), first);
  for (std::size_t i = 0; i < count; ++i)
    file.insert(file.end(), std::begin(empty), std::end(empty));
  file.insert(file.end(), first, png.end());
  return file;
}

TEST_CASE("the memory a PNG takes does not follow from how many chunks it has") {
  const TransformPlan plan = TransformPlan::imagenet_val();
  const Octets png = testing::encode_png({}).file;
  const Octets many = with_empty_data_chunks(png, 200'000);
  sample::SampleMaker decoder(plan, {});
  decode(decoder, plan, png);
  CHECK(decode(decoder, plan, many).most <= decode(decoder, plan, png).most);
}

TEST_CASE("an interlaced image is not kept: the next one may need its memory") {
  const TransformPlan plan = TransformPlan::imagenet_val();
  testing::PngForm form;
  form.width = form.height = 700;
  form.interlaced = true;
  const std::size_t image = std::size_t{3} * 700 * 700;
  sample::SampleMaker decoder(plan, {});
  const Use use = decode(decoder, plan, testing::encode_png(form).file);
  CHECK(use.most >= image);
  CHECK(use.kept < image / 2);
}

/// The most the resize of `plan` takes for images of these heights and widths, one after another.
std::size_t resize_peak(const TransformPlan& plan, const std::vector<std::array<int, 2>>& sizes) {
  resize::Resampler resampler(plan.pillow);
  const std::size_t before = peak = live;
  for (const auto& [height, width] : sizes) {
    resampler.begin(augment::draw_geometry(plan, height, width, data::make_key(1, 0), 0));
  }
  return peak - before;
}

TEST_CASE("the stated memory covers a resize to less than the crop") {
  TransformPlan plan = TransformPlan::imagenet_val();
  plan.geometry = ResizeCenterCrop{.resize = 1, .height = 48, .width = 48};
  DecodeLimits limits;
  limits.max_decoder_bytes = 0;
  CHECK(resize_peak(plan, {{65500, 65500}, {65499, 65499}, {65498, 65498}, {65497, 65497}}) <=
        sample::SampleMaker::memory_bound(plan, limits));
}

TEST_CASE("the stated memory covers an exact size and no resize") {
  DecodeLimits limits;
  limits.max_decoder_bytes = 0;
  TransformPlan plan = TransformPlan::imagenet_val();
  const auto sizes = {std::array{65500, 2700}, {65499, 2699}, {2700, 65500}, {2699, 65499}};
  for (const auto& [height, width] : {std::array{1, 1}, {1, 300}, {300, 1}, {8192, 8192}, {0, 0}}) {
    plan.geometry = ResizeCenterCrop{
        .resize = 0, .height = 48, .width = 300, .resize_height = height, .resize_width = width};
    CHECK(resize_peak(plan, sizes) <= sample::SampleMaker::memory_bound(plan, limits));
  }
}

TEST_CASE("the resize's rows never take more than the largest image needs") {
  TransformPlan plan = TransformPlan::imagenet_train();
  plan.geometry = RandomResizedCrop{.height = 8, .width = 224, .scale_min = 1, .ratio_min = 1e-3};
  // Tall enough for the vertical pass to come first: whole source rows are kept.
  const std::size_t alone = resize_peak(plan, {{16000, 1300}});
  CHECK(resize_peak(plan, {{16000, 1200}, {16000, 1300}}) <= alone + alone / 4);
}

TEST_CASE("no byte for the decoder is a limit too") {
  DecodeLimits limits;
  limits.max_decoder_bytes = 0;
  const TransformPlan plan = TransformPlan::imagenet_val();
  testing::JpegForm form;
  form.height = 600;
  form.progressive = true;
  const Octets file = testing::encode_jpeg(form);
  std::vector<std::byte> out(plan.sample_bytes());
  sample::SampleMaker decoder(plan, limits);
  const auto done =
      decoder.make(std::as_bytes(std::span(file)), data::make_key(1, 0), 0, out.data());
  REQUIRE_FALSE(done);
  CHECK(done.error().detail.find("max_decoder_bytes") != std::string::npos);
}

}  // namespace
}  // namespace ringfeed
