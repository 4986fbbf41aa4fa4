#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "data/epoch_order.h"
#include "measure.h"
#include "options.h"
#include "output.h"
#include "pipeline/settings.h"
#include "stage_bench.h"

namespace ringfeed::cli {
namespace {

/// Encoded files kept for the decode stage.
constexpr std::size_t preload_bytes = std::size_t{256} << 20;

using Entries = std::vector<std::uint32_t>;

/// One bench command at work: the dataset, and the rows and JSON of the stages run so far.
struct Bench {
  const BenchFlags& flags;
  Interrupt& interrupt;
  ImageFolder dataset;
  std::vector<TransformPlan> plans;
  LoaderOptions options;
  pipeline::Settings settings;  ///< what a loader makes of `options`
  Table table{};
  Json document = Json::object();
  std::vector<Error> errors{};

  Bench(const BenchFlags& f, Interrupt& i)
      : flags(f),
        interrupt(i),
        dataset(f.dataset.open()),
        plans(f.transform.plans()),
        options(f.loader.options(f.reader, f.limits)),
        settings(pipeline::resolve(options, plans, dataset)) {
    table.row({"stage", "images/s", "images", "failed", "seconds", "us CPU/image", "images/s/core",
               "MB/s", "p50", "p90", "p99"});
  }

  /// Of the shuffled dataset, the part-th of `parts` shares: stages that run one after the other
  /// read different files, so that none profits from the page cache another has filled.
  Entries share(std::size_t part, std::size_t parts) const {
    data::OrderOptions order;
    order.seed = options.seed;
    const data::EpochOrder all(dataset.size(), {}, order);
    if (all.size() < parts) parts = 1, part = 0;
    Entries entries;
    for (std::size_t k = part; k < all.size(); k += parts) entries.push_back(all[k].entry);
    return entries;
  }

  double read(const Entries& entries) {
    const ReadBench r = bench_read(dataset, entries, settings, flags.goal, interrupt);
    errors.insert(errors.end(), r.errors.begin(), r.errors.end());
    const double rate = per_second(static_cast<double>(r.files), r.seconds);
    const double megabytes = per_second(static_cast<double>(r.bytes) / 1e6, r.seconds);
    const double cpu_us = 1e6 * per_second(r.cpu_seconds, static_cast<double>(r.files));
    table.row({"read (" + r.reader + ")", fixed(rate, 1), human_count(r.files),
               human_count(r.failed), fixed(r.seconds, 2), fixed(cpu_us, 0), "-",
               fixed(megabytes, 1), human_micros(r.p50_us), human_micros(r.p90_us),
               human_micros(r.p99_us)});
    document["read"] = {{"reader", r.reader},       {"reader_note", r.note},
                        {"depth", r.depth},         {"files", r.files},
                        {"failed", r.failed},       {"bytes", r.bytes},
                        {"seconds", r.seconds},     {"cpu_seconds", r.cpu_seconds},
                        {"files_per_second", rate}, {"megabytes_per_second", megabytes},
                        {"p50_us", r.p50_us},       {"p90_us", r.p90_us},
                        {"p99_us", r.p99_us},       {"max_us", r.max_us}};
    return rate;
  }

