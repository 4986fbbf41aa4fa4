// Files that fail, and what LoaderOptions::on_error makes of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/loader_test.h"

using namespace ringfeed;
using namespace ringfeed::testing;

namespace {

/// 40 images in two classes, of which three cannot be decoded and one is gone.
struct Damaged {
  Damaged() : dataset(open(files.root())) {
    for (const int i : {2, 3, 9}) std::filesystem::resize_file(files.file(0, i), 300);
    std::filesystem::remove(files.file(1, 3));
  }

  LoaderOptions options(OnError on_error, ReaderKind reader = ReaderKind::automatic) const {
    LoaderOptions options = small_options(reader);
    options.batch_size = 4;
    options.on_error = on_error;
    return options;
  }

  SampleFolder files{2, 20};
  ImageFolder dataset;
  std::set<std::uint32_t> bad{2, 3, 9, 23};
};

struct Outcome {
  Delivered delivered;
  std::vector<std::size_t> sizes;
  std::vector<std::string> errors;
  Failures failures;
};

Outcome run(Epoch&& epoch) {
  Outcome outcome;
  while (NextBatch next = epoch.try_next()) {
    if (next.error) {
      outcome.errors.push_back(next.error->message());
      continue;
    }
    outcome.sizes.push_back(next.batch->size());
    collect(*next.batch, outcome.delivered);
  }
  outcome.failures = epoch.failures();
  return outcome;
}

/// position -> substitute, or -1
std::map<std::uint64_t, std::int64_t> substitutes(const Failures& failures) {
  std::map<std::uint64_t, std::int64_t> found;
  for (const Failure& failure : failures.first) {
    found[failure.position] = failure.substitute ? std::int64_t{*failure.substitute} : -1;
  }
  return found;
}

}  // namespace

TEST_CASE("skip leaves failed samples out of their batches, in order, and the others unchanged") {
  const Damaged damaged;
  for (const auto reader : readers) {
    auto options = damaged.options(OnError::skip, reader);
    options.shuffle = false;
    const std::vector<TransformPlan> plans(2, small_plan());
    Loader loader(damaged.dataset, plans, options);
    const Outcome outcome = run(loader.epoch(1));
    CHECK(outcome.errors.empty());
    CHECK(outcome.sizes == std::vector<std::size_t>{2, 4, 3, 4, 4, 3, 4, 4, 4, 4});
    CHECK(outcome.failures.count == 4);
    CHECK(loader.stats().skipped == 4);
    std::set<std::uint32_t> left;
    for (const auto& [position, sample] : outcome.delivered) {
      CHECK(std::get<0>(sample) == position);
      CHECK(std::get<1>(sample) == (position < 20 ? 0 : 1));
      left.insert(std::get<0>(sample));
    }
    for (const Failure& failure : outcome.failures.first) {
      CHECK(damaged.bad.contains(failure.index));
      CHECK(failure.position == failure.index);
      CHECK_FALSE(failure.substitute);
      CHECK(failure.error.path == damaged.dataset.path(failure.index));
    }
    CHECK(left.size() == 36);
    // The same without the damaged files: equal pixels at equal positions.
    options.on_error = OnError::raise;
    options.batch_size = 1;
    const Outcome alone = run(Loader(damaged.dataset, plans, options).epoch(1));
    CHECK(alone.errors.size() == 4);
    CHECK(alone.delivered == outcome.delivered);
  }
}

TEST_CASE("every view of a batch moves up where a sample is left out") {
  const Damaged damaged;
  auto options = damaged.options(OnError::skip);
  options.shuffle = false;
  TransformPlan large = small_plan();
  large.geometry = RandomResizedCrop{.height = 16, .width = 16};
  const std::vector plans{small_plan(), large};
  Loader loader(damaged.dataset, plans, options);
  auto single = options;
  single.batch_size = 1;
  single.on_error = OnError::raise;
  Loader one_by_one(damaged.dataset, plans, single);
  std::map<std::uint64_t, std::string> expected;
  const auto second_view = [](const Batch& batch, std::size_t i) {
    const auto pixels = batch.sample(i, 1);
    return std::string(reinterpret_cast<const char*>(pixels.data()), pixels.size());
  };
  Epoch epoch = one_by_one.epoch(0);
  while (const NextBatch next = epoch.try_next()) {
    if (next.batch) expected[next.batch->positions[0]] = second_view(*next.batch, 0);
  }
  std::size_t seen = 0;
  for (const Batch& batch : loader.epoch(0)) {
    for (std::size_t i = 0; i < batch.size(); ++i, ++seen) {
      CHECK(second_view(batch, i) == expected.at(batch.positions[i]));
    }
  }
  CHECK(seen == expected.size());
}

