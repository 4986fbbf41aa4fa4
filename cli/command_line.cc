#include "command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands.h"
#include "output.h"
#include "ringfeed/version.h"

namespace ringfeed::cli {
namespace {

void add_scan(CLI::App& app, Chosen& chosen) {
  auto flags = std::make_shared<ScanFlags>();
  CLI::App* command = app.add_subcommand("scan", "List a dataset, or load its cached listing");
  flags->dataset.add(*command);
  command->add_option("--threads", flags->dataset.threads, "Folders listed at once; 0: 16")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--samples", flags->samples, "Also print every sample's label and path");
  add_json(*command, chosen.json);
  command->callback([flags, &chosen] {
    chosen.run = [flags, &chosen](Interrupt&) { return scan(*flags, chosen.json); };
  });
}

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

void add_stage(CLI::App& parent, const std::string& stage, const char* description,
               const std::shared_ptr<BenchFlags>& flags, Chosen& chosen) {
  CLI::App* command = parent.add_subcommand(stage, description);
  flags->dataset.add(*command);
  add_seconds(*command, "--seconds", flags->goal.seconds, "Longest time a stage; 0: no limit");
  command->add_option("--images", flags->goal.images, "Most images a stage; 0: no limit")
      ->type_name("N")
      ->capture_default_str();
  add_workers(*command, flags->loader.workers);
  add_seed(*command, flags->loader.seed);
  flags->reader.add(*command);
  if (stage != "read") {
    flags->transform.add(*command);
    flags->limits.add(*command);
  }
  add_json(*command, chosen.json);
  command->callback([stage, flags, &chosen] {
    if (stage == "decode" && flags->goal.seconds == 0 && flags->goal.images == 0) {
      throw CLI::ValidationError("--seconds", "decode repeats itself: limit --seconds or --images");
    }
    chosen.run = [stage, flags, &chosen](Interrupt& interrupt) {
      return bench(stage, *flags, chosen.json, interrupt);
    };
  });
}

void add_bench(CLI::App& app, Chosen& chosen) {
  CLI::App* command = app.add_subcommand("bench", "Time the stages apart: which one is short?");
  command->require_subcommand(1);
  auto flags = std::make_shared<BenchFlags>();
  add_stage(*command, "read", "The storage alone, nothing decoded", flags, chosen);
  add_stage(*command, "decode", "The decoders alone, on files held in memory (256 MiB at most)",
            flags, chosen);
  add_stage(*command, "load", "Both stages, then the whole loader, on a third of the files each",
            flags, chosen);
}

void add_doctor(CLI::App& app, Chosen& chosen) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "doctor", "What this machine and this file system can do, and what to do about it");
  command->add_option("path", *path, "A dataset, or one of its files")
      ->type_name("PATH")
      ->required();
  add_json(*command, chosen.json);
  command->callback([path, &chosen] {
    chosen.run = [path, &chosen](Interrupt&) { return doctor(*path, chosen.json); };
  });
}

void add_preview(CLI::App& app, Chosen& chosen) {
  auto flags = std::make_shared<PreviewFlags>();
  CLI::App* command =
      app.add_subcommand("preview", "Write what a training batch looks like as one picture");
  flags->dataset.add(*command);
  command->add_option("-o,--output", flags->output, "The PNG to write")
      ->type_name("FILE")
      ->required();
  command->add_option("--transform", flags->transform.transform, "train or val, as in `load`")
      ->type_name("NAME")
      ->check(CLI::IsMember({"train", "val"}))
      ->capture_default_str();
  flags->transform.add_augment(*command);
  flags->transform.add_views(*command);
  add_seed(*command, flags->seed);
  command->add_option("--epoch", flags->epoch, "Whose first batch is shown")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--count", flags->count, "Samples on the sheet")
      ->type_name("N")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--columns", flags->columns, "Samples a row; 0: as square as can be")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  add_workers(*command, flags->workers);
  flags->limits.add(*command);
  flags->reader.add(*command);
  add_json(*command, chosen.json);
  command->callback([flags, &chosen] {
    chosen.run = [flags, &chosen](Interrupt& interrupt) {
      return preview(*flags, chosen.json, interrupt);
    };
  });
}

