#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "data/index.h"
#include "data/scan.h"
#include "ringfeed/dataset.h"

namespace ringfeed::data {

/// Where manifests are kept: options.cache_dir, else the environment's choice as ScanOptions says;
/// empty where neither says anything.
std::filesystem::path cache_directory(const ScanOptions& options);

/// The manifest's file in `cache` for a tree whose realpath is `real_root`.
std::filesystem::path manifest_file(const std::filesystem::path& cache,
                                    const std::string& real_root);

/// A listing rarely takes so long; a process that was stopped, or hangs, holds its lock for ever.
inline constexpr std::chrono::milliseconds lock_wait{120'000};

/// What ImageFolder::open does. Of the processes of a host one scans, the others wait up to
/// `longest_wait` and load what it wrote.
std::shared_ptr<const Index> open_index(const std::filesystem::path& root,
                                        const ScanOptions& options, Clock now,
                                        std::chrono::milliseconds longest_wait = lock_wait);

}  // namespace ringfeed::data
