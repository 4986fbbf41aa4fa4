#include <memory>

#include "checksum.h"
#include "commands.h"
#include "measure.h"
#include "options.h"
#include "output.h"

namespace ringfeed::cli {
namespace {

struct LoadFlags {
  DatasetFlags dataset;
  TransformFlags transform;
  ReaderFlags reader;
  LimitFlags limits;
  LoaderFlags loader;
  std::uint64_t epochs = 1;
  std::uint64_t max_batches = 0;
  bool no_checksum = false;
  bool keep_going = false;
};

Json report_json(const LoadRun& run, bool checksum, std::size_t memory_bound) {
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
      {"workers", stats.workers},
      {"depth", stats.depth},
      {"memory_bound_bytes", memory_bound},
      {"starved_seconds", stats.starved_seconds},
      {"blocked_seconds", stats.blocked_seconds},
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
  figures.row({"memory bound", human_bytes(static_cast<double>(memory_bound))});
  if (checksum) figures.row({"checksum", format_checksum(run.checksum)});

  std::string text = figures.str() + "\n" + stage_table(stats).str() + "\nreader   " + stats.reader;
  if (!stats.reader_note.empty()) text += " (" + stats.reader_note + ")";
  return text + "\nverdict  " + stats.verdict_line(flag_name) + "\n";
}

int load(const LoadFlags& flags, bool json, Interrupt& interrupt) {
  const ImageFolder dataset = flags.dataset.open();
  Loader loader(dataset, flags.transform.plan(), flags.loader.options(flags.reader, flags.limits));
  LoadGoal goal;
  goal.epochs = flags.epochs;
  goal.max_batches = flags.max_batches;
  goal.checksum = !flags.no_checksum;
  goal.keep_going = flags.keep_going;
  goal.positions = dataset.size();

  const LoadRun run = run_loader(loader, goal, interrupt);
  for (const Error& error : run.errors) complain(error.message(flag_name));
  if (run.interrupted) complain("interrupted; the figures are of what was loaded until then");
  if (json) {
    print_json(report_json(run, goal.checksum, loader.memory_bound()));
  } else {
    print_text(report_text(run, goal.checksum, loader.memory_bound()));
  }
  if (run.interrupted) return exit_interrupted;
  return run.errors.empty() ? exit_ok : exit_data;
}

}  // namespace

void add_load(CLI::App& app, Chosen& chosen) {
  auto flags = std::make_shared<LoadFlags>();
  CLI::App* command = app.add_subcommand(
      "load", "Load epochs as training would; print speed, limits and a checksum");
  flags->dataset.add(*command);
  command->add_option("--epochs", flags->epochs, "Epochs to load, from epoch 0")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--max-batches", flags->max_batches, "Stop after N batches; 0: never")
      ->type_name("N")
      ->check(not_negative)
      ->capture_default_str();
  flags->loader.add(*command);
  flags->transform.add(*command);
  flags->limits.add(*command);
  flags->reader.add(*command);
  command->add_flag("--no-checksum", flags->no_checksum,
                    "Leave the tensors unread; the checksum costs CPU time");
  command->add_flag("--keep-going", flags->keep_going,
                    "Go on without batches that have a failed sample, and name the first of each; "
                    "with --batch-size 1 that is every bad file");
  add_json(*command, chosen.json);
  command->callback([flags, &chosen] {
    chosen.run = [flags, &chosen](Interrupt& interrupt) {
      return load(*flags, chosen.json, interrupt);
    };
  });
}

}  // namespace ringfeed::cli