/// How many characters must be added, removed or replaced to make `b` of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j + 1] + 1, row[j] + 1});
    }
  }
  return row.back();
}

/// "; did you mean …?", or nothing where none of `known` is near.
std::string closest_to(const std::string& name, const std::vector<std::string>& known) {
  std::string closest;
  std::size_t least = 3;  // more typing errors than that are another word
  for (const std::string& other : known) {
    const std::size_t distance = edit_distance(name, other);
    if (distance < least) least = distance, closest = other;
  }
  return closest.empty() ? "" : "; did you mean " + closest + "?";
}

/// What is wrong with arguments that `command` does not know; nothing where all are values.
std::optional<std::string> unknown_flag(const CLI::App& command) {
  const std::vector<std::string> unknown = command.remaining();
  const auto flag = std::ranges::find_if(
      unknown, [](const std::string& argument) { return argument.starts_with('-'); });
  if (flag == unknown.end()) return std::nullopt;
  const std::string name = flag->substr(0, flag->find('='));
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& of : option->get_lnames()) known.push_back("--" + of);
  }
  return "there is no option " + name + closest_to(name, known);
}

/// What is wrong where a command of `command`'s is wanted and none is named.
std::optional<std::string> missing_command(const CLI::App& command) {
  if (command.get_require_subcommand_min() == 0 || !command.get_subcommands().empty()) {
    return std::nullopt;
  }
  std::vector<std::string> known;
  std::string names;
  for (const CLI::App* of : command.get_subcommands({})) {
    known.push_back(of->get_name());
    names += (names.empty() ? "" : ", ") + of->get_name();
  }
  const std::vector<std::string> unknown = command.remaining();
  if (unknown.empty()) return "name a command: " + names;
  // Options behind a name would have been that command's.
  if (unknown.front().starts_with('-') && unknown.front() != "--json") return std::nullopt;
  const auto named = std::ranges::find_if(
      unknown, [](const std::string& argument) { return !argument.starts_with('-'); });
  if (named == unknown.end()) return "name a command: " + names;
  return "there is no command " + *named + closest_to(*named, known);
}

/// The innermost command that was named.
const CLI::App& used_command(const CLI::App& app) {
  const CLI::App* used = &app;
  while (!used->get_subcommands().empty()) used = used->get_subcommands().front();
  return *used;
}

std::string what_is_wrong(const CLI::App& app, const CLI::Error& error) {
  const CLI::App& used = used_command(app);
  auto known = missing_command(used);
  if (!known) known = unknown_flag(used);
  return known ? *known : error.what();
}

/// One line.
std::string usage_failure(const CLI::App* app, const CLI::Error& error) {
  const CLI::App& used = used_command(*app);
  std::string name = used.get_name();
  for (auto* parent = used.get_parent(); parent != nullptr; parent = parent->get_parent()) {
    name.insert(0, parent->get_name() + " ");
  }
  return "ringfeed: " + one_line(what_is_wrong(*app, error)) + " (see " + name + " --help)\n";
}

}  // namespace

void add_commands(CLI::App& app, Chosen& chosen) {
  add_scan(app, chosen);
  add_load(app, chosen);
  add_bench(app, chosen);
  add_doctor(app, chosen);
  add_preview(app, chosen);
}

std::optional<int> parse(int argc, char** argv, Chosen& chosen) {
  CLI::App app{"Feeds image-classification training from a plain ImageFolder.", "ringfeed"};
  app.set_version_flag("--version", "ringfeed " + std::string(version()));
  app.failure_message(usage_failure);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 1 files or machine at fault, 2 command line at fault, 130 interrupted.");
  add_commands(app, chosen);
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return exit_ok;
    // Parsing may have ended before it came to --json.
    const bool json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    if (json) print_json({{"errors", Json::array({setup_error(what_is_wrong(app, error))})}});
    return exit_usage;
  }
}

}  // namespace ringfeed::cli