TEST_CASE("a batch that skip leaves no sample of is an error, and the epoch goes on") {
  for (const auto reader : readers) {
    const Damaged damaged;
    auto options = damaged.options(OnError::skip, reader);
    options.shuffle = false;
    options.batch_size = 1;
    Loader loader(damaged.dataset, small_plan(), options);
    const Outcome outcome = run(loader.epoch(0));
    CHECK(outcome.delivered.size() == 36);
    REQUIRE(outcome.errors.size() == 4);
    CHECK(outcome.errors[0].find("none is left") != std::string::npos);
    CHECK(outcome.errors[0].find(damaged.files.file(0, 2).string()) != std::string::npos);
  }
}

TEST_CASE("substitutes are the same for any reader, workers, ranks, batches and start") {
  const Damaged damaged;
  Outcome whole;
  for (const auto reader : readers) {
    for (const int workers : {1, 3}) {
      auto options = damaged.options(OnError::replace, reader);
      options.num_workers = workers;
      options.in_order = workers == 1;
      Loader loader(damaged.dataset, small_plan(), options);
      Outcome outcome = run(loader.epoch(5));
      CHECK(outcome.errors.empty());
      CHECK(outcome.sizes == std::vector<std::size_t>(10, 4));
      CHECK(loader.stats().replaced == 4);
      if (whole.delivered.empty()) whole = outcome;
      CHECK(outcome.delivered == whole.delivered);
      CHECK(substitutes(outcome.failures) == substitutes(whole.failures));
    }
  }
  CHECK(whole.delivered.size() == 40);
  CHECK(substitutes(whole.failures).size() == 4);
  for (const Failure& failure : whole.failures.first) {
    REQUIRE(failure.substitute);
    CHECK(damaged.bad.contains(failure.index));
    CHECK_FALSE(damaged.bad.contains(*failure.substitute));
    const auto& [index, label, pixels] = whole.delivered.at(failure.position);
    CHECK(index == *failure.substitute);
    CHECK(label == damaged.dataset.label(index));
  }

  Delivered of_ranks;
  for (const int rank : {0, 1, 2}) {
    auto options = damaged.options(OnError::replace);
    options.world_size = 3;
    options.rank = rank;
    options.uneven = Uneven::keep;
    of_ranks.merge(run(Loader(damaged.dataset, small_plan(), options).epoch(5)).delivered);
  }
  CHECK(of_ranks == whole.delivered);

  Delivered resumed;
  Loader loader(damaged.dataset, small_plan(), damaged.options(OnError::replace));
  Progress progress;
  {
    Epoch epoch = loader.epoch(5);
    for (int i = 0; i < 3; ++i) collect(*epoch.next(), resumed);
    progress = epoch.progress();
  }
  resumed.merge(run(loader.epoch(5, progress)).delivered);
  CHECK(resumed == whole.delivered);

  const auto other_epoch = run(loader.epoch(6));
  CHECK(substitutes(other_epoch.failures) != substitutes(whole.failures));
}

