// A stage of the way from files to tensors, PASSES times over the same 8 images, which `make` has
// written to the folder: what tools/instructions.py counts.
//
//   bench_instructions FOLDER make
//   bench_instructions FOLDER entropy|idct|decode|resize|pack|sample PASSES
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/planar.h"
#include "batch/lay_out.h"
#include "decode/jpeg/decoder.h"
#include "decode/jpeg/pixels/idct.h"
#include "decode/jpeg/session.h"
#include "pack/packer.h"
#include "resize/resampler.h"
#include "sample/sample_maker.h"
#include "support/encode.h"

namespace {

using namespace ringfeed;  // NOLINT(google-build-using-namespace): a program of its own
using testing::Octets;

constexpr int images = 8, height = 375, width = 500, side = 224;

void must(bool holds) {
  if (!holds) std::abort();
}

std::filesystem::path path_of(const char* folder, int number) {
  return std::filesystem::path(folder) / (std::to_string(number) + ".jpg");
}

void write_photos(const char* folder) {
  testing::JpegForm form;
  form.width = width;
  form.height = height;
  for (int i = 0; i < images; ++i) {
    form.seed = static_cast<std::uint32_t>(i + 1);
    const Octets file = testing::encode_jpeg(form);
    std::ofstream out(path_of(folder, i), std::ios::binary);
    out.write(reinterpret_cast<const char*>(file.data()),
              static_cast<std::streamsize>(file.size()));
    must(out.good());
  }
}

Octets read_photo(const char* folder, int number) {
  std::ifstream in(path_of(folder, number), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What a stage does for one image.
class Work {
 public:
  virtual ~Work() = default;
  virtual void run(const Octets& file) = 0;
};

/// Huffman codes to coefficients.
class Entropy final : public Work {
 public:
  void run(const Octets& file) override {
    decode::JpegSession session(file, false, 1);
    must(setjmp(session.on_error) == 0);
    session.open();
    jpeg_decompress_struct& cinfo = session.cinfo;
    jpeg_read_header(&cinfo, TRUE);
    jpeg_start_decompress(&cinfo);
    must(decoder_.begin(cinfo, {cinfo.src->next_input_byte, cinfo.src->bytes_in_buffer}, height));
    for (unsigned i = 0; i < cinfo.MCUs_per_row * cinfo.MCU_rows_in_scan; ++i)
      must(decoder_.next_mcu(rows_.data()));
  }

 private:
  decode::EntropyDecoder decoder_;
  std::vector<JCOEF> blocks_ = std::vector<JCOEF>(D_MAX_BLOCKS_IN_MCU * DCTSIZE2);
  std::vector<JBLOCKROW> rows_ = [this] {
    std::vector<JBLOCKROW> rows;
    for (std::size_t i = 0; i < D_MAX_BLOCKS_IN_MCU; ++i)
      rows.push_back(reinterpret_cast<JBLOCKROW>(&blocks_[i * DCTSIZE2]));
    return rows;
  }();
};

/// Coefficients to pixels, as many blocks as a photo has. In every other row of blocks nothing
/// stands behind the fourth row and column of a block.
class InverseDct final : public Work {
 public:
  InverseDct() {
    JQUANT_TBL quantization{};
    std::fill(std::begin(quantization.quantval), std::end(quantization.quantval), UINT16{3});
    table_.set(quantization);
    for (std::size_t i = 0; i < decode::block_size; ++i) {
      const auto value = static_cast<JCOEF>(static_cast<int>(i * 5 % 11) - 5);
      full_[i] = value;
      if (i / DCTSIZE < 4 && i % DCTSIZE < 4) sparse_[i] = value;
    }
  }
  void run(const Octets&) override {
    for (int row = 0; row < rows; ++row) {
      blocks_.fill(row % 2 == 0 ? full_.data() : sparse_.data());
      must(decode::inverse_dct(table_, blocks_.data(), wide, pixels_.data(), wide * DCTSIZE));
    }
  }

 private:
  static constexpr int wide = (width + 4 * DCTSIZE - 1) / (4 * DCTSIZE) * 4;
  static constexpr int rows = (height + DCTSIZE - 1) / DCTSIZE * 3 / 2;  // 4:2:0

  decode::DctTable table_;
  std::array<JCOEF, decode::block_size> full_{}, sparse_{};
  std::array<const JCOEF*, wide> blocks_{};
  std::vector<std::uint8_t> pixels_ = std::vector<std::uint8_t>(wide * DCTSIZE2 + 64);
};

/// A file to its rows.
class Decode final : public Work, decode::RowSink {
 public:
  void run(const Octets& file) override { must(decoder_.decode(file, *this).has_value()); }

 private:
  decode::Region begin(int h, int w) override { return {0, 0, h, w}; }
  void push_row(const std::uint8_t*) override {}

  decode::JpegDecoder decoder_{DecodeLimits{}};
};

/// The rows of a crop to those of the tensor's size.
class Resize final : public Work {
 public:
  void run(const Octets& file) override {
    resize::Geometry geometry;
    geometry.top = 20, geometry.left = 30, geometry.height = 300, geometry.width = 400;
    geometry.resized_height = geometry.resized_width = side;
    geometry.out_height = geometry.out_width = side;
    const decode::Region region = resampler_.begin(geometry);
    for (int y = 0; y < region.height; ++y) {
      resampler_.push_row(file.data() + y);  // any bytes do
      while (resampler_.next_row() != nullptr) continue;
    }
  }

 private:
  resize::Resampler resampler_{TransformPlan{}.pillow};
};

/// The rows of a tensor's size to floats.
class Pack final : public Work {
 public:
  void run(const Octets& file) override {
    for (int y = 0; y < side; ++y) packer_.row(file.data() + y, y, tensor_.data());
    packer_.finish();
  }

 private:
  TransformPlan plan_ = TransformPlan::imagenet_train();
  pack::Packer packer_{plan_};
  std::vector<std::byte> tensor_ = std::vector<std::byte>(plan_.sample_bytes() + 64);
};

/// All that a decode thread does for a sample, with a training crop.
class Sample final : public Work {
 public:
  void run(const Octets& file) override {
    const auto encoded = std::as_bytes(std::span(file));
    const data::Key key = data::make_key(1, 0);
    must(maker_.need(encoded, key, position_) > 0);
    must(maker_.make(encoded, key, position_, {out_.data(), views_}).has_value());
    position_ = (position_ + 1) % images;
  }

 private:
  std::vector<TransformPlan> plans_{TransformPlan::imagenet_train()};
  sample::SampleMaker maker_{plans_, DecodeLimits{}};
  std::vector<BatchView> views_ = batch::lay_out(plans_, 1);
  std::vector<std::byte> out_ = std::vector<std::byte>(batch::bytes_of(views_, 1));
  std::uint64_t position_ = 0;
};

std::unique_ptr<Work> work_named(const std::string& name) {
  if (name == "entropy") return std::make_unique<Entropy>();
  if (name == "idct") return std::make_unique<InverseDct>();
  if (name == "decode") return std::make_unique<Decode>();
  if (name == "resize") return std::make_unique<Resize>();
  if (name == "pack") return std::make_unique<Pack>();
  if (name == "sample") return std::make_unique<Sample>();
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[2]) == "make") {
    write_photos(argv[1]);
    return 0;
  }
  const std::unique_ptr<Work> work = argc == 4 ? work_named(argv[2]) : nullptr;
  if (!work) {
    std::fputs("usage: bench_instructions FOLDER STAGE PASSES, or FOLDER make\n", stderr);
    return 2;
  }
  std::vector<Octets> files;
  for (int i = 0; i < images; ++i) files.push_back(read_photo(argv[1], i));
  for (int passes = std::atoi(argv[3]); passes > 0; --passes) {
    for (const Octets& file : files) work->run(file);
  }
}
