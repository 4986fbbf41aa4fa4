#include <ATen/ScalarOps.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "torch/mixer.h"

namespace ringfeed {
namespace {

using augment::Mix;
using augment::MixKind;

/// More elements than these torch would share out to threads of its own. They wait by spinning, on
/// the cores that decode.
constexpr std::int64_t serial = 32767;

/// A float32 of such size has no bits below 1.
constexpr double whole_numbers = 0x1.8p23;

/// An image's memory, whatever its layout, in pieces that one thread of the CPU works on.
std::vector<at::Tensor> pieces_of(const at::Tensor& image) {
  const at::Tensor flat = image.as_strided({image.numel()}, {1});
  return image.is_cpu() ? flat.split(serial) : std::vector{flat};
}

at::Tensor copy_of(const at::Tensor& image) {
  at::Tensor copy = at::empty_like(image);
  const std::vector<at::Tensor> to = pieces_of(copy), from = pieces_of(image);
  for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
  return copy;
}

void blend(const at::Tensor& own, const at::Tensor& theirs, double lam) {
  if (own.scalar_type() == at::kByte) {
    const at::Tensor mixed = own.to(at::kFloat);
    blend(mixed, theirs.to(at::kFloat), lam);
    // Rounds to even. round_() would wake threads of torch's for more than 2,047 elements.
    own.copy_(mixed.add_(whole_numbers).sub_(whole_numbers));
    return;
  }
  // As tensors: mul(Scalar) would round the share to the images' dtype first.
  own.mul_(at::native::wrapped_scalar_tensor(lam));
  own.add_(theirs.mul(at::native::wrapped_scalar_tensor(1 - lam)));
}

at::Tensor part(const at::Tensor& images, const Box& box) {
  return images.narrow(-2, box.top, box.height).narrow(-1, box.left, box.width);
}

void copy_box(const at::Tensor& own, const at::Tensor& theirs, Box box) {
  const int end = box.top + box.height;
  if (own.is_cpu()) {
    box.height = static_cast<int>(std::max<std::int64_t>(1, serial / std::max(1, 3 * box.width)));
  }
  for (; box.top < end; box.top += box.height) {
    box.height = std::min(box.height, end - box.top);
    part(own, box).copy_(part(theirs, box));
  }
}

/// Two images of the same strides.
void mix_image(const at::Tensor& own, const at::Tensor& theirs, const Mix& mix) {
  if (mix.kind == MixKind::cutmix) copy_box(own, theirs, mix.box);
  if (mix.kind != MixKind::mixup) return;
  const std::vector<at::Tensor> mine = pieces_of(own), others = pieces_of(theirs);
  for (std::size_t i = 0; i < mine.size(); ++i) blend(mine[i], others[i], mix.lam);
}

}  // namespace

void mix_images(const at::Tensor& images, const MixDraw& draw) {
  const auto unmixed = [](const Mix& mix) { return mix.kind == MixKind::none; };
  if (std::ranges::all_of(draw.mixes, unmixed)) return;
  if (draw.mixes.size() > 1 || images.is_cpu()) {
    mix_each(images, draw);
  } else {
    mix_whole(images, draw);
  }
}

void mix_whole(const at::Tensor& images, const MixDraw& draw) {
  const Mix& mix = draw.mixes.front();
  const auto partners = [&](const at::Tensor& own) {
    return draw.mirrored ? own.flip(0) : own.roll(1, 0);
  };
  if (mix.kind == MixKind::mixup) blend(images, partners(images), mix.lam);
  if (mix.kind == MixKind::cutmix) {
    const at::Tensor box = part(images, mix.box);
    box.copy_(partners(box));
  }
}

void mix_each(const at::Tensor& images, const MixDraw& draw) {
  const std::int64_t last = images.size(0) - 1;
  const auto image = [&](std::int64_t i) { return images.select(0, i); };
  const auto mix_of = [&](std::int64_t i) -> const Mix& {
    return draw.mixes[draw.mixes.size() > 1 ? static_cast<std::size_t>(i) : 0];
  };
  // In place: what another still needs is copied before it changes.
  if (!draw.mirrored) {
    const at::Tensor end = copy_of(image(last));
    for (std::int64_t i = last; i > 0; --i) mix_image(image(i), image(i - 1), mix_of(i));
    mix_image(image(0), end, mix_of(0));
    return;
  }
  for (std::int64_t i = 0; i < last - i; ++i) {
    const at::Tensor before = copy_of(image(i));
    mix_image(image(i), image(last - i), mix_of(i));
    mix_image(image(last - i), before, mix_of(last - i));
  }
}

}  // namespace ringfeed
