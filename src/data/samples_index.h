#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "data/index.h"

namespace ringfeed::data {

/// What ImageFolder::from_samples does.
std::shared_ptr<const Index> samples_index(const std::string& root,
                                           std::span<const std::string> classes,
                                           std::span<const std::string> paths,
                                           std::span<const std::int64_t> labels);

}  // namespace ringfeed::data