TEST_CASE("a substitute is drawn from the indices, also where a source gives the order") {
  const Damaged damaged;
  auto options = damaged.options(OnError::replace);
  options.indices = std::vector<std::uint32_t>{2, 5, 6, 7};
  const std::set<std::uint32_t> allowed{5, 6, 7};
  Loader loader(damaged.dataset, small_plan(), options);
  for (std::uint64_t number = 0; number < 20; ++number) {
    const Outcome outcome = run(loader.epoch(number));
    CHECK(outcome.errors.empty());
    for (const auto& [position, sample] : outcome.delivered) {
      CHECK(allowed.contains(std::get<0>(sample)));
    }
    const auto source = [left = 3]() mutable -> std::optional<std::vector<std::uint32_t>> {
      if (left-- == 0) return std::nullopt;
      return std::vector<std::uint32_t>{23, 9};
    };
    const Outcome sourced = run(loader.epoch(number, source));
    CHECK(sourced.delivered.size() == 6);
    for (const auto& [position, sample] : sourced.delivered) {
      CHECK(allowed.contains(std::get<0>(sample)));
    }
  }
}

TEST_CASE("where no substitute can be loaded either, the batch is an error that says so") {
  for (const auto reader : readers) {
    SampleFolder files(1, 6);
    const ImageFolder dataset = open(files.root());
    std::filesystem::remove_all(files.root() / "c00");
    auto options = small_options(reader);
    options.on_error = OnError::replace;
    options.batch_size = 3;
    const Outcome outcome = run(Loader(dataset, small_plan(), options).epoch(0));
    CHECK(outcome.delivered.empty());
    REQUIRE(outcome.errors.size() == 2);
    CHECK(outcome.errors[0].starts_with("open: "));
    CHECK(outcome.errors[0].find("none of the 15 files drawn in its place") != std::string::npos);
  }
}

TEST_CASE("more than max_failures is an error at its batch that names what has failed") {
  const Damaged damaged;
  struct Case {
    double most;
    std::size_t errors;
  };
  for (const auto on_error : {OnError::skip, OnError::replace}) {
    for (const auto& [most, errors] :
         {Case{4, 0}, Case{3, 1}, Case{2, 2}, Case{0, 3}, Case{0.1, 0}, Case{0.099, 1}}) {
      auto options = damaged.options(on_error);
      options.shuffle = false;
      options.max_failures = most;
      CAPTURE(most);
      Loader loader(damaged.dataset, small_plan(), options);
      const Outcome outcome = run(loader.epoch(0));
      if (on_error == OnError::replace && outcome.failures.count > 4) continue;  // one failed too
      REQUIRE(outcome.errors.size() == errors);
      for (const Failure& failure : outcome.failures.first) {  // in a batch that is an error none
        CHECK(failure.substitute.has_value() ==
              (on_error == OnError::replace && outcome.delivered.contains(failure.position)));
      }
      if (errors == 0) continue;
      const std::string& last = outcome.errors.back();
      CHECK(last.find("4 files of this epoch have failed, where ") != std::string::npos);
      CHECK(last.find("raise max_failures") != std::string::npos);
      for (const std::uint32_t bad : damaged.bad) {
        CHECK(last.find(damaged.dataset.path(bad)) != std::string::npos);
      }
    }
  }
}

TEST_CASE("the first failure is an error where none may be") {
  const Damaged damaged;
  auto options = damaged.options(OnError::skip);
  options.shuffle = false;
  options.batch_size = 3;
  options.max_failures = 0;
  Loader loader(damaged.dataset, small_plan(), options);
  const Outcome outcome = run(loader.epoch(0));
  REQUIRE_FALSE(outcome.errors.empty());
  const std::string said =
      "; 1 file of this epoch has failed, where 0 may: " + damaged.dataset.path(2) + "; raise";
  CHECK(outcome.errors.front().find(said) != std::string::npos);
}

TEST_CASE("of many failures the first thousand are listed, and all are counted") {
  std::vector<std::string> paths;
  for (int i = 0; i < 1200; ++i) paths.push_back("/nothing/" + std::to_string(i) + ".jpg");
  SampleFolder files(1, 1);
  paths.push_back(files.file(0, 0));
  auto options = small_options();
  options.on_error = OnError::skip;
  options.batch_size = 1201;
  options.max_failures = 1100;
  Loader loader(ImageFolder::from_samples("/", {}, paths, std::vector<std::int64_t>(1201)),
                small_plan(), options);
  const Outcome outcome = run(loader.epoch(0));
  CHECK(outcome.failures.count == 1200);
  CHECK(outcome.failures.first.size() == Failures::most_listed);
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].find(" and 1190 more; raise") != std::string::npos);
  CHECK(outcome.errors[0].size() < 1000);
}

