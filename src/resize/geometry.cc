#include "resize/geometry.h"

#include <variant>

namespace ringfeed::resize {
namespace {

struct HeadSize {
  Size operator()(const WholeImage&) const { return {}; }
  Size operator()(const auto& step) const { return {step.height, step.width}; }
};

}  // namespace

Size head_size(const TransformPlan& plan) noexcept { return std::visit(HeadSize{}, plan.geometry); }

}  // namespace ringfeed::resize
