#pragma once

#include <string_view>

namespace ringfeed::data {

/// Python's `<` on file names: by code point, each byte that is not UTF-8 counting as the
/// surrogate U+DC00 + byte that os.fsdecode makes of it. torchvision sorts with it, and an order
/// by bytes puts such names elsewhere.
bool python_less(std::string_view a, std::string_view b) noexcept;

/// torchvision.datasets.folder.IMG_EXTENSIONS, in any case.
bool has_image_extension(std::string_view name) noexcept;

}  // namespace ringfeed::data
