#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "batch/lay_out.h"
#include "decode/file_format.h"
#include "sample/sample_maker.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using sample::SampleMaker;
using testing::Octets;
using namespace std::string_view_literals;

const data::Key key = data::make_key(1, 0);

std::span<const std::byte> bytes(const Octets& file) { return std::as_bytes(std::span(file)); }

struct Result {
  bool ok = false, truncated = false;
  std::string detail;
  augment::Geometry geometry;
  std::vector<std::byte> pixels;
};

Result make_with(SampleMaker& maker, const TransformPlan& plan, const Octets& file,
                 std::uint64_t position = 0) {
  Result result;
  result.pixels.resize(plan.sample_bytes());
  const auto views = batch::lay_out({plan}, 1);
  const auto done = maker.make(bytes(file), key, position, {result.pixels.data(), views});
  result.ok = done.has_value();
  if (done) {
    result.geometry = maker.geometry();
  } else {
    result.truncated = done.error().truncated;
    result.detail = done.error().detail;
  }
  return result;
}

Result make_once(const TransformPlan& plan, const Octets& file) {
  SampleMaker maker({plan}, {});
  return make_with(maker, plan, file);
}

TEST_CASE("JPEG and PNG are told by their bytes, and the drawn geometry comes back") {
  const TransformPlan plan = TransformPlan::imagenet_train();
  testing::JpegForm form;
  form.width = 300;
  form.height = 200;
  const Result jpeg = make_once(plan, testing::encode_jpeg(form));
  REQUIRE(jpeg.ok);
  CHECK(jpeg.geometry == augment::draw_geometry(plan, 200, 300, key, 0));
  testing::PngForm png_form;
  png_form.width = 300;
  png_form.height = 200;
  const Result png = make_once(plan, testing::encode_png(png_form).file);
  REQUIRE(png.ok);
  CHECK(png.geometry == jpeg.geometry);
}

TEST_CASE("a tensor depends on the image and the draw, not on what came before") {
  for (const TransformPlan& plan :
       {TransformPlan::imagenet_train(), TransformPlan::imagenet_val()}) {
    SampleMaker reused({plan}, {});
    for (int i = 0; i < 50; ++i) {
      testing::JpegForm form;
      form.width = 40 + 37 * i % 300;
      form.height = 30 + 53 * i % 300;
      form.progressive = i % 4 == 1;
      form.components = i % 5 == 2 ? 1 : i % 5 == 3 ? 4 : 3;
      form.seed = static_cast<std::uint32_t>(i);
      const Octets good = testing::encode_jpeg(form);
      Octets bad = good;
      switch (i % 5) {
        case 0: bad.resize(bad.size() / 2); break;
        case 1: bad.resize(50); break;
        case 2: bad[bad.size() - 40] = 0xFF, bad[bad.size() - 39] = 0xC4; break;
        case 3: bad.clear(); break;
        default: bad[0] = 'x';
      }
      CAPTURE(i);
      if (!(form.progressive && i % 5 == 2)) CHECK_FALSE(make_with(reused, plan, bad).ok);
      const Result got = make_with(reused, plan, good);
      const Result want = make_once(plan, good);
      REQUIRE(got.ok);
      CHECK(got.pixels == want.pixels);
    }
  }
}

TEST_CASE("an augmented sample shows nothing of the image before, a failed one neither") {
  TransformPlan plan = TransformPlan::imagenet_val();
  plan.augmentation = {{.step = RandomRotation{.low = 20, .high = 40}},
                       {.step = Operation{.kind = OperationKind::equalize}}};
  SampleMaker reused({plan}, {});
  for (int size : {300, 40, 250}) {
    testing::JpegForm form;
    form.width = size + 90;
    form.height = size;
    form.seed = static_cast<std::uint32_t>(size);
    const Octets good = testing::encode_jpeg(form);
    CHECK_FALSE(make_with(reused, plan, Octets(good.begin(), good.end() - 300)).ok);
    CHECK(make_with(reused, plan, good).pixels == make_once(plan, good).pixels);
  }
}

