#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "ringfeed/augmentation.h"
#include "ringfeed/interpolation.h"

namespace ringfeed {

enum class DType : std::uint8_t { float32, float16, bfloat16, uint8 };
/// Memory order of a batch: [B, C, H, W] contiguous, or the same shape stored [B, H, W, C]
/// (torch's channels_last).
enum class Layout : std::uint8_t { nchw, channels_last };
/// Whose resize is reproduced bit for bit. Pillow 13 runs the vertical pass first where
/// in_h - out_h > 0 and in_h - out_h > 2 * (in_w - out_w); earlier versions run the horizontal pass
/// first (12.2 and 12.3 all but for images over 100 times as high as wide, which before_13
/// follows). Each pass rounds to 8 bits, so the order shows in the pixels.
enum class PillowRule : std::uint8_t { before_13, from_13 };

std::size_t item_size(DType dtype) noexcept;
std::string_view to_string(DType dtype) noexcept;

/// torchvision.transforms.Resize, then CenterCrop(height, width);
/// an image smaller than the crop is padded with zeros as torchvision does.
struct ResizeCenterCrop {
  int resize = 256;  ///< the shorter side's new length; 0: see resize_height
  int height = 224;
  int width = 224;
  /// With resize = 0: stretched to exactly this size; both 0 leave the image as it is.
  int resize_height = 0, resize_width = 0;
  /// With resize > 0: where the longer side would become longer, it becomes this long; above
  /// resize.
  int max_size = 0;  ///< 0: as long as it likes
};

/// The same resize, then torchvision.transforms.RandomCrop(height, width); an image smaller than
/// the crop is an error.
struct ResizeRandomCrop {
  int resize = 256;
  int height = 224;
  int width = 224;
  int resize_height = 0, resize_width = 0;
  int max_size = 0;
};

/// The image as it is, decoded whole: the plan's augmentation gives it the output's size.
struct WholeImage {};

/// How 8-bit pixels become numbers.
struct Normalize {
  enum class Flavour : std::uint8_t {
    none,       ///< raw 0..255 (dtype uint8 requires it)
    to_tensor,  ///< v1: ToTensor (x / 255) then Normalize ((x - mean) / std), float32 each step
    to_dtype,   ///< v2: ToDtype(scale=True) (x * (1/255)) then Normalize
  };
  Flavour flavour = Flavour::to_tensor;
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f};
  std::array<float, 3> std{0.229f, 0.224f, 0.225f};
};

/// torchvision.transforms.RandomErasing and timm.data.random_erasing.RandomErasing: boxes of the
/// normalised tensor get other values. Each box has ten tries to be smaller than the image; one for
/// which they all fail is left out.
struct RandomErasing {
  enum class Fill : std::uint8_t {
    value,
    channel_noise,  ///< one standard normal number for each channel of a box
    noise,          ///< one for each channel and pixel
  };
  static constexpr int max_boxes = 64;

  double probability = 0.5;
  double scale_min = 0.02, scale_max = 0.33;  ///< of the image's area, divided by the box count
  double ratio_min = 0.3, ratio_max = 3.3;    ///< height to width
  std::array<float, 3> value{};               ///< what it becomes, for each channel
  Fill fill = Fill::value;
  int min_count = 1, max_count = 1;  ///< boxes; timm's
};

/// All the core knows of a transform: plain data, no callbacks.
///
/// @code
/// auto plan = ringfeed::TransformPlan::imagenet_train();
/// plan.geometry = ringfeed::RandomResizedCrop{.height = 160, .width = 160, .scale_min = 0.35};
/// plan.dtype = ringfeed::DType::bfloat16;
/// plan.validate();
/// std::cout << plan.sample_bytes() << "\n";  // 3 * 160 * 160 * 2
/// @endcode
struct TransformPlan {
  static constexpr int max_side = 8192;  ///< pixels of a resized or cropped image's sides

  std::variant<RandomResizedCrop, ResizeCenterCrop, ResizeRandomCrop, WholeImage> geometry =
      RandomResizedCrop{};
  Interpolation interpolation = Interpolation::bilinear;  ///< of the resize
  double hflip_probability = 0.5;                         ///< 0 disables; 0 with WholeImage
  bool hflip_first = false;  ///< the image is mirrored before the geometry, and not after it
  /// Then these, one after the other, on the 8-bit image, which must end up with one size.
  std::vector<Augmentation> augmentation{};
  Normalize normalize{};
  std::optional<RandomErasing> erasing{};  ///< of a float dtype
  DType dtype = DType::float32;  ///< float16 and bfloat16 round the float32 result to nearest even
  Layout layout = Layout::nchw;
  PillowRule pillow = PillowRule::from_13;

  /// Of the image behind the geometry and the augmentation; 0 where it has no one size.
  int out_height() const noexcept;
  int out_width() const noexcept;
  /// Bytes of one sample's [3, H, W] tensor.
  std::size_t sample_bytes() const noexcept;
  /// Throws std::invalid_argument naming the field that makes no sense.
  void validate() const;

  /// ImageNet's standard recipes.
  static TransformPlan imagenet_train();
  static TransformPlan imagenet_val();
};

/// What a decoder refuses, so that one file cannot take the machine down.
struct DecodeLimits {
  std::uint64_t max_pixels = 178'956'970;                  ///< Pillow's decompression bomb error
  std::size_t max_decoder_bytes = std::size_t{128} << 20;  ///< libjpeg's own memory
  /// Of an image that is whole in memory on its way, at 3 bytes a pixel; where a plan resizes such
  /// images or begins with the whole image, a loader keeps this some 6 times in reserve for each
  /// view.
  std::size_t max_canvas_bytes = std::size_t{128} << 20;
  /// Scans of a JPEG of at most 1.6 megapixels; fewer the larger it is, a tenth of them from 16 on.
  /// A quarter of these in arithmetic coding.
  int max_scans = 500;
  bool load_truncated = false;  ///< Pillow's ImageFile.LOAD_TRUNCATED_IMAGES

  bool operator==(const DecodeLimits&) const = default;
};

}  // namespace ringfeed
