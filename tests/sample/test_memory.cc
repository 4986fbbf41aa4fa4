#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "batch/lay_out.h"
#include "decode/jpeg/decoder.h"
#include "sample/decode_pool.h"
#include "sample/sample_maker.h"
#include "support/counted_heap.h"
#include "support/encode.h"
#include "support/greedy_files.h"

namespace ringfeed {
namespace {

using testing::Octets;

/// Heap bytes beyond those held before: the most at any moment of one sample, and what stays.
struct Use {
  std::size_t most = 0, kept = 0;
};

Use make(sample::SampleMaker& maker, const TransformPlan& plan, const Octets& file) {
  std::vector<std::byte> out(plan.sample_bytes());
  const auto views = batch::lay_out({plan}, 1);
  const std::size_t before = testing::heap_live;
  const std::size_t most = testing::peak_of([&] {
    REQUIRE(
        maker.make(std::as_bytes(std::span(file)), data::make_key(1, 0), 0, {out.data(), views}));
  });
  return {most, testing::heap_live - std::min<std::size_t>(testing::heap_live, before)};
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
  sample::SampleMaker maker({plan}, {});
  make(maker, plan, png);
  CHECK(make(maker, plan, many).most <= make(maker, plan, png).most);
}

TEST_CASE("an interlaced image is not kept: the next one may need its memory") {
  const TransformPlan plan = TransformPlan::imagenet_val();
  testing::PngForm form;
  form.width = form.height = 700;
  form.interlaced = true;
  const std::size_t image = std::size_t{3} * 700 * 700;
  sample::SampleMaker maker({plan}, {});
  const Use use = make(maker, plan, testing::encode_png(form).file);
  CHECK(use.most >= image);
  CHECK(use.kept < image / 2);
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
  const auto views = batch::lay_out({plan}, 1);
  sample::SampleMaker maker({plan}, limits);
  const auto done =
      maker.make(std::as_bytes(std::span(file)), data::make_key(1, 0), 0, {out.data(), views});
  REQUIRE_FALSE(done);
  CHECK(done.error().option == Option::max_decoder_bytes);
}

TEST_CASE("a sample maker stays within its own memory and what it asks for, augmented or not") {
  std::vector<Octets> files = testing::greedy_pngs();
  for (testing::GreedyJpeg& jpeg : testing::greedy_jpegs()) files.push_back(std::move(jpeg.file));
  DecodeLimits limits = testing::just_enough_for_pngs();
  limits.load_truncated = true;
  // 65,500 rows become one: the resize takes more than the decoders.
  TransformPlan plan = TransformPlan::imagenet_val();
  plan.geometry = ResizeCenterCrop{
      .resize = 0, .height = 48, .width = 300, .resize_height = 1, .resize_width = 300};
  const Augmentation turned{.step = RandomRotation{.low = -30, .high = 30}};
  struct Case {
    std::size_t steps, views;
  };
  for (const Case& c : {Case{0, 1}, Case{2, 1}, Case{40, 1}, Case{2, 5}}) {
    plan.augmentation.assign(c.steps, turned);
    if (c.steps > 0) {
      plan.erasing = RandomErasing{.probability = 1,
                                   .fill = RandomErasing::Fill::noise,
                                   .max_count = RandomErasing::max_boxes};
    }
    const std::vector plans(c.views, plan);
    const auto views = batch::lay_out(plans, 1);
    std::vector<std::byte> out(batch::bytes_of(views, 1));
    const std::size_t own = sample::SampleMaker::own_bytes(plans);
    const std::size_t reserve = sample::SampleMaker::most_need(plans, limits);
    std::size_t made = 0, most = 0;
    const std::size_t before = testing::heap_live;
    sample::SampleMaker maker(plans, limits);
    for (const Octets& file : files) {
      const auto encoded = std::as_bytes(std::span(file));
      const auto key = data::make_key(1, 0);
      testing::heap_peak = testing::heap_live.load();
      const std::size_t need = maker.need(encoded, key, 0);
      CHECK(testing::heap_peak <= testing::heap_live + 65536);
      made += maker.make(encoded, key, 0, {out.data(), views}).has_value();
      CHECK(testing::heap_peak - before <= own + need);
      CHECK(testing::heap_live - before <= own);
      CHECK(need <= reserve);
      most = std::max(most, testing::heap_peak - before);
    }
    CHECK(made > files.size() / 3);
    CHECK(most > decode::JpegDecoder::most_need(limits));
  }
}

TEST_CASE("a sample maker of whole images stays within its bound") {
  testing::JpegForm form;
  form.width = 6000;
  form.height = 4000;
  const Octets giant = testing::encode_jpeg(form);
  TransformPlan plan = TransformPlan::imagenet_val();
  plan.geometry = WholeImage{};
  plan.augmentation = {
      {.step = RandomRotation{.low = 10, .high = 10}},
      {.step =
           Resize{
               .shorter = 0, .height = 30, .width = 300, .interpolation = Interpolation::lanczos}},
      {.step = RandomResizedCrop{}}};
  const auto views = batch::lay_out({plan}, 1);
  std::vector<std::byte> out(plan.sample_bytes());
  DecodeLimits limits;
  limits.max_canvas_bytes = std::size_t{73} << 20;
  limits.max_decoder_bytes = 8 << 20;
  const std::size_t own = sample::SampleMaker::own_bytes({plan});
  const std::size_t reserve = sample::SampleMaker::most_need({plan}, limits);
  sample::SampleMaker maker({plan}, limits);
  const std::size_t need = maker.need(std::as_bytes(std::span(giant)), data::make_key(1, 0), 0);
  const Use use = make(maker, plan, giant);
  CHECK(use.most < own + need);
  CHECK(need < reserve);
  CHECK(use.most > 3 * limits.max_canvas_bytes);
  limits.max_canvas_bytes /= 2;
  CHECK(sample::SampleMaker::most_need({plan}, limits) < reserve - 4 * limits.max_canvas_bytes);
  sample::SampleMaker stricter({plan}, limits);
  const auto done =
      stricter.make(std::as_bytes(std::span(giant)), data::make_key(1, 0), 0, {out.data(), views});
  REQUIRE_FALSE(done);
  CHECK(done.error().option == Option::max_canvas_bytes);
}

TEST_CASE("what a giant made grow is given back with its grant, what others did is kept") {
  TransformPlan plan = TransformPlan::imagenet_val();
  plan.geometry = WholeImage{};
  plan.augmentation = {
      {.step = RandomRotation{.low = 10, .high = 10, .interpolation = Interpolation::bilinear}},
      {.step = CenterCrop{}}};
  testing::JpegForm form;
  const auto sized = [&](int height, int width) {
    form.height = height;
    form.width = width;
    return testing::encode_jpeg(form);
  };
  const Octets small = sized(300, 400), giant = sized(4000, 6000);
  sample::SampleMaker maker({plan}, {});
  make(maker, plan, small);
  const std::size_t kept = testing::heap_live;
  CHECK(make(maker, plan, small).most < 300 * 400);  // but libjpeg's own
  CHECK(testing::heap_live == kept);
  CHECK(make(maker, plan, giant).most > std::size_t{3} * 4000 * 6000);
  // The rows of the decoder, and the entropy decoder's memory, which small images do without, stay.
  CHECK(testing::heap_live <= kept + decode::JpegDecoder::scratch_bound());
}

TEST_CASE("what a decode pool takes beside its makers stays within what its bound adds to theirs") {
  constexpr int workers = 3;
  const TransformPlan plan = TransformPlan::imagenet_train();
  const DecodeLimits limits;
  const std::size_t makers =
      workers * testing::peak_of([&] {
        (void)std::make_unique<sample::SampleMaker>(std::vector{plan}, limits);
      });
  const std::size_t pool = testing::peak_of([&] { sample::DecodePool(workers, {plan}, limits); });
  const std::size_t added = sample::DecodePool::memory_bound(workers, {plan}, limits) -
                            workers * sample::SampleMaker::own_bytes({plan}) -
                            sample::DecodePool::reserve_bytes(workers, {plan}, limits);
  CHECK(pool - makers <= added);
  CHECK(pool - makers > added / 4);
}

}  // namespace
}  // namespace ringfeed
