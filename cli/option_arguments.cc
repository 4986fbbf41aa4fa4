#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "options.h"
#include "output.h"

namespace ringfeed::cli {
namespace {

/// A size, which may have a suffix, such as 64M.
void add_bytes(CLI::App& command, const char* name, std::uint64_t& bytes, const char* description) {
  command.add_option(name, bytes, description)
      ->type_name("BYTES")
      // CLI11's own help for this would list every suffix.
      ->transform(CLI::AsSizeValue(false).description(""))
      ->default_str(bytes == 0 ? "0" : human_bytes(static_cast<double>(bytes)));
}

template <class T, std::size_t n>
std::vector<std::string> names_of(const std::pair<std::string_view, T> (&values)[n]) {
  std::vector<std::string> names;
  for (const auto& [name, value] : values) names.emplace_back(name);
  return names;
}

}  // namespace

void DatasetFlags::add(CLI::App& command) {
  command.add_option("root", root, "Folder of class folders of images, as ImageFolder takes it")
      ->type_name("ROOT")
      ->required();
  auto* none = command.add_flag("--no-cache", no_cache,
                                "List the folder anew; neither read nor write a cache");
  command
      .add_flag(
          "--always-cache", always_cache,
          "Keep a listing where folder times do not tell that it is old (FUSE), and believe it "
          "until its file is removed")
      ->excludes(none);
  command
      .add_option("--cache-dir", cache_dir,
                  "Folder for listings (default: $RINGFEED_CACHE_DIR, else "
                  "$XDG_CACHE_HOME/ringfeed, else ~/.cache/ringfeed)")
      ->type_name("DIR");
  command.add_flag("--allow-empty", allow_empty, "Accept class folders without any image");
}

void TransformFlags::add(CLI::App& command) {
  command
      .add_option("--transform", transform,
                  "train: RandomResizedCrop(224) and flip; val: Resize(256) and CenterCrop(224)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"train", "val"}))
      ->capture_default_str();
  command.add_option("--interpolation", interpolation, "Pillow's filter of the resize")
      ->type_name("NAME")
      ->check(CLI::IsMember(names_of(interpolations)))
      ->capture_default_str();
  add_augment(command);
  command.add_option("--dtype", dtype, "float32, float16, bfloat16 (normalised) or uint8 (raw)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16", "uint8"}))
      ->capture_default_str();
  command.add_flag("--channels-last", channels_last, "Store batches [B, H, W, C]");
  command.add_option("--pillow", pillow, "Pillow version whose resize is reproduced: 12 or 13")
      ->type_name("N")
      ->check(CLI::IsMember({12, 13}))
      ->capture_default_str();
  add_views(command);
}

void TransformFlags::add_views(CLI::App& command) {
  command
      .add_option("--views", views,
                  "Times that the transform is applied to each image, which is decoded once")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, largest::views))
      ->capture_default_str();
}

void TransformFlags::add_augment(CLI::App& command) {
  CLI::Option* policy =
      command
          .add_option(
              "--augment", augment,
              "torchvision's AutoAugment (its policy imagenet, cifar10 or svhn), RandAugment or "
              "TrivialAugmentWide, after the flip")
          ->type_name("NAME")
          ->check(CLI::IsMember({"imagenet", "cifar10", "svhn", "randaugment", "trivialaugment"}));
  command
      .add_option("--augment-interpolation", augment_interpolation,
                  "How --augment rotates and shears")
      ->type_name("NAME")
      ->check(CLI::IsMember({"nearest", "bilinear", "bicubic"}))
      ->needs(policy)
      ->capture_default_str();
}

void LimitFlags::add(CLI::App& command) {
  command.add_flag("--load-truncated", load_truncated,
                   "Accept truncated images, as Pillow's LOAD_TRUNCATED_IMAGES does");
  command.add_option("--max-pixels", max_pixels, "An image of more pixels is an error")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, largest::max_pixels))
      ->capture_default_str();
  command
      .add_option("--max-scans", max_scans,
                  "A JPEG of more scans is an error; fewer are allowed above 1.6 megapixels")
      ->type_name("N")
      ->check(CLI::Range(1, largest::max_scans))
      ->capture_default_str();
  add_bytes(command, "--max-decoder-bytes", max_decoder_bytes,
            "An image whose decoding needs more is an error");
}

