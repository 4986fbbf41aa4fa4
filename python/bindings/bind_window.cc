// One image at a time, for images that decode late.

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "choice.h"
#include "decode/inspect.h"
#include "decode/max_side.h"
#include "gil.h"
#include "held_bytes.h"
#include "sample/window_decoder.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

struct Decoder {
  explicit Decoder(PillowRule pillow) : rule(pillow), decoder(pillow, limits()) {}

  static DecodeLimits limits() {
    DecodeLimits limits;
    limits.max_pixels = UINT64_MAX;  // Pillow has looked at the size
    return limits;
  }

  PillowRule rule;
  sample::WindowDecoder decoder;
};

/// Decoders that nobody uses just now, with their scratch memory. Guarded by the GIL; so a fork
/// finds none half way.
std::vector<std::unique_ptr<Decoder>> idle_decoders;

std::unique_ptr<Decoder> take_decoder(PillowRule rule) {
  const auto found =
      std::find_if(idle_decoders.begin(), idle_decoders.end(),
                   [&](const std::unique_ptr<Decoder>& one) { return one->rule == rule; });
  if (found == idle_decoders.end()) return std::make_unique<Decoder>(rule);
  std::unique_ptr<Decoder> decoder = std::move(*found);
  idle_decoders.erase(found);
  return decoder;
}

/// Each keeps 2 MB for reading scans. One that has worked on a large image is not kept, since the
/// rest of its memory follows from the image's size: making it anew is nothing beside such an
/// image.
void put_back(std::unique_ptr<Decoder> decoder, const resize::Geometry& window) {
  constexpr std::int64_t most_pixels = 4 << 20;
  constexpr std::size_t most_decoders = 16;
  const std::int64_t pixels = std::int64_t{window.height} * window.width +
                              std::int64_t{window.out_height} * window.out_width;
  if (pixels <= most_pixels && idle_decoders.size() < most_decoders) {
    idle_decoders.push_back(std::move(decoder));
  }
}

nb::object inspect(nb::handle file) {
  const HeldBytes held(file);
  const auto found = [&] {
    const WithoutGil without;
    return decode::inspect(held.bytes());
  }();
  if (!found) return nb::none();
  return nb::make_tuple(found->width, found->height, found->mode, found->sound);
}

nb::bytes decode_window(nb::handle file, std::tuple<int, int, int, int> box,
                        std::pair<int, int> size, std::string_view interpolation, bool mirrored,
                        bool pillow13) {
  const auto [left, top, right, bottom] = box;
  const auto [width, height] = size;
  // Differences of a box that makes sense do not overflow; nor do the sides of what is resized.
  if (left < 0 || top < 0 || right <= left || bottom <= top) {
    throw nb::value_error("box must be (left, top, right, bottom) of at least one pixel");
  }
  if (width < 1 || height < 1 ||
      static_cast<std::size_t>(std::max(width, height)) > decode::max_side) {
    throw nb::value_error("the sides of size must be in [1, 65535]");
  }
  const resize::Geometry window{
      .top = top,
      .left = left,
      .height = bottom - top,
      .width = right - left,
      .resized_height = height,
      .resized_width = width,
      .out_height = height,
      .out_width = width,
      .interpolation = choose("interpolation", interpolation, interpolations),
      .mirrored_source = mirrored};
  const HeldBytes held(file);
  const std::size_t count = std::size_t{3} * static_cast<std::size_t>(height) * width;
  nb::bytes pixels =
      nb::steal<nb::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count)));
  if (!pixels.is_valid()) throw nb::python_error();
  const std::span rgb(reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(pixels.ptr())), count);
  auto decoder = take_decoder(pillow13 ? PillowRule::from_13 : PillowRule::before_13);
  const auto done = [&] {
    const WithoutGil without;
    return decoder->decoder.decode(held.bytes(), window, rgb);
  }();
  put_back(std::move(decoder), window);
  if (!done) throw nb::value_error(done.error().detail.c_str());
  return pixels;
}

/// What ToTensor and Normalize make of a byte is looked up, since there are 256 of each channel.
/// `interleaved`: the floats lie as the bytes do; else in three planes.
void look_up_planes(nb::handle pixels, nb::handle table, nb::handle planes, bool interleaved) {
  const HeldBytes held_pixels(pixels), held_table(table), held_planes(planes, PyBUF_WRITABLE);
  const decode::Bytes rgb = held_pixels.bytes();
  const std::span<const float> values = held_table.floats();
  const std::span<float> out = held_planes.floats();
  if (values.size() != 3 * 256 || rgb.size() % 3 != 0 || out.size() != rgb.size()) {
    throw nb::value_error(
        "pixels of 3 bytes, a table of 3 x 256 floats, and a float for each byte");
  }
  const WithoutGil without;
  const std::size_t count = rgb.size() / 3;
  const std::size_t step = interleaved ? 3 : 1, apart = interleaved ? 1 : count;
  const float* table_of[3] = {values.data(), values.data() + 256, values.data() + 512};
  float* plane[3] = {out.data(), out.data() + apart, out.data() + 2 * apart};
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      plane[channel][step * i] = table_of[channel][rgb[3 * i + channel]];
    }
  }
}

}  // namespace

void bind_window(nb::module_& module) {
  module.def("inspect_image", inspect, nb::arg("file"));
  module.def("decode_window", decode_window, nb::arg("file"), nb::arg("box"), nb::arg("size"),
             nb::arg("interpolation") = "nearest", nb::kw_only(), nb::arg("mirrored") = false,
             nb::arg("pillow13") = true);
  module.def("look_up_planes", look_up_planes, nb::arg("pixels"), nb::arg("table"),
             nb::arg("planes"), nb::arg("interleaved") = false);
}

}  // namespace ringfeed::python
