#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ringfeed/dataset.h"
#include "ringfeed/loader.h"
#include "ringfeed/transform.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own name
class App;
}

namespace ringfeed::cli {

/// Options that several commands share, one struct a group: add() declares them on a command, the
/// other members turn what was given into the library's terms once parsing is over.

struct DatasetFlags {
  std::string root;
  bool no_cache = false;
  bool always_cache = false;
  std::string cache_dir;
  bool allow_empty = false;
  int threads = 0;  ///< only `scan` has an option for it

  void add(CLI::App& command);
  /// Scans; warnings go to stderr. Throws LoadError.
  ImageFolder open() const;
};

struct TransformFlags {
  std::string transform = "train";
  std::string interpolation = "bilinear";
  std::string augment;
  std::string augment_interpolation = "nearest";
  std::string dtype = "float32";
  bool channels_last = false;
  int pillow = 13;
  int views = 1;

  void add(CLI::App& command);
  void add_augment(CLI::App& command);  ///< in add() too
  void add_views(CLI::App& command);    ///< in add() too
  TransformPlan plan() const;           ///< of one view
  std::vector<TransformPlan> plans() const {
    return std::vector(static_cast<std::size_t>(views), plan());
  }
};

/// What an image may ask for before it is an error.
struct LimitFlags {
  bool load_truncated = false;
  std::uint64_t max_pixels = DecodeLimits{}.max_pixels;
  std::uint64_t max_decoder_bytes = DecodeLimits{}.max_decoder_bytes;
  int max_scans = DecodeLimits{}.max_scans;

  void add(CLI::App& command);
  DecodeLimits decode() const;
};

struct ReaderFlags {
  std::string reader = "auto";
  int depth = 0;
  std::uint64_t read_ahead_bytes = 0;
  std::uint64_t max_file_bytes = LoaderOptions{}.max_file_bytes;

  void add(CLI::App& command);
};

/// What only a whole loader takes.
struct LoaderFlags {
  int batch_size = 256;
  int workers = 0;
  int prefetch_factor = 0;
  std::uint64_t seed = 0;
  int rank = 0;
  int world_size = 1;
  std::string uneven = "pad";
  bool no_shuffle = false;
  bool drop_last = false;
  bool out_of_order = false;
  std::uint64_t memory_limit = 0;
  double timeout = 0;
  std::string on_error = "raise";
  double max_failures = -1;  ///< any number
  int retries = 0;

  void add(CLI::App& command);
  LoaderOptions options(const ReaderFlags& reader, const LimitFlags& limits) const;
};

/// At most 1e6, and 0 means no limit.
void add_seconds(CLI::App& command, const char* name, double& seconds, const char* description);
void add_workers(CLI::App& command, int& workers);
/// A check for options of unsigned type.
std::string not_negative(const std::string& value);
void add_seed(CLI::App& command, std::uint64_t& seed);
void add_json(CLI::App& command, bool& json);

}  // namespace ringfeed::cli
