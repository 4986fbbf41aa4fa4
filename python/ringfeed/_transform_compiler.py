"""The steps of a transform, one after the other, made into the plan that the core carries out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal, NoReturn

import numpy as np
import torch

from . import _ringfeed
from ._augmentation_compiler import HANDLERS as AUGMENTATIONS
from ._augmentation_compiler import Augmentations
from ._erasing import Erasing, erasing_of, timm_erasing_of
from ._head import head_of
from ._transform_steps import ELSEWHERE, LONGEST_SIDE, TIMM_ERASING, TIMM_TO_TENSOR, Step
from ._views import Views
from .errors import UnsupportedTransform

_Flavour = Literal["none", "to_tensor", "to_dtype"]
_DTYPES: dict[torch.dtype, Literal["float32", "float16", "bfloat16", "uint8"]] = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.uint8: "uint8",
}
_HALVES = (torch.float16, torch.bfloat16)

Gives = Literal["tensor", "tv_tensor", "array", "image"]
"""What a transform makes of an image: a tensor, one of torchvision's type Image, a NumPy array, or
a PIL image."""


class Compiler:
    """Takes the steps in their order and keeps what an image has become so far."""

    def __init__(self) -> None:
        self.on_images: list[Step] = []  # the steps that change the PIL image
        self.tensor: str | None = None  # the step that made a tensor of the PIL image
        self.tv_tensor = False  # that tensor is a tv_tensors.Image
        self.dtype = torch.uint8
        self.flavour: _Flavour = "none"
        self.mean_std: tuple[list[float], list[float]] | None = None
        self.erasing: Erasing | None = None
        self.of_default_dtype = ""  # the step that gives torch's default dtype

    def add(self, step: Step) -> None:
        if self.tensor == "ToNumpy":
            step.refuse("ToNumpy makes an array and comes last: use MaybePILToTensor in its place")
        if step.kind is None:
            if isinstance(step.transform, Views):
                step.refuse("views come last: put the steps around it into each view's transform")
            step.refuse_unknown()
        self.HANDLERS[step.kind](self, step)

    def _nothing(self, step: Step) -> None:
        """For images that are RGB, and values that stay as they are."""

    def _to_rgb(self, step: Step) -> None:
        if self.tensor is not None:
            step.refuse(f"it converts PIL images, and comes after {self.tensor}")

    def _to_pure_tensor(self, step: Step) -> None:
        self.tv_tensor = False

    def _on_image(self, step: Step) -> None:
        if self.tensor is not None and step.kind == "RandomHorizontalFlip":
            step.refuse(f"it comes after {self.tensor}: move it before, the values are the same")
        if self.tensor is not None:
            step.refuse(
                f"it comes after {self.tensor}, and torchvision computes otherwise on a tensor "
                f"than on a PIL image: move it before {self.tensor}"
            )
        self.on_images.append(step)

    def _several_crops(self, step: Step) -> None:
        step.not_native(
            "it makes several images of one in one step: use CenterCrop or RandomCrop, or "
            "ringfeed.transforms.Views with a transform for each image"
        )

    def _make_tensor(self, step: Step) -> None:
        if self.tensor is not None:
            step.refuse(f"{self.tensor} has made a tensor already: leave this one out")
        assert step.kind is not None
        self.tensor = step.kind

    def _to_tensor(self, step: Step) -> None:
        self._make_tensor(step)
        self.of_default_dtype = str(step)
        self.dtype, self.flavour = torch.float32, "to_tensor"

    def _pil_to_tensor(self, step: Step) -> None:
        self._make_tensor(step)

    def _to_unscaled_tensor(self, step: Step) -> None:
        self._make_tensor(step)
        if step.transform.dtype != torch.uint8:
            step.refuse(
                f"it gives {step.transform.dtype} of 0 to 255, and ringfeed scales what it "
                "converts: use torchvision's ToTensor, or torch.uint8 here"
            )

    def _maybe_to_tensor(self, step: Step) -> None:
        if self.tensor is None:
            self._to_tensor(step)

    def _maybe_pil_to_tensor(self, step: Step) -> None:
        if self.tensor is None:
            self._pil_to_tensor(step)

    def _to_image(self, step: Step) -> None:
        if self.tensor is None:
            self._make_tensor(step)
        self.tv_tensor = True

    def _convert_image_dtype(self, step: Step) -> None:
        # v1 divides by 255, v2 multiplies by 1/255: other bits in half of the values.
        before = self.dtype
        self._convert(step, step.transform.dtype, "to_dtype" if step.v2 else "to_tensor")
        if not step.v2 and before == torch.uint8 != self.dtype:
            self.tv_tensor = False  # v1's arithmetic loses the type, its Tensor.to keeps it

    def _to_dtype(self, step: Step) -> None:
        dtype = step.transform.dtype
        if isinstance(dtype, dict):
            from torchvision import tv_tensors

            key = tv_tensors.Image if self.tv_tensor else torch.Tensor
            if key not in dtype and "others" not in dtype:
                step.refuse(f"its dtype has no entry for {key.__name__}: add one")
            dtype = dtype[key] if key in dtype else dtype["others"]
        self._convert(step, dtype, "to_dtype" if step.transform.scale else None)

    def _convert(self, step: Step, dtype: torch.dtype | None, flavour: _Flavour | None) -> None:
        if self.tensor is None:
            step.refuse("it converts tensors, and this is still a PIL image: put ToImage() before")
        if dtype is None or dtype == self.dtype:
            return
        if self.dtype == torch.uint8:
            if flavour is None:
                step.refuse("values 0 to 255 are not scaled: say scale=True")
            if dtype != torch.float32 and dtype not in _HALVES:
                step.refuse(f"ringfeed does not yield {dtype}: use torch.float32")
            self.flavour = flavour
        elif self.dtype != torch.float32 or dtype not in _HALVES:
            step.refuse(
                f"ringfeed does not convert {self.dtype} to {dtype}: leave it out, and give "
                "DataLoader(dtype=...) what is wanted in the end"
            )
        self.dtype = dtype

    def _normalize(self, step: Step) -> None:
        if self.dtype == torch.uint8:
            step.refuse(
                "it needs float values: put ToTensor(), or ToImage() and "
                "ToDtype(torch.float32, scale=True), before it"
            )
        if self.dtype in _HALVES:
            step.refuse(
                f"it would compute in {self.dtype}, which ringfeed does not reproduce: convert to "
                f"torch.float32 before it, and use DataLoader(dtype={self.dtype})"
            )
        if self.erasing is not None:
            step.refuse("it comes after RandomErasing: move it before")
        if self.mean_std is not None:
            step.refuse("a second Normalize: put both into one")
        self.tv_tensor &= step.v2
        self.mean_std = step.channels("mean"), step.channels("std")
        if 0.0 in self.mean_std[1]:
            step.refuse("std must not be 0")

    def _random_erasing(self, step: Step) -> None:
        if self.dtype != torch.float32:
            step.refuse(
                "ringfeed erases in float32 tensors: put it behind ToTensor(), or behind ToImage() "
                "and ToDtype(torch.float32, scale=True)"
            )
        if self.erasing is not None:
            step.refuse("a second RandomErasing: keep one of the two")
        self.erasing = (timm_erasing_of if step.kind == TIMM_ERASING else erasing_of)(step)

    def refuse_further(self, error: UnsupportedTransform, further: Iterable[Step]) -> NoReturn:
        """Raises `error`, of a step, with what can be said of the `further` ones whatever comes
        before them: that they are not known."""
        texts = [str(error)]
        for step in itertools.chain.from_iterable(map(Step.with_children, further)):
            if step.kind not in (None, "FiveCrop", "TenCrop"):
                continue
            try:
                Compiler().add(step)
            except UnsupportedTransform as another:
                text = str(another).removeprefix("not native, because ")
                texts.append(text.removesuffix(f". {ELSEWHERE}"))
        raise UnsupportedTransform("\n  and because ".join(texts)) from None

    HANDLERS: ClassVar[dict[str, Callable[[Compiler, Step], None]]] = {
        **dict.fromkeys(AUGMENTATIONS, _on_image),
        "FiveCrop": _several_crops,
        "TenCrop": _several_crops,
        "ToTensor": _to_tensor,
        "PILToTensor": _pil_to_tensor,
        "MaybeToTensor": _maybe_to_tensor,
        "MaybePILToTensor": _maybe_pil_to_tensor,
        "ToNumpy": _pil_to_tensor,
        TIMM_TO_TENSOR: _to_unscaled_tensor,
        "ToImage": _to_image,
        "ConvertImageDtype": _convert_image_dtype,
        "ToDtype": _to_dtype,
        "Normalize": _normalize,
        "RandomErasing": _random_erasing,
        TIMM_ERASING: _random_erasing,
        "ToPureTensor": _to_pure_tensor,
        "ToRGB": _to_rgb,
        "RGB": _nothing,
        "Identity": _nothing,
    }

    @property
    def gives(self) -> Gives:
        if self.tensor is None:
            return "image"
        if self.tensor == "ToNumpy":
            return "array"
        return "tv_tensor" if self.tv_tensor else "tensor"

    def finish(
        self, dtype: torch.dtype | None, channels_last: bool, pillow13: bool, images: bool
    ) -> tuple[_ringfeed.Plan, torch.dtype, str]:
        """The plan, the dtype it yields, and all of it in one line. `images`: whether it may give a
        PIL image, whose bytes the plan yields as it holds them."""
        head = head_of(self.on_images)
        augmentations = Augmentations(head.size)
        size = head.size
        for step in head.rest:
            augmentations.add(step)
            if augmentations.size != size:
                size, sized_by = augmentations.size, step
        if size is not None and max(size) > LONGEST_SIDE:
            sized_by.refuse(
                f"images have {size[0]} x {size[1]} pixels behind it, and {LONGEST_SIDE} on a side "
                "is the most"
            )
        if augmentations.size is None:
            raise UnsupportedTransform(
                "the transform leaves images of different shapes, which make no batch: add "
                "RandomResizedCrop(224), or Resize(256) and CenterCrop(224). Where all files have "
                "one size, CenterCrop of that size changes nothing"
            )
        if self.tensor is None:
            if not images:
                raise UnsupportedTransform(
                    "the transform ends with a PIL image, which torch's default_collate makes no "
                    "batch of: add ToTensor(), or ToImage() and ToDtype(torch.float32, "
                    "scale=True), or give a collate_fn that takes PIL images"
                )
            channels_last = True
        dtype = self._output_dtype(dtype)
        mean, std = self.mean_std or ([0.0] * 3, [1.0] * 3)
        plan = _ringfeed.Plan(
            head.geometry.native(),
            interpolation=head.interpolation,
            hflip=head.flip,
            hflip_first=head.flip_first,
            normalize=self.flavour,
            mean=mean,
            std=std,
            dtype=_DTYPES[dtype],
            channels_last=channels_last,
            pillow13=pillow13,
            augmentation=augmentations.nodes,
            erasing=None if self.erasing is None else self.erasing.native(),
        )
        text = [str(head)]
        if augmentations:
            text.append(str(augmentations))
        text.append(self.flavour)
        if self.mean_std is not None:
            text.append(f"normalize(mean={_short(mean)}, std={_short(std)})")
        if self.erasing is not None:
            text.append(str(self.erasing))
        layout = "channels_last" if channels_last else "contiguous"
        text += [_DTYPES[dtype], "PIL image" if self.tensor is None else layout]
        text.append("pillow>=13" if pillow13 else "pillow<13")
        return plan, dtype, " ".join(text)

    def _output_dtype(self, dtype: torch.dtype | None) -> torch.dtype:
        if dtype is None or dtype == self.dtype:
            return self.dtype
        if self.dtype == torch.uint8:
            raise UnsupportedTransform(
                f"dtype={dtype}, but the transform yields torch.uint8: add "
                "ToDtype(torch.float32, scale=True) to it"
            )
        if self.dtype != torch.float32 or dtype not in _HALVES:
            hint = "dtype may be torch.float32, torch.float16 or torch.bfloat16"
            raise UnsupportedTransform(
                f"dtype={dtype!r}, but the transform yields {self.dtype}: "
                + (hint if self.dtype == torch.float32 else "leave dtype out")
            )
        return dtype


def _short(values: list[float]) -> str:
    return "(" + ", ".join(str(np.float32(value)) for value in values) + ")"