TEST_CASE("anything else is refused by name, in one line") {
  struct Case {
    std::string_view start, named;
    bool truncated;
  };
  const Case cases[] = {
      {"", "empty", true},
      {"\xFF\xD8"sv, "JPEG", true},
      {"\x89PN"sv, "PNG", true},
      {"GIF89a\1\0\1\0"sv, "GIF", false},
      {"RIFF\x10\0\0\0WEBPVP8 "sv, "WebP", false},
      {"BM\0\0\0\0"sv, "BMP", false},
      {"II*\0\x08\0\0\0"sv, "TIFF", false},
      {"MM\0*\0\0\0\x08"sv, "TIFF", false},
      {"P6\n2 2\n255\n"sv, "PPM", false},
      {"\0\0\0\x18"
       "ftypheic"sv,
       "HEIC", false},
      {"\0\0\0\x1C"
       "ftypavif"sv,
       "AVIF", false},
      {"\0\0\0\x0CjP  \r\n"sv, "JPEG 2000", false},
      {"hello, this is text"sv, "neither", false},
      {"\xFF\xD8\x00\xE0 wrong start"sv, "neither", false},
  };
  for (const Case& c : cases) {
    const Result result =
        make_once(TransformPlan::imagenet_val(), Octets(c.start.begin(), c.start.end()));
    CAPTURE(result.detail);
    CHECK_FALSE(result.ok);
    CHECK(result.truncated == c.truncated);
    CHECK(result.detail.find(c.named) != std::string::npos);
    CHECK(result.detail.find('\n') == std::string::npos);
  }
}

TEST_CASE("a clean end is recognised in a file's last bytes") {
  const Octets jpeg = testing::encode_jpeg({});
  const Octets png = testing::encode_png({}).file;
  for (const Octets& file : {jpeg, png}) {
    CHECK(decode::ends_cleanly(bytes(file)));
    CHECK_FALSE(decode::ends_cleanly(bytes(file).first(file.size() - 1)));
    CHECK_FALSE(decode::ends_cleanly(bytes(file).first(file.size() / 2)));
    Octets followed = file;
    followed.insert(followed.end(), 300, 7);
    CHECK(decode::ends_cleanly(bytes(followed)));
  }
  CHECK_FALSE(decode::ends_cleanly({}));
}

TEST_CASE("photos of 12 megapixels need what is usual, not all progressive ones do") {
  const auto need_of = [](const TransformPlan& plan, const testing::JpegForm& form) {
    SampleMaker maker({plan}, {});
    const Octets file = testing::encode_jpeg(form);
    std::size_t most = 0;
    for (std::uint64_t i = 0; i < 20; ++i) most = std::max(most, maker.need(bytes(file), key, i));
    return most;
  };
  TransformPlan lanczos = TransformPlan::imagenet_train();
  lanczos.interpolation = Interpolation::lanczos;
  for (const TransformPlan& plan :
       {TransformPlan::imagenet_train(), TransformPlan::imagenet_val(), lanczos}) {
    const std::size_t usual = SampleMaker::usual_need({plan});
    CHECK(need_of(plan, {.width = 4000, .height = 3000}) < usual);
    CHECK(need_of(plan, {.width = 3000, .height = 4000}) < usual);
    CHECK(need_of(plan, {.width = 1024, .height = 768, .progressive = true}) < usual);
    const std::size_t coefficients = std::size_t{2000} * 1500 * 3 / 2 * sizeof(std::int16_t);
    const std::size_t large = need_of(plan, {.width = 2000, .height = 1500, .progressive = true});
    CHECK(large > coefficients);
    CHECK(large < coefficients + usual);
    CHECK(need_of(plan, {.width = 2000, .height = 1500, .interleaved = false}) == large);
  }
}

TEST_CASE("the stated memory grows with the limits that it follows from") {
  const TransformPlan plan = TransformPlan::imagenet_train();
  DecodeLimits limits;
  const std::size_t before = SampleMaker::most_need({plan}, limits);
  CHECK(before > limits.max_decoder_bytes);
  CHECK(before < limits.max_decoder_bytes + (std::size_t{64} << 20));
  CHECK(SampleMaker::own_bytes({plan}) < (std::size_t{7} << 20));
  limits.max_decoder_bytes /= 2;
  CHECK(SampleMaker::most_need({plan}, limits) + limits.max_decoder_bytes == before);
}

}  // namespace
}  // namespace ringfeed
