#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "base/printable.h"
#include "commands.h"
#include "measure.h"
#include "options.h"
#include "output.h"

namespace ringfeed::cli {
namespace {

constexpr int border = 2;  // pixels around every tile

/// An RGB picture of `batch` (uint8, channels last, views of one size), white between the tiles.
/// The views of a sample stand side by side.
struct Sheet {
  int width, height;
  std::vector<std::byte> pixels;

  Sheet(const Batch& batch, int columns) {
    const int views = static_cast<int>(batch.views.size());
    const int count = static_cast<int>(batch.size());
    const int rows = (count + columns - 1) / columns;
    const int step_right = batch.views[0].width + border,
              step_down = batch.views[0].height + border;
    width = border + columns * views * step_right;
    height = border + rows * step_down;
    pixels.assign(
        std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height),
        std::byte{255});
    for (int i = 0; i < count; ++i) {
      for (int v = 0; v < views; ++v) {
        place(batch, i, v, border + i / columns * step_down,
              border + (i % columns * views + v) * step_right);
      }
    }
  }

  void place(const Batch& batch, int sample, int view, int top, int left) {
    const BatchView& tile = batch.views[static_cast<std::size_t>(view)];
    const std::size_t row_bytes = std::size_t{3} * static_cast<std::size_t>(tile.width);
    const std::byte* from =
        batch.sample(static_cast<std::size_t>(sample), static_cast<std::size_t>(view)).data();
    for (int y = 0; y < tile.height; ++y) {
      const auto pixel = static_cast<std::size_t>(top + y) * static_cast<std::size_t>(width) +
                         static_cast<std::size_t>(left);
      std::memcpy(pixels.data() + 3 * pixel, from + static_cast<std::size_t>(y) * row_bytes,
                  row_bytes);
    }
  }

  void write(const std::string& path) const {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(height);
    image.format = PNG_FORMAT_RGB;
    if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr) == 0) {
      throw LoadError(
          {Stage::setup, 0, path,
           std::string("cannot write the sheet: ") + image.message + "; choose another --output"});
    }
  }
};

Batch first_batch(const ImageFolder& dataset, const PreviewFlags& flags, Interrupt& interrupt) {
  TransformFlags transform = flags.transform;
  transform.dtype = "uint8";
  transform.channels_last = true;
  LoaderFlags loader_flags;
  loader_flags.batch_size = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(flags.count), dataset.size()));
  loader_flags.workers = flags.workers;
  loader_flags.prefetch_factor = 1;
  loader_flags.seed = flags.seed;
  Loader loader(dataset, transform.plans(), loader_flags.options(flags.reader, flags.limits));
  const Interrupt::Guard guard(interrupt, [&loader] { loader.stop(); });
  std::optional<Batch> batch = loader.epoch(flags.epoch).next();
  return batch ? std::move(*batch) : Batch{};
}

}  // namespace

int preview(const PreviewFlags& flags, bool json, Interrupt& interrupt) {
  const ImageFolder dataset = flags.dataset.open();
  if (dataset.size() == 0) {
    throw LoadError({Stage::scan, 0, dataset.root(), "holds no images; there is nothing to show"});
  }
  const Batch batch = first_batch(dataset, flags, interrupt);
  if (interrupt.requested()) {
    complain("interrupted; no sheet written");
    return exit_interrupted;
  }
  const int count = static_cast<int>(batch.size());
  const int columns = std::clamp(
      flags.columns > 0 ? flags.columns
                        : static_cast<int>(std::ceil(
                              std::sqrt(count / static_cast<double>(flags.transform.views)))),
      1, std::max(1, count));
  const Sheet sheet(batch, columns);
  sheet.write(flags.output);

  if (json) {
    Json samples = Json::array();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      samples.push_back({{"row", i / static_cast<std::size_t>(columns)},
                         {"column", i % static_cast<std::size_t>(columns)},
                         {"class", dataset.classes()[static_cast<std::size_t>(batch.labels[i])]},
                         {"path", dataset.path(batch.indices[i])}});
    }
    print_json({{"output", flags.output},
                {"width", sheet.width},
                {"height", sheet.height},
                {"columns", columns},
                {"samples", std::move(samples)}});
    return exit_ok;
  }
  print_text(printable(flags.output) + ": " + std::to_string(count) + " samples, " +
             std::to_string(sheet.width) + " x " + std::to_string(sheet.height) + " pixels\n");
  return exit_ok;
}

}  // namespace ringfeed::cli
