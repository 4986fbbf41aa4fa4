#include "draw_array.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <variant>

#include "convert.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

#pragma pack(push, 1)
/// A Draw as NumPy lays out its fields.
struct DrawRow {
  std::uint64_t position;
  std::uint32_t index;
  std::int32_t top, left, height, width;
  bool hflip;
};
/// One of its operations.
struct OperationRow {
  std::array<char32_t, 16> kind;
  std::uint8_t interpolation;  // Pillow's number
  std::array<std::uint8_t, 3> fill;
  std::array<double, Operation::max_values> values;
};
#pragma pack(pop)

std::uint8_t pillow_number(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::nearest: return 0;
    case Interpolation::lanczos: return 1;
    case Interpolation::bilinear: return 2;
    case Interpolation::bicubic: return 3;
    case Interpolation::box: return 4;
    case Interpolation::hamming: return 5;
  }
  return 0;
}

/// The field `operations`, which rows of a plan with an augmentation have: as many as a sample can
/// get, those behind a sample's last with an empty kind.
nb::tuple operations_field(std::size_t count) {
  nb::list fields;
  fields.append(nb::make_tuple("kind", "U16"));
  fields.append(nb::make_tuple("interpolation", "u1"));
  fields.append(nb::make_tuple("fill", "u1", nb::make_tuple(3)));
  fields.append(nb::make_tuple("values", "f8", nb::make_tuple(Operation::max_values)));
  return nb::make_tuple("operations", fields, nb::make_tuple(count));
}

OperationRow operation_row(const Operation& operation) {
  OperationRow row{};
  std::ranges::copy(to_string(operation.kind), row.kind.begin());
  row.interpolation = pillow_number(operation.interpolation);
  row.fill = operation.fill;
  row.values = operation.values;
  return row;
}

}  // namespace

nb::object draw_array(const std::vector<Draw>& draws, const std::vector<TransformPlan>& plans) {
  std::size_t operations = 0, boxes = 0;
  bool noise = false, draws_filter = false;
  for (const TransformPlan& plan : plans) {
    const auto* crop = std::get_if<RandomResizedCrop>(&plan.geometry);
    draws_filter |= crop != nullptr && crop->interpolations.size() > 1;
    operations = std::max(operations, max_operations(plan.augmentation));
    if (!plan.erasing) continue;
    boxes = std::max(boxes, static_cast<std::size_t>(plan.erasing->max_count));
    noise |= plan.erasing->fill != RandomErasing::Fill::value;
  }
  nb::list fields;
  for (const auto& [name, format] : {std::pair{"position", "u8"},
                                     {"index", "u4"},
                                     {"top", "i4"},
                                     {"left", "i4"},
                                     {"height", "i4"},
                                     {"width", "i4"},
                                     {"hflip", "?"}}) {
    fields.append(nb::make_tuple(name, format));
  }
  if (draws_filter) fields.append(nb::make_tuple("interpolation", "u1"));
  if (operations > 0) fields.append(operations_field(operations));
  if (boxes > 0) fields.append(nb::make_tuple("erased", "i4", nb::make_tuple(boxes, 4)));
  if (noise) fields.append(nb::make_tuple("noise_key", "u8"));
  nb::object array = empty_array(draws.size(), fields);
  std::byte* at = draws.empty() ? nullptr : array_bytes(array).data();
  for (const Draw& draw : draws) {
    const DrawRow row{draw.position, draw.index, draw.top,  draw.left,
                      draw.height,   draw.width, draw.hflip};
    std::memcpy(at, &row, sizeof row);
    at += sizeof row;
    if (draws_filter) *at++ = std::byte{pillow_number(draw.interpolation)};
    for (std::size_t i = 0; i < operations; ++i, at += sizeof(OperationRow)) {
      const bool has = i < draw.operations.size();
      const OperationRow operation = has ? operation_row(draw.operations[i]) : OperationRow{};
      std::memcpy(at, &operation, sizeof operation);
    }
    for (std::size_t i = 0; i < boxes; ++i) {
      const Box box = i < draw.erased.size() ? draw.erased[i] : Box{};
      const std::array<std::int32_t, 4> numbers{box.top, box.left, box.height, box.width};
      std::memcpy(at, numbers.data(), sizeof numbers);
      at += sizeof numbers;
    }
    if (noise) {
      std::memcpy(at, &draw.noise_key, sizeof draw.noise_key);
      at += sizeof draw.noise_key;
    }
  }
  return array;
}

}  // namespace ringfeed::python
