// What a plain loop over libjpeg-turbo takes: opens, reads and decodes each file of a folder of
// class folders whole, as the library's manual says, and does nothing with the pixels; or reads it
// alone. The baseline of bench/compare/plain_loop.py and reading.py.
//
//   bench_plain_loop decode|read FOLDER PASSES [PART PARTS]: images, seconds and CPU seconds of all
//   but a first pass, of every PARTS-th file
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

// clang-format off
#include <jpeglib.h>  // after <cstdio>
// clang-format on

namespace {

double seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

bool read_file(const std::string& path, std::vector<unsigned char>& bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  struct stat found{};
  const bool known = fstat(file, &found) == 0;
  if (known) bytes.resize(static_cast<std::size_t>(found.st_size));
  const bool whole = known && read(file, bytes.data(), bytes.size()) == found.st_size;
  close(file);
  return whole;
}

/// An error of libjpeg's ends the program.
void decode(const std::vector<unsigned char>& bytes, std::vector<unsigned char>& row) {
  jpeg_decompress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, bytes.data(), bytes.size());
  jpeg_read_header(&cinfo, TRUE);
  cinfo.out_color_space = cinfo.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&cinfo);
  row.resize(std::size_t{cinfo.output_width} * static_cast<std::size_t>(cinfo.output_components));
  JSAMPROW to = row.data();
  while (cinfo.output_scanline < cinfo.output_height) jpeg_read_scanlines(&cinfo, &to, 1);
  jpeg_finish_decompress(&cinfo);
  jpeg_destroy_decompress(&cinfo);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string stage = argc > 1 ? argv[1] : "";
  if ((argc != 4 && argc != 6) || (stage != "decode" && stage != "read")) {
    std::fputs("usage: bench_plain_loop decode|read FOLDER PASSES [PART PARTS]\n", stderr);
    return 2;
  }
  const int passes = std::atoi(argv[3]);
  const auto part = static_cast<std::size_t>(argc == 6 ? std::atoi(argv[4]) : 0);
  const auto parts = static_cast<std::size_t>(argc == 6 ? std::max(1, std::atoi(argv[5])) : 1);
  std::vector<std::string> paths;
  constexpr auto follow = std::filesystem::directory_options::follow_directory_symlink;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[2], follow)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<unsigned char> bytes, row;
  double wall = 0, cpu = 0;
  std::size_t images = 0;
  for (int pass = 0; pass <= passes; ++pass) {
    if (pass == 1) {
      images = 0;
      wall = seconds(CLOCK_MONOTONIC);
      cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    }
    for (std::size_t i = part; i < paths.size(); i += parts, ++images) {
      if (!read_file(paths[i], bytes)) {
        std::fprintf(stderr, "%s cannot be read\n", paths[i].c_str());
        return 1;
      }
      if (stage == "decode") decode(bytes, row);
    }
  }
  std::printf("%zu %.6f %.6f\n", images, seconds(CLOCK_MONOTONIC) - wall,
              seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}
