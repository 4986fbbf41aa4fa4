// Files that are broken, odd, large or slow.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pipeline/loader_test.h"
#include "support/held_opens.h"

using namespace ringfeed;
using namespace ringfeed::testing;

TEST_CASE("a failed sample raises at its batch, names stage and file, and the epoch goes on") {
  for (auto reader : readers) {
    SampleFolder files(2, 20);
    std::filesystem::resize_file(files.file(0, 9), 300);
    auto dataset = open(files.root());
    std::filesystem::remove(files.file(1, 3));
    auto options = small_options(reader);
    options.batch_size = 4;
    options.shuffle = false;
    Loader loader(dataset, small_plan(), options);
    Epoch epoch = loader.epoch(0);
    std::vector<std::string> faults;
    std::vector<std::int64_t> batches;
    while (const NextBatch next = epoch.try_next()) {
      CHECK(next.batch.has_value() != next.error.has_value());
      if (next.batch) {
        batches.push_back(next.batch->number);
      } else {
        faults.push_back(std::string(to_string(next.error->stage)) + " " + next.error->path +
                         " after " + std::to_string(batches.size()));
      }
    }
    CHECK(batches == std::vector<std::int64_t>{0, 1, 3, 4, 6, 7, 8, 9});
    REQUIRE(faults.size() == 2);
    CHECK(faults[0] == "decode " + files.file(0, 9).string() + " after 2");
    CHECK(faults[1] == "open " + files.file(1, 3).string() + " after 4");
    CHECK(loader.stats().read.failed == 1);
    CHECK(loader.stats().decode.failed == 1);
  }
}

TEST_CASE("next() throws the error that try_next() gives, and both go on behind it") {
  SampleFolder files(1, 3);
  std::filesystem::resize_file(files.file(0, 1), 300);
  auto options = small_options();
  options.batch_size = 1;
  options.shuffle = false;
  Loader loader(open(files.root()), small_plan(), options);
  Epoch values = loader.epoch(0);
  CHECK(values.try_next().batch->number == 0);
  const NextBatch failed = values.try_next();
  REQUIRE(failed.error);
  CHECK(values.progress() == Progress{2, {}});
  CHECK(values.next()->number == 2);
  CHECK_FALSE(values.try_next());

  Epoch exceptions = loader.epoch(0);
  CHECK(exceptions.next()->number == 0);
  CHECK_THROWS_WITH_AS((void)exceptions.next(), failed.error->message().c_str(), LoadError);
  CHECK(exceptions.progress() == Progress{2, {}});
  CHECK(exceptions.try_next().batch->number == 2);
  CHECK_FALSE(exceptions.next());
}

TEST_CASE("a FIFO, an empty file and one over the size limit are errors, not hangs") {
  for (auto reader : readers) {
    SampleFolder files(1, 4);
    files.write("c00/empty.JPEG", "");
    std::string huge = make_jpeg(40, 30, 1);
    for (int i = 0; i < 17; ++i) huge.insert(2, "\xff\xfe\xff\xff" + std::string(65533, 'x'));
    files.write("c00/huge.JPEG", huge);
    REQUIRE(::mkfifo((files.root() / "c00/pipe.JPEG").c_str(), 0600) == 0);
    auto options = small_options(reader);
    options.batch_size = 1;
    Loader loader(open(files.root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    std::set<std::string> failed;
    std::size_t good = 0;
    while (const NextBatch next = epoch.try_next()) {
      if (next.batch) {
        ++good;
      } else {
        failed.insert(std::filesystem::path(next.error->path).filename());
      }
    }
    CHECK(good == 4);
    CHECK(failed == std::set<std::string>{"empty.JPEG", "huge.JPEG", "pipe.JPEG"});
  }
}

TEST_CASE("files many times the first guess load with memory at its minimum") {
  for (auto reader : readers) {
    SampleFolder files(1, 1);
    std::string jpeg = make_jpeg(64, 64, 5);
    for (int i = 0; i < 40; ++i) {
      // A comment segment makes the file long; decoders skip it.
      std::string padded = jpeg.substr(0, 2);
      for (int segment = 0; segment < 9; ++segment) {
        padded += std::string("\xff\xfe\xff\xff", 4) + std::string(0xfffd, static_cast<char>(i));
      }
      files.write("c00/big" + std::to_string(i) + ".JPEG", padded + jpeg.substr(2));
    }
    auto options = small_options(reader);
    options.read_ahead_bytes = 256 << 10;
    Loader loader(open(files.root()), small_plan(), options);
    Delivered delivered;
    collect(loader.epoch(0), delivered);
    CHECK(delivered.size() == 41);
    CHECK(loader.stats().read_ahead_bytes_peak <= (256u << 10) + (1u << 20) + 4096);
  }
}

TEST_CASE("a cut file that looks whole is read again while large ones hold every slot and byte") {
  for (auto reader : readers) {
    SampleFolder files(1, 0);
    const std::string cut = std::string("\xff\xd8\xff\xe1\xff\xff", 6) + std::string(9000, 'x');
    const std::string jpeg = make_jpeg(64, 64, 5);
    for (int i = 0; i < 20; ++i) {
      const std::string name = "c00/" + std::to_string(10 + i);
      files.write(name + "a.JPEG", cut + "\xff\xd9");
      files.write(name + "b.JPEG", jpeg + std::string(500'000, 'x'));
    }
    auto options = small_options(reader);
    options.batch_size = 1;
    options.shuffle = false;
    options.depth = 1;
    options.read_ahead_bytes = 256 << 10;
    options.timeout = std::chrono::seconds(20);  // so that a stall is a failure, not a hang
    Loader loader(open(files.root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    int whole = 0, failed = 0;
    while (const NextBatch next = epoch.try_next()) ++(next.batch ? whole : failed);
    CHECK(whole == 20);
    CHECK(failed == 20);
  }
}

TEST_CASE("all of the depth is used where reads do not come back at once") {
  constexpr int depth = 300;  // the window begins with fewer
  SampleFolder files(1, depth);
  std::optional<HeldOpens> opens(std::in_place, files.root() / "c00");
  if (!opens->works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  auto options = small_options(ReaderKind::pool);  // the ring's own thread would be held
  options.num_workers = 1;
  options.depth = depth;
  options.prefetch_factor = 40;  // 320 samples before the first batch has been taken
  options.timeout = std::chrono::milliseconds(50);
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (loader.stats().files_in_flight < depth && std::chrono::steady_clock::now() < limit) {
    CHECK_THROWS_AS((void)epoch.next(), TimeoutError);
  }
  CHECK(loader.stats().files_in_flight == depth);
  opens.reset();
}

TEST_CASE("all of the depth is used where one slow read keeps the others from their cells") {
  constexpr int others = 299;
  SampleFolder files(1, others);
  files.write("b/first.jpg", make_jpeg(40, 30, 1));
  std::optional<HeldOpens> opens(std::in_place, files.root() / "b");
  if (!opens->works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  auto options = small_options(ReaderKind::pool);
  options.num_workers = 1;
  options.depth = 1 + others;
  options.prefetch_factor = 40;  // 320 samples before the first batch has been taken
  options.shuffle = false;
  options.timeout = std::chrono::milliseconds(50);
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  // Of the first batch, until that is taken; one waits for the read.
  const auto open_cells = static_cast<std::uint64_t>(options.batch_size - 1);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (loader.stats().encoded_ready < others - open_cells &&
         std::chrono::steady_clock::now() < limit) {
    CHECK_THROWS_AS((void)epoch.next(), TimeoutError);
  }
  CHECK(loader.stats().encoded_ready == others - open_cells);
  opens.reset();
}
