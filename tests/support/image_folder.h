#pragma once

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

extern "C" {
#include <jpeglib.h>
}

#include "support/temp_dir.h"

namespace ringfeed::testing {

/// A JPEG of a smooth pattern that depends on `seed`, 4:2:0, quality 90.
inline std::string make_jpeg(int width, int height, unsigned seed) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &data, &size);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 90, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<unsigned char> row(static_cast<std::size_t>(width) * 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width * 3; ++x) {
      row[static_cast<std::size_t>(x)] =
          static_cast<unsigned char>((static_cast<unsigned>(x * (y + 3)) / 7 + seed * 37) & 0xff);
    }
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<char*>(data), size);
  std::free(data);
  return bytes;
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A folder of `classes` x `per_class` small JPEGs, all different: root()/c<i>/<j>.JPEG.
class SampleFolder {
 public:
  SampleFolder(int classes, int per_class) {
    for (int c = 0; c < classes; ++c) {
      for (int i = 0; i < per_class; ++i) {
        const auto seed = static_cast<unsigned>(c * per_class + i);
        write_file(file(c, i), make_jpeg(40 + i % 9, 30 + c, seed));
      }
    }
  }
  std::filesystem::path root() const { return directory_.path(); }
  std::filesystem::path file(int c, int i) const {
    char name[64];
    std::snprintf(name, sizeof name, "c%02d/%04d.JPEG", c, i);
    return root() / name;
  }

 private:
  TempDir directory_;
};

}  // namespace ringfeed::testing