  double decode(const Entries& entries) {
    std::vector<HeldFile> files;
    std::size_t kept = 0;
    const FileSink keep = [&](std::uint32_t entry, std::span<const std::byte> file) {
      files.push_back({entry, {file.begin(), file.end()}});
      kept += file.size();
      return kept < preload_bytes;
    };
    const StageGoal preload{.seconds = 0, .images = flags.goal.images};
    const ReadBench r = bench_read(dataset, entries, settings, preload, interrupt, keep);
    errors.insert(errors.end(), r.errors.begin(), r.errors.end());

    const DecodeBench d = bench_decode(dataset, files, plans, settings, flags.goal, interrupt);
    if (d.failed > 0) errors.push_back(d.first_failure);
    const auto images = static_cast<double>(d.images);
    const double rate = per_second(images, d.seconds);
    const double core_rate = per_second(images, d.cpu_seconds);
    const double cpu_us = 1e6 * per_second(d.cpu_seconds, images);
    table.row({"decode (" + std::to_string(d.workers) + ")", fixed(rate, 1), human_count(d.images),
               human_count(d.failed), fixed(d.seconds, 2), fixed(cpu_us, 0), fixed(core_rate, 1)});
    document["decode"] = {{"workers", d.workers},      {"files", files.size()},
                          {"images", d.images},        {"failed", d.failed},
                          {"seconds", d.seconds},      {"cpu_seconds", d.cpu_seconds},
                          {"images_per_second", rate}, {"images_per_second_per_core", core_rate},
                          {"cpu_us_per_image", cpu_us}};
    return rate;
  }

  double load(const Entries& entries) {
    options.indices = entries;
    Loader loader(dataset, plans, options);
    LoadGoal goal;
    goal.max_images = flags.goal.images;
    goal.max_seconds = flags.goal.seconds;
    const LoadRun run = run_loader(loader, goal, interrupt);
    errors.insert(errors.end(), run.errors.begin(), run.errors.end());
    const auto images = static_cast<double>(run.images);
    const double rate = per_second(images, run.seconds);
    const double cpu_us = 1e6 * per_second(run.cpu_seconds, images);
    table.row({"load (" + run.stats.reader + ")", fixed(rate, 1), human_count(run.images),
               human_count(run.errors.size()), fixed(run.seconds, 2), fixed(cpu_us, 0),
               fixed(per_second(images, run.cpu_seconds), 1)});
    document["load"] = {{"reader", run.stats.reader},
                        {"reader_note", run.stats.reader_note},
                        {"workers", run.stats.workers},
                        {"images", run.images},
                        {"seconds", run.seconds},
                        {"cpu_seconds", run.cpu_seconds},
                        {"images_per_second", rate},
                        {"cpu_us_per_image", cpu_us},
                        {"verdict", to_string(run.stats.verdict())}};
    return rate;
  }

  int report(const std::string& conclusion, bool json) {
    for (const Error& error : errors) complain(error.message(flag_name));
    if (interrupt.requested()) complain("interrupted; the figures are of what was done until then");
    if (json) {
      Json& list = document["errors"] = Json::array();
      for (const Error& error : errors) list.push_back(to_json(error));
      document["conclusion"] = conclusion;
      document["interrupted"] = interrupt.requested();
      print_json(document);
    } else {
      print_text(table.str() + conclusion + (conclusion.empty() ? "" : "\n"));
    }
    if (interrupt.requested()) return exit_interrupted;
    return errors.empty() ? exit_ok : exit_data;
  }
};

std::string compare(double read, double decode, double load) {
  const bool storage = read < decode;
  const double limit = std::min(read, decode);
  return std::string(storage ? "The storage" : "The decoding") + " is the shorter stage (storage " +
         fixed(read, 0) + ", decoding " + fixed(decode, 0) + " images/s); the whole reaches " +
         fixed(100 * per_second(load, limit), 0) + " % of it.";
}

}  // namespace

int bench(const std::string& stage, const BenchFlags& flags, bool json, Interrupt& interrupt) {
  Bench bench(flags, interrupt);
  std::string conclusion;
  if (stage == "read") {
    bench.read(bench.share(0, 1));
  } else if (stage == "decode") {
    bench.decode(bench.share(0, 1));
  } else {
    const double read = bench.read(bench.share(0, 3));
    const double decode = interrupt.requested() ? 0 : bench.decode(bench.share(1, 3));
    const double load = interrupt.requested() ? 0 : bench.load(bench.share(2, 3));
    if (!interrupt.requested()) conclusion = compare(read, decode, load);
  }
  return bench.report(conclusion, json);
}

}  // namespace ringfeed::cli
