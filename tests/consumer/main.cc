// A program of somebody else's: made from an installed ringfeed or with it as a Meson subproject
// (run.sh). Prints the version, how many images an epoch gave, and a checksum of their pixels.

#include <ringfeed/loader.h>
#include <ringfeed/version.h>

#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  const std::string headers = std::to_string(RINGFEED_VERSION_MAJOR) + "." +
                              std::to_string(RINGFEED_VERSION_MINOR) + "." +
                              std::to_string(RINGFEED_VERSION_PATCH);
  if (headers != ringfeed::version()) {
    std::cerr << "headers of " << headers << ", library of " << ringfeed::version() << "\n";
    return 1;
  }
  ringfeed::Loader loader(ringfeed::ImageFolder::open(argv[1], {.use_cache = false}),
                          ringfeed::TransformPlan::imagenet_train(),
                          {.batch_size = 16, .num_workers = 2});
  std::size_t images = 0;
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const ringfeed::Batch& batch : loader.epoch(0)) {
    images += batch.size();
    for (const std::byte byte : batch.pixels()) {
      hash = (hash ^ static_cast<std::uint8_t>(byte)) * 1099511628211u;
    }
  }
  std::cout << headers << " " << images << " " << hash << "\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
