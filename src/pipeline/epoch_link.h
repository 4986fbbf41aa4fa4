#pragma once

#include <cstdint>

#include "batch/channel.h"
#include "data/random.h"
#include "pipeline/sample_queue.h"
#include "pipeline/settings.h"

namespace ringfeed::pipeline {

/// What consumer and reader thread share of an epoch: samples go one way, batches the other. Held
/// by both, and by every sample that has not finished.
struct EpochLink {
  EpochLink(const Settings& settings, std::uint64_t epoch)
      : key(data::make_key(settings.seed, epoch)),
        channel(settings.prefetch_factor, settings.in_order) {}

  const data::Key key;
  SampleQueue queue;
  batch::Channel channel;
  bool superseded = false;  ///< another epoch of the loader has begun; consumer thread
};

}  // namespace ringfeed::pipeline
