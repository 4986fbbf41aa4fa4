// Files to begin with, of each kind and at most 4 KB: make_seeds FOLDER writes FOLDER/jpeg,
// FOLDER/png and FOLDER/manifest.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "data/manifest.h"
#include "support/encode.h"

namespace {

using namespace ringfeed;
using namespace ringfeed::testing;

void write(const std::filesystem::path& folder, const Octets& file, int& number) {
  if (file.size() > 4096) return;
  std::filesystem::create_directories(folder);
  std::ofstream(folder / std::to_string(number++), std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
}

/// `file` with this quantisation factor everywhere: its pixels are beyond all levels.
Octets with_factors(Octets file, std::uint8_t factor) {
  for (std::size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] != 0xFF || file[i + 1] != 0xDB) continue;
    for (std::size_t k = 0; k < 64 && i + 5 + k < file.size(); ++k) file[i + 5 + k] = factor;
  }
  return file;
}

void jpegs(const std::filesystem::path& folder) {
  int number = 0;
  std::minstd_rand random(1);
  // Behind the image stand the bytes that fuzz_jpeg takes numbers from: without them it would take
  // the image's last ones, and all of these files would be damaged.
  const auto add = [&](Octets file) {
    for (int i = 0; i < 16; ++i) file.push_back(static_cast<std::uint8_t>(random() >> 8));
    write(folder, file, number);
  };
  for (const int quality : {20, 75, 95}) {
    for (const auto& [width, height] : {std::pair{8, 8}, {17, 33}, {48, 40}, {96, 64}}) {
      JpegForm form;
      form.quality = quality;
      form.width = width;
      form.height = height;
      for (const int horizontal : {1, 2}) {
        for (const int vertical : {1, 2}) {
          form.horizontal = horizontal;
          form.vertical = vertical;
          add(encode_jpeg(form));
          if (quality == 95 && width == 48) add(with_factors(encode_jpeg(form), 255));
        }
      }
      for (const int components : {1, 4}) {
        JpegForm other = form;
        other.horizontal = other.vertical = 1;
        other.components = components;
        add(encode_jpeg(other));
      }
      JpegForm other = form;
      other.progressive = true;
      add(encode_jpeg(other));
      // In front of each MCU, each row of MCUs, and elsewhere.
      for (const int interval : {1, 2, (width + 15) / 16, 5}) {
        other = form;
        other.restart_interval = interval;
        other.horizontal = other.vertical = 1 + interval % 2;
        add(encode_jpeg(other));
      }
      other = form;
      other.interleaved = false;
      add(encode_jpeg(other));
      add(with_invalid_table(encode_jpeg(other), 1));
      other = form;
      other.rgb = true;
      add(encode_jpeg(other));
      other = form;
      other.arithmetic = true;
      add(encode_jpeg(other));
    }
  }
}

void pngs(const std::filesystem::path& folder) {
  int number = 0;
  for (const int type : {0, 2, 3, 4, 6}) {
    for (const int depth : {1, 8, 16}) {
      if ((type != 0 && type != 3 && depth == 1) || (type == 3 && depth == 16)) continue;
      for (const bool interlaced : {false, true}) {
        PngForm form;
        form.color_type = type;
        form.bit_depth = depth;
        form.interlaced = interlaced;
        form.transparency = interlaced && type < 4;
        write(folder, encode_png(form).file, number);
      }
    }
  }
}

void manifests(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (int classes = 1; classes < 5; ++classes) {
    data::IndexBuilder index;
    for (int c = 0; c < classes; ++c) {
      const std::string name = "class" + std::to_string(c);
      index.add_class(name);
      if (c == 2) continue;
      index.add_directory(index.add_prefix(name + "/"), c);
      for (int i = 0; i < 3 * classes; ++i) index.add_entry(std::to_string(i) + ".JPEG", i != 4);
    }
    data::save_manifest(folder / std::to_string(classes), "/root",
                        {{"/root", {}}, {"/root/class0", {}}}, index.finish());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_seeds FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  jpegs(folder / "jpeg");
  pngs(folder / "png");
  manifests(folder / "manifest");
}
