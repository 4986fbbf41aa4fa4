#pragma once

#include <cstdint>
#include <vector>

#include "pipeline/settings.h"
#include "ringfeed/loader.h"

namespace ringfeed::pipeline {

/// Gives the samples that failed in an epoch their substitutes, or leaves them out, as its batches
/// came.
void follow(const Failures& failed, OnError on_error, std::vector<Draw>& draws);

/// Completes draws whose position and index are there, of each sample one for each of `plans`: the
/// beginnings of the files give the sizes of their images, and those the geometry. Throws as
/// Loader::draws().
void draw(const ImageFolder& dataset, const std::vector<TransformPlan>& plans,
          const Settings& settings, std::uint64_t epoch, std::vector<Draw>& draws);

}  // namespace ringfeed::pipeline
