#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include "support/encode.h"
#include "support/temp_dir.h"

namespace ringfeed::testing {

/// A small 4:2:0 JPEG that depends on `seed`.
inline std::string make_jpeg(int width, int height, unsigned seed) {
  JpegForm form;
  form.width = width;
  form.height = height;
  form.seed = seed;
  const Octets bytes = encode_jpeg(form);
  return {bytes.begin(), bytes.end()};
}

/// A folder of `classes` x `per_class` small JPEGs, all different: root()/c<i>/<j>.JPEG.
class SampleFolder {
 public:
  SampleFolder(int classes, int per_class) {
    for (int c = 0; c < classes; ++c) {
      for (int i = 0; i < per_class; ++i) {
        const auto seed = static_cast<unsigned>(c * per_class + i);
        write(file(c, i).lexically_relative(root()), make_jpeg(40 + i % 9, 30 + c, seed));
      }
    }
  }
  std::filesystem::path root() const { return directory_.path(); }
  /// Adds a file; `name` is relative to root().
  void write(const std::filesystem::path& name, const std::string& bytes) const {
    directory_.write(name, bytes);
  }
  std::filesystem::path file(int c, int i) const {
    char name[64];
    std::snprintf(name, sizeof name, "c%02d/%04d.JPEG", c, i);
    return root() / name;
  }

 private:
  TempDir directory_;
};

}  // namespace ringfeed::testing
