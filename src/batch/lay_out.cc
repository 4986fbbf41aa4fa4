#include "batch/lay_out.h"

namespace ringfeed::batch {

std::vector<BatchView> lay_out(const std::vector<TransformPlan>& plans, std::size_t size) {
  constexpr std::size_t alignment = 64;
  std::vector<BatchView> views;
  views.reserve(plans.size());
  std::size_t end = 0;
  for (const TransformPlan& plan : plans) {
    const std::size_t offset = (end + alignment - 1) / alignment * alignment;
    views.push_back({plan.out_height(), plan.out_width(), plan.dtype, plan.layout, offset});
    end = offset + size * plan.sample_bytes();
  }
  return views;
}

std::size_t bytes_of(const std::vector<BatchView>& views, std::size_t size) noexcept {
  return views.back().offset + size * views.back().sample_bytes();
}

}  // namespace ringfeed::batch
