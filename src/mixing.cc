#include "ringfeed/mixing.h"

#include <sstream>
#include <string>

#include "ringfeed/error.h"

namespace ringfeed {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw OptionError("Mixing: " + what, {});  // Python has names of its own
}

void require_in(double value, double least, double most, const char* name) {
  if (value >= least && value <= most) return;  // false for NaN
  std::ostringstream text;
  text << name << " must be in [" << least << ", " << most << "], not " << value;
  require(false, text.str());
}

}  // namespace

void Mixing::validate() const {
  // Beyond these a draw of Beta is 0 or 1, or one half, but for its rounding.
  if (mixup_alpha != 0) require_in(mixup_alpha, 1e-6, 1e6, "mixup_alpha, where it is not 0,");
  if (cutmix_alpha != 0) require_in(cutmix_alpha, 1e-6, 1e6, "cutmix_alpha, where it is not 0,");
  require_in(prob, 0, 1, "prob");
  require_in(switch_prob, 0, 1, "switch_prob");
  require_in(label_smoothing, 0, 1, "label_smoothing");
  require(num_classes >= 0, "num_classes must not be negative; 0 takes the dataset's");
  if (cutmix_minmax) {
    const auto [least, most] = *cutmix_minmax;
    require_in(least, 0, 1, "cutmix_minmax[0]");
    require_in(most, least, 1, "cutmix_minmax[1]");
  }
  if (rule == Rule::timm) {
    require(mixup_alpha != 0 || cutmix_alpha != 0 || cutmix_minmax,
            "Rule::timm needs mixup_alpha, cutmix_alpha or cutmix_minmax; for smoothing alone use "
            "Rule::torchvision");
  } else {
    require(prob == 1 || mixup_alpha != 0 || cutmix_alpha != 0,
            "prob needs mixup_alpha or cutmix_alpha above 0");
    require(mode == Mode::batch && !cutmix_minmax && correct_lam,
            "mode, cutmix_minmax and correct_lam are timm's: set rule to Rule::timm");
  }
}

}  // namespace ringfeed
