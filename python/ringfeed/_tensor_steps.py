"""ToTensor and Normalize in a torch worker, in one pass over the pixels: torchvision's bits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image

from . import _code
from ._dataset_parts import defined_in
from ._ringfeed import look_up_planes

_MOST_TABLES = 64


short: Any = None
"""What to_tensor and Compose do in a worker process."""


def shorten() -> None:
    """In a worker process: `Compose.__call__` and `to_tensor` of torchvision's v1 transforms, as
    far as they are torchvision's own. Steps and their classes stay as they are."""
    global short
    transforms = sys.modules.get("torchvision.transforms.transforms")
    if transforms is None:
        return
    own: Any = transforms.F.to_tensor
    call: Any = transforms.Compose.__call__
    if not defined_in(transforms.F, "to_tensor", own) or _code.runs_instead(own):
        return
    short = _Shortened(transforms, _code.run_instead(own, _code.to_tensor), _code.copy_of(call))
    if defined_in(transforms, "__call__", call):
        _code.run_instead(call, _code.compose_call)


class _Shortened:
    def __init__(
        self,
        transforms: Any,
        to_tensor: Callable[[Any], torch.Tensor],
        compose: Callable[[Any, Any], Any],
    ) -> None:
        """`to_tensor`, `compose`: torchvision's."""
        self._transforms, self._to_tensor, self._compose = transforms, to_tensor, compose
        self._installed = transforms.F.to_tensor
        self._own_code = self._code_now()
        call, forward, module_call, normalize, on_tensors = self._own_code
        self._fusible = (
            defined_in(transforms, "__call__", call)
            and defined_in(transforms, "forward", forward)
            and getattr(module_call, "__globals__", {}) is vars(torch.nn.modules.module)
            and defined_in(transforms.F, "normalize", normalize)
            and defined_in(transforms.F.F_t, "normalize", on_tensors)
        )
        self._tables: dict[Any, torch.Tensor | None] = {}

    def _code_now(self) -> tuple[Any, ...]:
        """What runs between ToTensor's call and Normalize's result, but for to_tensor."""
        transforms = self._transforms
        return (
            transforms.ToTensor.__call__,
            transforms.Normalize.forward,
            transforms.Normalize.__call__,
            transforms.F.normalize,
            transforms.F.F_t.normalize,
        )

    def to_tensor(self, pic: Any) -> torch.Tensor:
        found = self._planes(pic, None) if _is_plain(pic) else None
        return self._to_tensor(pic) if found is None else found

    def compose(self, compose: Any, img: Any) -> Any:
        steps = compose.transforms
        if type(steps) is not list:
            return self._compose(compose, img)
        at = 0
        while at < len(steps):  # which a step may change, as in torchvision's loop
            both = self._both(steps, at, img)
            if both is None:
                img = steps[at](img)
                at += 1
            else:
                img = both
                at += 2
        return img

    def _both(self, steps: list[Any], at: int, img: Any) -> torch.Tensor | None:
        """What ToTensor and a Normalize right after it make of `img`. None: they shall do it."""
        if not _is_plain(img) or at + 1 >= len(steps) or not self._is_to_tensor(steps[at]):
            return None
        normalize = steps[at + 1]
        # A script may replace a part at any time.
        if not self._fusible or self._transforms.F.to_tensor is not self._installed:
            return None
        if any(now is not own for now, own in zip(self._code_now(), self._own_code, strict=True)):
            return None
        return self._planes(img, normalize) if self._is_own_normalize(normalize) else None

    def _is_to_tensor(self, step: Any) -> bool:
        kind = type(step)
        if kind is self._transforms.ToTensor:
            return True
        timm = sys.modules.get("timm.data.transforms")
        return (
            timm is not None
            and kind is getattr(timm, "MaybeToTensor", None)
            and defined_in(timm, "__call__", kind.__call__)
        )

    def _is_own_normalize(self, step: Any) -> bool:
        return type(step) is self._transforms.Normalize and not _has_hooks(step)

    def _planes(self, image: Any, normalize: Any) -> torch.Tensor | None:
        if torch.get_default_dtype() is not torch.float32 or torch.jit.is_tracing():
            return None
        try:
            table = self._table(normalize)
        except Exception:  # torchvision's code raises what there is to raise
            return None
        if table is None:
            return None
        pixels = image.tobytes()  # raises what numpy.array(image) does; the size may change
        width, height = image.size
        if len(pixels) != 3 * width * height:
            return None
        planes = torch.empty((3, height, width), dtype=torch.float32, device="cpu")
        look_up_planes(pixels, table.numpy(), planes.numpy())
        return planes

    def _table(self, normalize: Any) -> torch.Tensor | None:
        """What torchvision makes of each byte in each channel, float32 [3, 256]."""
        key = None
        if normalize is not None:
            values = normalize.mean, normalize.std
            if not all(type(v) in (list, tuple) and len(v) == 3 for v in values):
                return None
            if not all(type(number) is float for v in values for number in v):
                return None
            key = tuple(values[0]), tuple(values[1])
        if key not in self._tables:
            if len(self._tables) >= _MOST_TABLES:
                return None
            ramp = Image.frombytes(
                "RGB", (256, 1), bytes(byte for byte in range(256) for _ in "RGB")
            )
            made = self._to_tensor(ramp)
            if normalize is not None:
                made = self._transforms.F.normalize(made, *values)
            self._tables[key] = made.reshape(3, 256).contiguous()
        return self._tables[key]


def _is_plain(image: Any) -> bool:
    """An RGB image of Pillow's own. One of a single row or column has strides that follow from how
    torchvision came by them."""
    return (
        isinstance(image, Image.Image)
        and type(image).__module__.startswith("PIL.")
        and image.mode == "RGB"
        and min(image.size) > 1
    )


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _has_hooks(step: Any) -> bool:
    """Or a forward() of the instance's own."""
    state, module = vars(step), torch.nn.modules.module
    return (
        "forward" in state
        or state.get("_compiled_call_impl") is not None
        or any(state.get(name) for name in _HOOKS)
        or any(getattr(module, f"_global{name}", None) for name in _HOOKS)
    )
