// Whole images as tensors of their own.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "convert.h"
#include "decode/image_decoder.h"
#include "dlpack.h"
#include "gil.h"
#include "held_bytes.h"
#include "io/file_head.h"
#include "io/read_errors.h"
#include "ringfeed/error.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

/// All rows of an image, in memory that is as large as it turns out to be.
class WholeImage final : public decode::RowSink {
 public:
  decode::Region begin(int height, int width) override {
    pixels_.height = height;
    pixels_.width = width;
    row_bytes_ = std::size_t{3} * static_cast<std::size_t>(width);
    pixels_.rgb = std::make_unique_for_overwrite<std::uint8_t[]>(row_bytes_ *
                                                                 static_cast<std::size_t>(height));
    next_row_ = pixels_.rgb.get();
    return {0, 0, height, width};
  }

  void push_row(const std::uint8_t* rgb) override {
    std::memcpy(next_row_, rgb, row_bytes_);
    next_row_ += row_bytes_;
  }

  RgbPixels take() { return std::move(pixels_); }

 private:
  RgbPixels pixels_;
  std::size_t row_bytes_ = 0;
  std::uint8_t* next_row_ = nullptr;
};

struct Decoder {
  explicit Decoder(const DecodeLimits& l) : limits(l), decoder(l) {}

  DecodeLimits limits;
  decode::ImageDecoder decoder;
};

/// Decoders that nobody uses just now, with their scratch memory. Guarded by the GIL; so a fork
/// finds none half way.
std::vector<std::unique_ptr<Decoder>> idle_decoders;

std::unique_ptr<Decoder> take_decoder(const DecodeLimits& limits) {
  while (!idle_decoders.empty()) {
    std::unique_ptr<Decoder> decoder = std::move(idle_decoders.back());
    idle_decoders.pop_back();
    if (decoder->limits == limits) return decoder;
  }
  return std::make_unique<Decoder>(limits);
}

/// One that has worked on a large image is not kept: its memory follows from the image's size.
void put_back(std::unique_ptr<Decoder> decoder, const RgbPixels& pixels) {
  constexpr std::int64_t most_pixels = 4 << 20;
  constexpr std::size_t most_decoders = 16;
  if (std::int64_t{pixels.height} * pixels.width <= most_pixels &&
      idle_decoders.size() < most_decoders) {
    idle_decoders.push_back(std::move(decoder));
  }
}

[[noreturn]] void fail(Stage stage, int code, const std::string& name, std::string detail,
                       Option option = Option::none, bool unidentified = false) {
  throw LoadError({stage, code, name, std::move(detail), option, unidentified});
}

decode::Bytes read_whole(io::FileHead& file, const std::string& path, std::size_t most) {
  constexpr std::size_t first_bytes = 256 << 10;
  if (const int code = file.open(path.c_str())) {
    fail(Stage::open, code, path, io::about_open(code));
  }
  for (std::size_t wanted = first_bytes; !file.ended(); wanted *= 2) {
    const int code = file.read_to(std::min(wanted, most + 1));
    const std::size_t size = file.bytes().size();
    if (code != 0) fail(Stage::read, code, path, io::about_read(code, size));
    if (size > most) fail(Stage::read, EFBIG, path, io::larger_than(most), Option::max_file_bytes);
  }
  return {reinterpret_cast<const std::uint8_t*>(file.bytes().data()), file.bytes().size()};
}

RgbPixels decode_whole(decode::ImageDecoder& decoder, decode::Bytes bytes,
                       const std::string& name) {
  WholeImage image;
  if (auto done = decoder.decode(bytes, image); !done) {
    decode::Failure& failure = done.error();
    fail(Stage::decode, failure.code, name, std::move(failure.detail), failure.option,
         failure.unidentified);
  }
  return image.take();
}

nb::object decode_image(nb::handle file, const std::string& label, std::size_t max_file_bytes,
                        std::uint64_t max_pixels, int max_scans, std::size_t max_decoder_bytes,
                        bool load_truncated) {
  const DecodeLimits limits{.max_pixels = max_pixels,
                            .max_decoder_bytes = max_decoder_bytes,
                            .max_scans = max_scans,
                            .load_truncated = load_truncated};
  std::optional<HeldBytes> given;
  std::string name = label;
  if (PyObject_CheckBuffer(file.ptr())) {
    given.emplace(file);
  } else {
    name = fs_encode(file);
  }
  auto decoder = take_decoder(limits);
  RgbPixels pixels = [&] {
    const WithoutGil without;
    if (given) {
      if (given->bytes().size() > max_file_bytes) {
        fail(Stage::read, EFBIG, name, io::larger_than(max_file_bytes), Option::max_file_bytes);
      }
      return decode_whole(decoder->decoder, given->bytes(), name);
    }
    io::FileHead head;
    return decode_whole(decoder->decoder, read_whole(head, name, max_file_bytes), name);
  }();
  put_back(std::move(decoder), pixels);
  return pixels_capsule(std::move(pixels));
}

}  // namespace

void bind_decode(nb::module_& module) {
  module.def("decode_image", decode_image, nb::arg("file"), nb::arg("label"), nb::kw_only(),
             nb::arg("max_file_bytes"), nb::arg("max_pixels"), nb::arg("max_scans"),
             nb::arg("max_decoder_bytes"), nb::arg("load_truncated"));
}

}  // namespace ringfeed::python
