#include <memory>

#include "checksum.h"
#include "commands.h"
#include "measure.h"
#include "options.h"
#include "output.h"

namespace ringfeed::cli {
namespace {

constexpr std::size_t most_named = 10;

Json failures_json(const LoadRun& run, const ImageFolder& dataset) {
  Json list = Json::array();
  for (const auto& [epoch, failures] : run.failures) {
    for (const Failure& failure : failures.first) {
      Json entry = to_json(failure.error);
      entry["epoch"] = epoch;
      entry["position"] = failure.position;
      entry["substitute"] = nullptr;
      if (failure.substitute) entry["substitute"] = dataset.path(*failure.substitute);
      list.push_back(std::move(entry));
    }
  }
  return list;
}

std::uint64_t failure_count(const LoadRun& run) {
  std::uint64_t count = 0;
  for (const EpochFailures& epoch : run.failures) count += epoch.failures.count;
  return count;
}

/// What was left out or replaced, on stderr.
void name_failures(const LoadRun& run, const ImageFolder& dataset) {
  std::size_t named = 0;
  for (const auto& [epoch, failures] : run.failures) {
    for (const Failure& failure : failures.first) {
      if (named++ == most_named) {
        complain("warning: " + std::to_string(failure_count(run)) +
                 " files failed in all; --json lists them");
        return;
      }
      const auto what = failure.substitute ? "replaced by " + dataset.path(*failure.substitute)
                                           : std::string("left out");
      complain("warning: " + what + " at position " + std::to_string(failure.position) +
               " of epoch " + std::to_string(epoch) + ": " + failure.error.message(flag_name));
    }
  }
}

Json report_json(const LoadRun& run, const ImageFolder& dataset, bool checksum,
                 std::size_t memory_bound) {
  const Stats& stats = run.stats;
  Json errors = Json::array();
  for (const Error& error : run.errors) errors.push_back(to_json(error));
  Json document{
      {"images", run.images},
      {"batches", run.batches},
      {"epochs", run.epochs},
      {"seconds", run.seconds},
      {"images_per_second", per_second(static_cast<double>(run.images), run.seconds)},
      {"cpu_seconds", run.cpu_seconds},
      {"first_batch_seconds", run.first_batch_seconds},
      {"checksum", nullptr},
      {"verdict", to_string(stats.verdict())},
      {"verdict_line", stats.verdict_line(flag_name)},
      {"reader", stats.reader},
      {"reader_note", stats.reader_note},
      {"entropy", stats.entropy},
      {"entropy_note", stats.entropy_note},
      {"pixels", stats.pixels},
      {"pixels_note", stats.pixels_note},
      {"workers", stats.workers},
      {"depth", stats.depth},
      {"memory_bound_bytes", memory_bound},
      {"starved_seconds", stats.starved_seconds},
      {"blocked_seconds", stats.blocked_seconds},
      {"unordered_seconds", stats.unordered_seconds},
      {"reserve_waits", stats.reserve_waits},
      {"reserve_seconds", stats.reserve_seconds},
      {"retries", stats.retries},
      {"skipped", stats.skipped},
      {"replaced", stats.replaced},
      {"failed", failure_count(run)},
      {"failures", failures_json(run, dataset)},
      {"stages",
       {{"read", to_json(stats.read)},
        {"decode", to_json(stats.decode)},
        {"deliver", to_json(stats.deliver)}}},
      {"interrupted", run.interrupted},
      {"errors", std::move(errors)},
  };
  if (checksum) document["checksum"] = format_checksum(run.checksum);
  return document;
}

std::string report_text(const LoadRun& run, bool checksum, std::size_t memory_bound) {
  const auto images = static_cast<double>(run.images);
  const Stats& stats = run.stats;
  Table figures;
  figures.row({"images", human_count(run.images)});
  figures.row({"seconds", fixed(run.seconds, 2)});
  figures.row({"images/s", fixed(per_second(images, run.seconds), 1)});
  figures.row({"first batch after", fixed(run.first_batch_seconds, 2) + " s"});
  figures.row({"CPU seconds", fixed(run.cpu_seconds, 2)});
  figures.row({"images/CPU second", fixed(per_second(images, run.cpu_seconds), 1)});
  figures.row({"workers", std::to_string(stats.workers)});
  figures.row({"decoders starved", fixed(stats.starved_seconds, 2) + " s"});
  figures.row({"decoders blocked", fixed(stats.blocked_seconds, 2) + " s"});
  figures.row({"files in flight, most", std::to_string(stats.depth)});
  if (stats.retries > 0) figures.row({"files opened again", human_count(stats.retries)});
  if (stats.skipped > 0) figures.row({"samples left out", human_count(stats.skipped)});
  if (stats.replaced > 0) figures.row({"samples replaced", human_count(stats.replaced)});
  figures.row({"memory bound", human_bytes(static_cast<double>(memory_bound))});
  if (checksum) figures.row({"checksum", format_checksum(run.checksum)});

  std::string text = figures.str() + "\n" + stage_table(stats).str() + "\nreader   " + stats.reader;
  if (!stats.reader_note.empty()) text += " (" + stats.reader_note + ")";
  text += "\nentropy  " + stats.entropy + " (" + stats.entropy_note + ")";
  text += "\npixels   " + stats.pixels + " (" + stats.pixels_note + ")";
  return text + "\nverdict  " + stats.verdict_line(flag_name) + "\n";
}

}  // namespace

int load(const LoadFlags& flags, bool json, Interrupt& interrupt) {
  const ImageFolder dataset = flags.dataset.open();
  Loader loader(dataset, flags.transform.plans(), flags.loader.options(flags.reader, flags.limits));
  LoadGoal goal;
  goal.epochs = flags.epochs;
  goal.max_batches = flags.max_batches;
  goal.checksum = !flags.no_checksum;
  goal.keep_going = flags.keep_going;
  goal.positions = dataset.size();

  const LoadRun run = run_loader(loader, goal, interrupt);
  if (flags.loader.on_error != "raise") name_failures(run, dataset);
  for (const Error& error : run.errors) complain(error.message(flag_name));
  if (run.interrupted) complain("interrupted; the figures are of what was loaded until then");
  if (json) {
    print_json(report_json(run, dataset, goal.checksum, loader.memory_bound()));
  } else {
    print_text(report_text(run, goal.checksum, loader.memory_bound()));
  }
  if (run.interrupted) return exit_interrupted;
  return run.errors.empty() ? exit_ok : exit_data;
}

}  // namespace ringfeed::cli
