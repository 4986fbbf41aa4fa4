#include <optional>
#include <string>
#include <vector>

#include "base/printable.h"
#include "checksum.h"
#include "commands.h"
#include "data/other_formats.h"
#include "options.h"
#include "output.h"

namespace ringfeed::cli {
namespace {

void print_report(const ImageFolder& dataset) {
  const ScanReport& report = dataset.report();
  Table table;
  table.row({"images", human_count(dataset.size())});
  table.row({"classes", human_count(dataset.classes().size())});
  table.row({"seconds", fixed(report.seconds, 3)});
  table.row({"folders listed", human_count(report.directories_listed)});
  table.row({"from cache", report.from_cache ? "yes" : "no"});
  table.row({"fingerprint", format_checksum(dataset.fingerprint())});
  table.row({"memory", human_bytes(static_cast<double>(dataset.memory_bytes()))});
  print_text(table.str());
}

/// How many files torchvision would list and decode, and ringfeed lists and does not decode.
std::optional<std::string> undecodable(const ImageFolder& dataset) {
  const data::OtherFormats formats = data::other_formats(dataset.index());
  if (formats.counts.empty()) return std::nullopt;
  std::size_t all = 0;
  for (const auto& [ending, count] : formats.counts) all += count;
  return std::to_string(all) + " listed files are named as no JPEG or PNG (" + formats.text() +
         "); what is neither fails to decode: convert or remove it";
}

/// Where nothing tells that a kept listing is old.
std::optional<std::string> doubt(const ScanReport& report) {
  if (report.times_tell_nothing.empty()) return std::nullopt;
  std::string text = report.times_tell_nothing + ": nothing tells when a listing is old, ";
  if (report.manifest.empty()) {
    return text + "so that every start lists the folder; --always-cache keeps the listing";
  }
  return text + "and " + report.manifest.string() + " is believed until you remove it";
}

Json report_json(const ImageFolder& dataset, const std::vector<std::string>& warnings) {
  const ScanReport& report = dataset.report();
  return {{"root", dataset.root()},
          {"entries", dataset.size()},
          {"classes", std::vector(dataset.classes().begin(), dataset.classes().end())},
          {"seconds", report.seconds},
          {"directories_listed", report.directories_listed},
          {"from_cache", report.from_cache},
          {"fingerprint", format_checksum(dataset.fingerprint())},
          {"memory_bytes", dataset.memory_bytes()},
          {"times_tell_nothing", report.times_tell_nothing},
          {"manifest", report.manifest.string()},
          {"warnings", warnings}};
}

}  // namespace

int scan(const ScanFlags& flags, bool json) {
  const ImageFolder dataset = flags.dataset.open();
  std::vector<std::string> warnings = dataset.report().warnings;
  const auto doubted = flags.dataset.no_cache ? std::nullopt : doubt(dataset.report());
  for (const auto& warning : {undecodable(dataset), doubted}) {
    if (!warning) continue;
    complain("warning: " + *warning);
    warnings.push_back(*warning);
  }
  if (json) {
    Json document = report_json(dataset, warnings);
    if (flags.samples) {
      Json& samples = document["samples"] = Json::array();
      for (std::size_t i = 0; i < dataset.size(); ++i) {
        samples.push_back({dataset.path(i), dataset.label(i)});
      }
    }
    print_json(document);
    return exit_ok;
  }
  print_report(dataset);
  if (flags.samples) {
    for (std::size_t i = 0; i < dataset.size(); ++i) {
      print_text(std::to_string(dataset.label(i)) + "\t" + printable(dataset.path(i)) + "\n");
    }
  }
  return exit_ok;
}

}  // namespace ringfeed::cli