void ReaderFlags::add(CLI::App& command) {
  command
      .add_option("--reader", reader,
                  "auto: io_uring where allowed, else threads; ring and pool force one of them")
      ->type_name("NAME")
      ->check(CLI::IsMember(names_of(reader_kinds)))
      ->capture_default_str();
  command.add_option("--depth", depth, "Files in flight; 0: 320 x workers within [64, 1024]")
      ->type_name("N")
      ->check(CLI::Range(0, largest::depth))
      ->capture_default_str();
  add_bytes(
      command, "--read-ahead-bytes", read_ahead_bytes,
      "Encoded bytes read ahead, e.g. 64M or 1G; 0: 128 KiB x depth, without --depth no more than "
      "4 MiB a worker or 32 MiB, less where memory is short");
  add_bytes(command, "--max-file-bytes", max_file_bytes, "A larger file is an error");
}

void LoaderFlags::add(CLI::App& command) {
  command.add_option("--batch-size", batch_size, "Samples a batch")
      ->type_name("N")
      ->check(CLI::Range(1, largest::batch_size))
      ->capture_default_str();
  add_workers(command, workers);
  command
      .add_option("--prefetch-factor", prefetch_factor,
                  "Decoded batches ahead, in all; 0: 2, or 1 where memory is short")
      ->type_name("N")
      ->check(CLI::Range(0, largest::prefetch_factor))
      ->capture_default_str();
  add_seed(command, seed);
  command.add_option("--rank", rank, "This process's rank")
      ->type_name("R")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command.add_option("--world-size,--world", world_size, "Ranks that share the dataset")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--uneven", uneven,
                  "Where the ranks' shares differ: pad (repeat samples), drop (leave the tail "
                  "out), keep (unequal shares)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"pad", "drop", "keep"}))
      ->capture_default_str();
  command.add_flag("--no-shuffle", no_shuffle, "Keep the dataset's order");
  command.add_flag("--drop-last", drop_last, "Leave out a last batch that is not full");
  command.add_flag("--out-of-order", out_of_order, "Deliver whole batches as they complete");
  add_bytes(
      command, "--memory-limit", memory_limit,
      "Most bytes the loader may hold, e.g. 2G; 0: what the other options need, and what memory "
      "the container leaves is asked for");
  add_seconds(command, "--timeout", timeout, "Longest wait for a batch in seconds; 0: for ever");
  CLI::Option* policy =
      command
          .add_option(
              "--on-error", on_error,
              "A file that cannot be loaded: raise makes its batch an error, skip leaves the "
              "sample out, replace puts another in its place")
          ->type_name("NAME")
          ->check(CLI::IsMember({"raise", "skip", "replace"}))
          ->capture_default_str();
  command
      .add_option("--max-failures", max_failures,
                  "Files of an epoch that may fail, or below 1 their share; default: any number")
      ->type_name("N")
      ->check(CLI::Range(0.0, 1e18))
      ->needs(policy);
  command
      .add_option("--retries", retries,
                  "Times a file is opened again after EIO, ESTALE, EAGAIN, ETIMEDOUT or ENOTCONN, "
                  "50 ms later and then twice as long each time")
      ->type_name("N")
      ->check(CLI::Range(0, largest::retries))
      ->capture_default_str();
}

void add_seconds(CLI::App& command, const char* name, double& seconds, const char* description) {
  const auto check = [](const std::string& text) -> std::string {
    double value = 0;
    // CLI::Range would let NaN pass.
    if (CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1e6) return "";
    return "Value " + text + " not in range [0 - 1000000]";
  };
  command.add_option(name, seconds, description)
      ->type_name("S")
      ->check(check, "")
      ->capture_default_str();
}

void add_workers(CLI::App& command, int& workers) {
  command
      .add_option("--workers,--num-workers", workers,
                  "Decode threads; 0: the cores this process may run on")
      ->type_name("N")
      ->check(CLI::Range(0, largest::num_workers))
      ->capture_default_str();
}

std::string not_negative(const std::string& value) {
  // Unsigned options would take -1 for their largest value.
  return value.starts_with('-') ? "must not be negative" : "";
}

void add_seed(CLI::App& command, std::uint64_t& seed) {
  command.add_option("--seed", seed, "Decides the order and every random draw")
      ->type_name("N")
      ->check(not_negative)
      ->capture_default_str();
}

void add_json(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print one JSON document instead of text");
}

}  // namespace ringfeed::cli
