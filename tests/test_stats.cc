#include <doctest/doctest.h>

#include "ringfeed/stats.h"

using namespace ringfeed;

namespace {

Stats decoder_time(double busy, double starved, double blocked) {
  Stats stats;
  stats.decode.busy_seconds = busy;
  stats.starved_seconds = starved;
  stats.blocked_seconds = blocked;
  return stats;
}

}  // namespace

TEST_CASE("decoders that hardly idle are the limit") {
  CHECK(decoder_time(97, 2, 1).verdict() == Verdict::decode_bound);
  CHECK(decoder_time(10, 0, 0).verdict() == Verdict::decode_bound);
}

TEST_CASE("decoders that wait for encoded samples are starved by the storage") {
  CHECK(decoder_time(30, 60, 10).verdict() == Verdict::storage_bound);
  CHECK(decoder_time(0, 5, 0).verdict() == Verdict::storage_bound);
}

TEST_CASE("decoders that wait for room in a batch are held by the consumer") {
  CHECK(decoder_time(30, 10, 60).verdict() == Verdict::consumer_bound);
}

TEST_CASE("decoders that wait for a sampler are held by it, and nothing says the caller") {
  Stats stats = decoder_time(30, 10, 10);
  stats.unordered_seconds = 50;
  CHECK(stats.verdict() == Verdict::order_bound);
  const std::string line = stats.verdict_line();
  CHECK(line.starts_with("order-bound: decoders busy 30 %"));
  CHECK(line.find("for 50 % of it they wait for the sampler") != std::string::npos);
  CHECK(line.find("caller") == std::string::npos);
}

TEST_CASE("the verdict does not depend on how long the loader has run") {
  CHECK(decoder_time(0.003, 0.006, 0.001).verdict() == decoder_time(3000, 6000, 1000).verdict());
}

TEST_CASE("the verdict line begins with the verdict and gives the shares it rests on") {
  Stats stats = decoder_time(30, 60, 10);
  stats.read.p50_us = 41'500;
  stats.depth = 640;
  const std::string line = stats.verdict_line();
  CHECK(line.starts_with("storage-bound: decoders busy 30 %, starved 60 %, blocked 10 %"));
  CHECK(line.find("41.5 ms") != std::string::npos);
  CHECK(line.find("depth of 640") != std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(decoder_time(1, 0, 0).verdict_line().starts_with("decode-bound"));
  CHECK(decoder_time(1, 0, 1).verdict_line().starts_with("consumer-bound"));
}

TEST_CASE("the verdict names the options as they are called where it is read") {
  const auto arguments = [](Option option) noexcept -> std::string_view {
    if (option == Option::depth) return "--depth";
    return option == Option::num_workers ? "--workers" : "--read-ahead-bytes";
  };
  CHECK(decoder_time(30, 60, 10)
            .verdict_line(arguments)
            .find("raise --depth and --read-ahead-bytes") != std::string::npos);
  CHECK(decoder_time(1, 0, 0).verdict_line(arguments).find("(--workers)") != std::string::npos);
  CHECK(decoder_time(30, 60, 10).verdict_line().find("raise depth and read_ahead_bytes") !=
        std::string::npos);
}

TEST_CASE("fewer files than may be read at once say nothing of the storage") {
  Stats stats = decoder_time(80, 20, 0);
  stats.depth = 640;
  stats.read.count = 16;
  CHECK(stats.verdict_line().find("run longer to know") != std::string::npos);
  stats.read.count = 640;
  CHECK(stats.verdict_line().ends_with("or speed up the storage"));
}

TEST_CASE("before the first sample there is no verdict to give") {
  CHECK(Stats{}.verdict_line() == "no verdict: nothing was decoded");
}
