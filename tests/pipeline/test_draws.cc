#include <doctest/doctest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch/lay_out.h"
#include "data/random.h"
#include "ringfeed/loader.h"
#include "sample/sample_maker.h"
#include "support/encode.h"
#include "support/image_folder.h"
#include "support/temp_dir.h"

using namespace ringfeed;
using testing::make_jpeg;
using testing::TempDir;

namespace {

std::string text(const testing::Octets& bytes) { return {bytes.begin(), bytes.end()}; }

std::string png(const testing::PngForm& form = {}) { return text(testing::encode_png(form).file); }

/// The JPEG with `bytes` of comment segments before its tables.
std::string with_comments(const std::string& jpeg, std::size_t bytes) {
  std::string padded = jpeg.substr(0, 2);
  while (padded.size() < bytes) {
    padded += std::string("\xff\xfe\xff\xff", 4) + std::string(0xfffd, '\xff');
  }
  return padded + jpeg.substr(2);
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

/// The PNG with one ancillary chunk of `bytes` behind its IHDR.
std::string with_chunk(const std::string& file, std::size_t bytes) {
  const std::string content = "prVt" + std::string(bytes, 'x');
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
  constexpr std::size_t behind_header = 8 + 25;
  return file.substr(0, behind_header) + big_endian(static_cast<std::uint32_t>(bytes)) + content +
         big_endian(static_cast<std::uint32_t>(sum)) + file.substr(behind_header);
}

/// Files of every kind whose sizes differ, those included whose size stands far behind the start.
struct OddFiles {
  OddFiles() {
    int n = 0;
    const auto add = [&](const std::string& bytes) {
      names.push_back((dir / (std::to_string(n++) + ".JPEG")).string());
      dir.write(names.back(), bytes);
    };
    for (const int components : {1, 3, 4}) {
      for (const bool progressive : {false, true}) {
        testing::JpegForm form;
        form.width = 61 + 7 * components;
        form.height = 33 + components;
        form.components = components;
        form.progressive = progressive;
        add(text(testing::encode_jpeg(form)));
      }
    }
    for (const int color_type : {0, 2, 3, 4, 6}) {
      testing::PngForm form;
      form.width = 20 + color_type;
      form.color_type = color_type;
      form.interlaced = color_type == 6;
      add(png(form));
    }
    add(make_jpeg(1, 1, 7));
    add(make_jpeg(2, 900, 8));
    add(make_jpeg(900, 2, 9));
    for (const std::size_t header : {65'000u, 66'000u, 130'000u, 700'000u}) {
      add(with_comments(make_jpeg(50, 40, 10), header));
      add(with_chunk(png(), header));
    }
  }

  ImageFolder folder() const {
    return ImageFolder::from_samples("", {}, names, std::vector<std::int64_t>(names.size()));
  }

  TempDir dir;
  std::vector<std::string> names;
};

const OddFiles& odd() {
  static const OddFiles files;
  return files;
}

ImageFolder listing(const std::vector<std::string>& paths) {
  return ImageFolder::from_samples("", {}, paths, std::vector<std::int64_t>(paths.size()));
}

LoaderOptions small_options() {
  LoaderOptions options;
  options.batch_size = 4;
  options.num_workers = 2;
  options.max_file_bytes = 1 << 20;
  options.seed = 11;
  return options;
}

std::vector<TransformPlan> plans() {
  std::vector<TransformPlan> all(5);
  all[0].geometry = RandomResizedCrop{.height = 9, .width = 13};
  all[1].geometry = RandomResizedCrop{.height = 5, .width = 5, .scale_min = 0.3, .ratio_min = 0.2};
  all[2].geometry = ResizeCenterCrop{.resize = 20, .height = 16, .width = 24};
  all[3].geometry = ResizeCenterCrop{
      .resize = 0, .height = 10, .width = 9, .resize_height = 12, .resize_width = 8};
  all[4].geometry = ResizeCenterCrop{.resize = 0, .height = 30, .width = 30};
  return all;
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

/// Compares each delivered sample with what a maker makes of its file, and that with `draws`.
void check_delivery(Epoch epoch, const ImageFolder& folder, const TransformPlan& plan,
                    const LoaderOptions& options, std::uint64_t number,
                    const std::vector<Draw>& draws) {
  sample::SampleMaker maker({plan}, options.limits);
  const auto views = batch::lay_out({plan}, 1);
  std::vector<std::byte> out(plan.sample_bytes());
  std::size_t k = 0;
  for (Batch& batch : epoch) {
    for (std::size_t i = 0; i < batch.size(); ++i, ++k) {
      REQUIRE(k < draws.size());
      const Draw& draw = draws[k];
      REQUIRE(draw.position == batch.positions[i]);
      REQUIRE(draw.index == batch.indices[i]);
      REQUIRE(maker.make(read_file(folder.path(draw.index)), data::make_key(options.seed, number),
                         draw.position, {out.data(), views}));
      const auto& geometry = maker.geometry();
      CAPTURE(folder.path(draw.index));
      CHECK(std::ranges::equal(out, batch.sample(i)));
      CHECK(std::array{draw.top, draw.left, draw.height, draw.width} ==
            std::array{geometry.top, geometry.left, geometry.height, geometry.width});
      CHECK(draw.hflip == geometry.hflip);
    }
  }
  CHECK(k == draws.size());
}

/// "decode /x/y: detail" of the failure that draws(0, order) throws.
std::string failure(const ImageFolder& folder, LoaderOptions options = small_options(),
                    const std::vector<std::uint32_t>& order = {}) {
  options.shuffle = false;
  Loader loader(folder, plans()[0], options);
  try {
    order.empty() ? loader.draws(0) : loader.draws(0, order);
  } catch (const LoadError& error) {
    const Error& e = error.error();
    return std::string(to_string(e.stage)) + " " + std::to_string(e.code) + " " +
           std::filesystem::path(e.path).filename().string();
  }
  return "";
}

}  // namespace

TEST_CASE("draws are what the makers used, for every plan and rank and odd file") {
  const ImageFolder folder = odd().folder();
  int turn = 0;
  for (const TransformPlan& plan : plans()) {
    for (const Uneven uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
      for (int rank = 0; rank < 3; ++rank) {
        auto options = small_options();
        options.rank = rank;
        options.world_size = 3;
        options.uneven = uneven;
        options.drop_last = turn % 2 == 1;
        options.reader = turn++ % 2 == 0 ? ReaderKind::pool : ReaderKind::automatic;
        Loader loader(folder, plan, options);
        const auto draws = loader.draws(5);
        check_delivery(loader.epoch(5), folder, plan, options, 5, draws);
        CHECK(draws == loader.draws(5));
        CHECK(draws != loader.draws(6));
      }
    }
  }
}

TEST_CASE("a subset's draws are its own, and of nothing there are none") {
  const ImageFolder folder = odd().folder();
  auto options = small_options();
  options.indices = std::vector<std::uint32_t>{3, 1, 3, 7};
  Loader loader(folder, plans()[0], options);
  check_delivery(loader.epoch(0), folder, plans()[0], options, 0, loader.draws(0));
  CHECK(Loader(listing({}), plans()[0], small_options()).draws(0).empty());
}

TEST_CASE("the order of one epoch with the draws of another") {
  const testing::SampleFolder images(2, 9);
  Loader loader(ImageFolder::open(images.root()), TransformPlan::imagenet_train(), small_options());
  const auto of_order = loader.draws(5), mixed = loader.draws(8, 5);
  std::vector<std::uint32_t> order;
  for (const Draw& draw : of_order) order.push_back(draw.index);
  const auto expected = loader.draws(8, order);
  REQUIRE(mixed.size() == expected.size());
  Epoch epoch = loader.epoch(8, {}, 5);
  std::vector<std::uint32_t> delivered;
  while (const auto batch = epoch.next()) {
    delivered.insert(delivered.end(), batch->indices.begin(), batch->indices.end());
  }
  CHECK(delivered == order);
  bool same = true;
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    CHECK(mixed[i].index == order[i]);
    CHECK(mixed[i].top == expected[i].top);
    CHECK(mixed[i].width == expected[i].width);
    same = same && mixed[i].top == of_order[i].top && mixed[i].width == of_order[i].width;
  }
  CHECK(!same);
}

TEST_CASE("an order made elsewhere: sample k stands at k * world_size + rank") {
  const ImageFolder folder = odd().folder();
  auto options = small_options();
  options.rank = 1;
  options.world_size = 3;
  Loader loader(folder, plans()[0], options);
  const std::vector<std::uint32_t> order{2, 2, 0, 5, 2};
  const auto draws = loader.draws(4, order);
  REQUIRE(draws.size() == order.size());
  sample::SampleMaker maker({plans()[0]}, options.limits);
  const auto views = batch::lay_out({plans()[0]}, 1);
  std::vector<std::byte> out(plans()[0].sample_bytes());
  for (std::size_t k = 0; k < order.size(); ++k) {
    CHECK(draws[k].index == order[k]);
    CHECK(draws[k].position == 3 * k + 1);
    REQUIRE(maker.make(read_file(folder.path(order[k])), data::make_key(11, 4), 3 * k + 1,
                       {out.data(), views}));
    const auto& geometry = maker.geometry();
    CHECK(std::array{draws[k].top, draws[k].left, draws[k].height, draws[k].width} ==
          std::array{geometry.top, geometry.left, geometry.height, geometry.width});
    CHECK(draws[k].hflip == geometry.hflip);
  }
  CHECK_THROWS_AS(loader.draws(0, std::vector<std::uint32_t>{99}), std::invalid_argument);
}

TEST_CASE("each file is opened once, however often the order repeats it") {
  TempDir dir;
  std::vector<std::string> files;
  for (int i = 0; i < 3; ++i) {
    files.push_back((dir / (std::to_string(i) + ".jpg")).string());
    dir.write(files.back(), make_jpeg(30, 20, static_cast<unsigned>(i)));
  }
  Loader loader(listing(files), plans()[0], small_options());
  const int watch = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  REQUIRE(watch >= 0);
  REQUIRE(::inotify_add_watch(watch, dir.path().c_str(), IN_OPEN) >= 0);
  loader.draws(0, std::vector<std::uint32_t>{1, 0, 1, 1, 0, 1});
  std::array<char, 4096> events;
  const ssize_t size = ::read(watch, events.data(), events.size());
  ::close(watch);
  REQUIRE(size > 0);
  int opens = 0;
  for (ssize_t at = 0; at < size;) {
    inotify_event event;
    std::memcpy(&event, events.data() + at, sizeof event);
    opens += event.len > 0 ? 1 : 0;  // the directory's own has no name
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
  CHECK(opens == 2);
}

TEST_CASE("a file without a size is named with its stage") {
  TempDir dir;
  const std::string jpeg = make_jpeg(60, 50, 1);
  dir.write("good.jpg", jpeg);
  dir.write("empty.jpg", "");
  dir.write("head.jpg", jpeg.substr(0, 100));
  dir.write("text.jpg", "hello");
  dir.write("far.jpg", with_comments(jpeg, 3 << 20));
  dir.write("wide.png", [] {
    testing::PngForm form;
    form.width = 200;
    return png(form);
  }());
  std::filesystem::create_directory(dir / "folder.jpg");
  REQUIRE(::mkfifo((dir / "pipe.jpg").c_str(), 0600) == 0);
  auto options = small_options();
  options.limits.max_pixels = 4000;
  const auto of = [&](const char* name) {
    return failure(listing({(dir / "good.jpg").string(), (dir / name).string()}), options);
  };
  CHECK(of("good.jpg") == "");
  CHECK(of("missing.jpg") == "open 2 missing.jpg");
  CHECK(of("empty.jpg") == "decode 0 empty.jpg");
  CHECK(of("head.jpg") == "decode 0 head.jpg");
  CHECK(of("text.jpg") == "decode 0 text.jpg");
  CHECK(of("far.jpg") == "read " + std::to_string(EFBIG) + " far.jpg");
  CHECK(of("wide.png") == "decode 0 wide.png");
  CHECK(of("folder.jpg") == "read " + std::to_string(EISDIR) + " folder.jpg");
  CHECK(of("pipe.jpg") == "read " + std::to_string(ESPIPE) + " pipe.jpg");

  dir.write("cut.jpg", jpeg.substr(0, jpeg.size() - 200));  // its pixels are missing, not its size
  CHECK(of("cut.jpg") == "");
}

TEST_CASE("of several files without a size the first in the order is named") {
  TempDir dir;
  std::vector<std::string> files;
  for (int i = 0; i < 200; ++i) {
    files.push_back((dir / (std::to_string(i) + ".jpg")).string());
    if (i != 20 && i != 21 && i != 150) dir.write(files.back(), make_jpeg(9, 9, 1));
  }
  const ImageFolder folder = listing(files);
  for (int round = 0; round < 20; ++round) {
    CHECK(failure(folder) == "open 2 20.jpg");
    CHECK(failure(folder, small_options(), {0, 150, 7, 21, 20}) == "open 2 150.jpg");
  }
}

TEST_CASE("draws can be broken off between files") {
  auto options = small_options();
  int asked = 0;
  options.while_waiting = [&] {
    if (++asked == 1) throw std::runtime_error("enough");
  };
  const ImageFolder folder = odd().folder();
  Loader loader(folder, plans()[0], options);
  CHECK_THROWS_WITH_AS(loader.draws(0), "enough", std::runtime_error);
  CHECK(loader.draws(0).size() == folder.size());
}

TEST_CASE("of a folder that is gone the first file is named") {
  CHECK(failure(listing({"/nonexistent/data/1.jpg"})) == "open 2 1.jpg");
}