TEST_CASE("what nothing can fail or what has no meaning is refused") {
  const Damaged damaged;
  const auto refused = [&](OnError on_error, const std::function<void(LoaderOptions&)>& change) {
    auto options = damaged.options(on_error);
    change(options);
    CHECK_THROWS_AS(Loader(damaged.dataset, small_plan(), options), OptionError);
  };
  refused(OnError::raise, [](auto& options) { options.max_failures = 3; });
  refused(OnError::skip, [](auto& options) { options.max_failures = -1; });
  refused(OnError::skip, [](auto& options) { options.max_failures = std::nan(""); });
  refused(OnError::raise, [](auto& options) { options.retries = -1; });
  refused(OnError::raise, [](auto& options) { options.retries = largest::retries + 1; });
}

TEST_CASE("draws of an epoch that has run are of what its batches hold") {
  const Damaged damaged;
  std::vector<std::uint32_t> mixed(damaged.dataset.size());
  for (std::size_t k = 0; k < mixed.size(); ++k) {
    mixed[k] = static_cast<std::uint32_t>(7 * k % mixed.size());
  }
  for (const auto on_error : {OnError::skip, OnError::replace}) {
    for (const bool given : {false, true}) {
      Loader loader(damaged.dataset, {small_plan(), small_plan()}, damaged.options(on_error));
      const auto source = [&mixed, at = std::size_t{0}]() mutable {
        std::optional<std::vector<std::uint32_t>> batch;
        if (at < mixed.size()) batch.emplace(mixed.begin() + at, mixed.begin() + at + 4), at += 4;
        return batch;
      };
      Epoch epoch = given ? loader.epoch(3, source) : loader.epoch(3);
      std::vector<std::pair<std::uint64_t, std::uint32_t>> delivered, drawn;
      while (const auto batch = epoch.next()) {
        for (std::size_t i = 0; i < batch->size(); ++i) {
          for (int view = 0; view < 2; ++view) {
            delivered.emplace_back(batch->positions[i], batch->indices[i]);
          }
        }
      }
      const Failures failed = epoch.failures();
      for (const Draw& draw :
           given ? loader.draws(3, mixed, failed) : loader.draws(3, std::nullopt, failed)) {
        drawn.emplace_back(draw.position, draw.index);
        CHECK(draw.height > 0);
      }
      CHECK(drawn == delivered);
      CHECK_THROWS_AS((void)loader.draws(3), LoadError);  // one is gone
    }
  }
}

TEST_CASE("max_failures counts on where an epoch goes on") {
  const Damaged damaged;
  auto options = damaged.options(OnError::skip);
  options.shuffle = false;
  options.max_failures = 3;
  Loader loader(damaged.dataset, small_plan(), options);
  const Outcome whole = run(loader.epoch(0));
  REQUIRE(whole.errors.size() == 1);
  Epoch epoch = loader.epoch(0);
  REQUIRE(epoch.next());
  CHECK(epoch.progress() == Progress{4, {}, 2});
  const Outcome rest = run(loader.epoch(0, epoch.progress()));
  CHECK(rest.failures.count == 2);
  REQUIRE(rest.errors.size() == 1);
  CHECK(rest.errors[0].find("4 files of this epoch have failed, where 3 may: ") !=
        std::string::npos);
  CHECK(rest.errors[0].find(" and 2 more") != std::string::npos);
  const auto sized = [](const Outcome& outcome) { return outcome.sizes.back(); };
  CHECK(sized(whole) == sized(rest));
  CHECK_MESSAGE(run(loader.epoch(0, Progress{4, {}})).errors.empty(), "2 alone may");

  options.on_error = OnError::raise;
  options.max_failures = LoaderOptions{}.max_failures;
  Loader raising(damaged.dataset, small_plan(), options);
  Epoch raised = raising.epoch(0);
  CHECK(raised.try_next().error);
  CHECK(raised.progress() == Progress{4, {}});
}
