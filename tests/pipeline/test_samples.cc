#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "ringfeed/loader.h"
#include "support/image_folder.h"
#include "support/temp_dir.h"

using namespace ringfeed;
using testing::make_jpeg;
using testing::TempDir;

namespace {

constexpr ReaderKind readers[] = {ReaderKind::ring, ReaderKind::pool};

/// The working directory, until the end of the scope.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::filesystem::path& path)
      : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  ~WorkingDirectory() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

/// What became of each path, in order: "label pixel" or "stage code path: what to do".
std::vector<std::string> load(const std::string& root, const std::vector<std::string>& paths,
                              ReaderKind reader) {
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < paths.size(); ++i) labels.push_back(-static_cast<std::int64_t>(i));
  TransformPlan plan;
  plan.geometry = ResizeCenterCrop{.resize = 1, .height = 1, .width = 1};
  plan.hflip_probability = 0;
  plan.normalize.flavour = Normalize::Flavour::none;
  plan.dtype = DType::uint8;
  LoaderOptions options;
  options.batch_size = 1;
  options.num_workers = 1;
  options.shuffle = false;
  options.max_file_bytes = 1 << 20;
  options.reader = reader;
  Loader loader(ImageFolder::from_samples(root, {}, paths, labels), plan, options);
  Epoch epoch = loader.epoch(0);
  std::vector<std::string> outcome;
  while (const NextBatch next = epoch.try_next()) {
    if (const auto& batch = next.batch) {
      outcome.push_back(std::to_string(batch->labels[0]) + " " +
                        std::to_string(std::to_integer<int>(batch->pixels()[0])));
    } else {
      outcome.push_back(std::string(to_string(next.error->stage)) + " " +
                        std::to_string(next.error->code) + " " + next.error->path + ": " +
                        next.error->detail);
    }
  }
  return outcome;
}

}  // namespace

TEST_CASE("samples are opened as their paths stand, below the root or not") {
  TempDir dir, other;
  dir.write("a/1.jpg", make_jpeg(20, 20, 1));
  dir.write("b \xff\xfe/2.jpg", make_jpeg(20, 20, 2));
  dir.write("top.jpg", make_jpeg(20, 20, 3));
  other.write("far.jpg", make_jpeg(20, 20, 4));
  const std::string d = dir.path(), far = (other / "far.jpg").string();
  const std::vector<std::string> absolute{d + "/a/1.jpg", d + "/b \xff\xfe/2.jpg", d + "/top.jpg",
                                          far, d + "/a/1.jpg"};
  const std::vector<std::string> relative{"a/1.jpg", "b \xff\xfe//2.jpg", "a/../top.jpg", far,
                                          "./a/1.jpg"};
  const WorkingDirectory inside(dir.path());
  for (const auto reader : readers) {
    const auto expected = load("", absolute, reader);
    for (const std::string& line : expected) CHECK(line.starts_with(line[0] == '0' ? "0 " : "-"));
    CHECK(load("", relative, reader) == expected);
    CHECK(load(d, relative, reader) == expected);
    CHECK(load("a", relative, reader) == expected);
    CHECK(load(d, absolute, reader) == expected);
    CHECK(load(d + "/", absolute, reader) == expected);
  }
}

TEST_CASE("what turns out to be no regular file is an error of its own, by its given path") {
  TempDir dir;
  dir.write("good.jpg", make_jpeg(20, 20, 1));
  std::filesystem::create_directory(dir / "folder.jpg");
  REQUIRE(::mkfifo((dir / "pipe.jpg").c_str(), 0600) == 0);
  REQUIRE(::symlink("pipe.jpg", (dir / "link.jpg").c_str()) == 0);
  REQUIRE(::mknod((dir / "socket.jpg").c_str(), S_IFSOCK | 0600, 0) == 0);
  const std::string d = dir.path();
  const std::vector<std::string> paths{
      d + "/folder.jpg", d + "/pipe.jpg",  d + "/good.jpg", d + "/link.jpg", d + "/missing.jpg",
      d + "/good.jpg/x", d + "/good.jpg/", "/dev/null",     d + "/good.jpg", d + "/socket.jpg"};
  for (const auto reader : readers) {
    for (const std::string& root : {std::string(), d, std::string("/")}) {
      const auto outcome = load(root, paths, reader);
      REQUIRE(outcome.size() == paths.size());
      for (const std::size_t i : {0u, 1u, 3u, 4u, 5u, 6u, 7u}) {
        CAPTURE(outcome[i]);
        CHECK((outcome[i].starts_with("open ") || outcome[i].starts_with("read ")));
        CHECK(outcome[i].find(" " + paths[i] + ": ") != std::string::npos);
      }
      const std::string leave_out = "; leave it out of the dataset";
      CHECK(outcome[0] == "read " + std::to_string(EISDIR) + " " + paths[0] +
                              ": a directory, not a file" + leave_out);
      for (const std::size_t i : {1u, 3u}) {
        CHECK(outcome[i] == "read " + std::to_string(ESPIPE) + " " + paths[i] +
                                ": a FIFO or device, not a regular file" + leave_out);
      }
      const std::string check = ": check that the file exists and may be read";
      CHECK(outcome[4] == "open " + std::to_string(ENOENT) + " " + paths[4] + check);
      CHECK(outcome[5] == "open " + std::to_string(ENOTDIR) + " " + paths[5] + check);
      CHECK(outcome[2].starts_with("-2 "));
      CHECK(outcome[8].starts_with("-8 "));
      CHECK(outcome[9] == "open " + std::to_string(ENXIO) + " " + paths[9] +
                              ": a socket or device, not a regular file" + leave_out);
    }
  }
}

TEST_CASE("errors of a root that ends in a slash name the path as it was given") {
  TempDir dir;
  const std::string root = dir.path().string() + "/";
  for (const auto reader : readers) {
    CHECK(load(root, {root + "a.jpg"}, reader) ==
          std::vector<std::string>{"open " + std::to_string(ENOENT) + " " + root +
                                   "a.jpg: check that the file exists and may be read"});
  }
}
