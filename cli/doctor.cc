#include "doctor.h"

#include <hwy/targets.h>
#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "commands.h"
#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/pixels/backend.h"
#include "options.h"
#include "output.h"

#define RINGFEED_STRING_OF(x) #x
#define RINGFEED_STRING(x) RINGFEED_STRING_OF(x)

namespace ringfeed::cli {
namespace {

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::ok: return "ok";
    case Severity::note: return "note";
    case Severity::warn: return "warn";
  }
  return "unknown";
}

Finding check_jpeg() {
  Finding finding{"libjpeg-turbo", Severity::ok, RINGFEED_STRING(LIBJPEG_TURBO_VERSION), ""};
  // Their smoothing of what is missing was corrected in 3.0.1, and lossless JPEG came with 3.0.
  if (LIBJPEG_TURBO_VERSION_NUMBER < 3000001) {
    finding.severity = Severity::note;
    finding.advice =
        "progressive files that lack scans come out by up to 27 levels otherwise than by the one "
        "that Pillow has (3.0.1 or later), and lossless JPEG is refused: build against a later one";
  }
  return finding;
}

Finding check_entropy() {
  Finding finding{"JPEG entropy decoder", Severity::ok, "", ""};
  try {
    const decode::EntropyChoice& choice = decode::entropy_choice();
    finding.value = std::string(to_string(choice.backend)) + ": " + choice.why;
    if (choice.backend == decode::EntropyBackend::libjpeg) {
      finding.severity = Severity::warn;
      finding.advice =
          "JPEG files take longer than with ringfeed's own decoder: unset RINGFEED_ENTROPY if it "
          "is "
          "set, else build ringfeed against the libjpeg-turbo that is loaded";
    }
  } catch (const std::invalid_argument& error) {
    finding = {finding.subject, Severity::warn, error.what(),
               "set it right or unset it: ringfeed refuses it everywhere"};
  }
  return finding;
}

Finding check_pixels() {
  Finding finding{"JPEG pixels", Severity::ok, "", ""};
  try {
    const decode::PixelChoice& choice = decode::pixel_choice();
    finding.value = std::string(to_string(choice.backend)) + ": " + choice.why;
    if (choice.backend == decode::PixelBackend::libjpeg) {
      finding.severity = Severity::warn;
      finding.advice =
          "JPEG files take longer than with ringfeed's own pixels: unset RINGFEED_PIXELS and "
          "RINGFEED_ENTROPY if they are set, else build ringfeed against the libjpeg-turbo that is "
          "loaded";
    }
  } catch (const std::invalid_argument& error) {
    finding = {finding.subject, Severity::warn, error.what(),
               "set it right or unset it: ringfeed refuses it everywhere"};
  }
  return finding;
}

}  // namespace

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

Findings check_build() {
  std::string targets;
  for (std::int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    targets += (targets.empty() ? "" : " ") + std::string(hwy::TargetName(left & -left));
  }
  Findings findings{{"CPU targets", Severity::ok, targets, ""}};
  if ((hwy::SupportedTargets() & (HWY_AVX2 | (HWY_AVX2 - 1))) == 0) {
    findings[0].severity = Severity::note;
    findings[0].advice = "no AVX2 here: resizing runs at a fraction of the usual speed";
  }
  findings.push_back(check_jpeg());
  findings.push_back(check_entropy());
  findings.push_back(check_pixels());
  findings.push_back({"libpng", Severity::ok, PNG_LIBPNG_VER_STRING, ""});
  return findings;
}

int doctor(const std::string& path, bool json) {
  Findings findings = check_kernel();
  const auto append = [&findings](Findings more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  append(check_limits());
  append(check_memory(pipeline::memory_room()));
  append(check_build());
  append(check_path(path));

  if (json) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
      list.push_back({{"subject", finding.subject},
                      {"severity", to_string(finding.severity)},
                      {"value", finding.value},
                      {"advice", finding.advice}});
    }
    print_json({{"path", path}, {"findings", std::move(list)}});
    return exit_ok;
  }
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.subject.size());
  for (const Finding& finding : findings) {
    std::string severity = to_string(finding.severity);
    severity.resize(6, ' ');
    std::string subject = finding.subject;
    subject.resize(width + 2, ' ');
    print_text(severity + subject + one_line(finding.value) + "\n");
    if (!finding.advice.empty()) {
      print_text(std::string(severity.size(), ' ') + "-> " + one_line(finding.advice) + "\n");
    }
  }
  return exit_ok;
}

}  // namespace ringfeed::cli
