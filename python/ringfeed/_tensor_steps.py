"""ToTensor and Normalize in a torch worker, in one pass over the pixels: torchvision's bits."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from PIL import Image

from . import _code
from ._dataset_parts import defined_in
from ._own_behaviour import _CALLS
from ._ringfeed import look_up_planes

_MOST_TABLES = 64


def shorten() -> None:
    """In a worker process: `to_tensor` and the calls of both `Compose`s of torchvision, as far as
    they are torchvision's own. Steps and their classes stay as they are."""
    v1 = sys.modules.get("torchvision.transforms.transforms")
    if v1 is None:
        return
    own: Any = v1.F.to_tensor
    if not defined_in(v1.F, "to_tensor", own) or _code.runs_instead(own):
        return
    v2 = sys.modules.get("torchvision.transforms.v2")
    call: Any = v1.Compose.__call__
    forward: Any = None if v2 is None else v2.Compose.forward
    short = _Shortened(v1, v2, _code.copy_of(own), _code.copy_of(call), _code.copy_of(forward))
    _code.does.update(
        to_tensor=short.to_tensor, compose_call=short.compose, compose_forward=short.forward
    )
    _code.run_instead(own, _code.to_tensor)
    if defined_in(v1, "__call__", call):
        _code.run_instead(call, _code.compose_call)
    if v2 is not None and defined_in(sys.modules[v2.Compose.__module__], "forward", forward):
        _code.run_instead(forward, _code.compose_forward)


class _Kind(NamedTuple):
    """Steps that make a float32 tensor of an image, by the class of the first."""

    normalize: type
    """The class of the Normalize that may follow."""
    dtype: type | None = None
    """The class of the second, which converts; None: the first does."""
    image: type | None = None
    """The tensor's class, if it is not torch's."""
    interleaved: bool = False
    """Whether its channels lie as the image's."""


class _Shortened:
    def __init__(
        self,
        v1: Any,
        v2: Any,
        to_tensor: Callable[[Any], torch.Tensor],
        compose: Callable[[Any, Any], Any],
        forward: Callable[..., Any],
    ) -> None:
        """`v1`, `v2`: torchvision's modules. `to_tensor`, `compose`, `forward`: what its functions
        did."""
        self._to_tensor, self._compose, self._forward = to_tensor, compose, forward
        self._maybe = _Kind(v1.Normalize)
        self._kinds = {v1.ToTensor: self._maybe}
        self._parts = [(v1.F, "to_tensor"), (v1.ToTensor, "__call__")]
        self._parts += [(v1.Normalize, "__call__"), (v1.Normalize, "forward")]
        self._parts += [(v1.F, "normalize"), (v1.F.F_t, "normalize")]
        if v2 is not None:
            with contextlib.suppress(AttributeError):  # before torchvision 0.20 they were others
                parts = _parts_of_v2(v2)
                self._kinds |= _kinds_of_v2(v2)
                self._parts += parts
        self._own_code = self._code_now()
        self._fusible = all(map(_is_library_s, self._own_code))
        self._tables: dict[Any, torch.Tensor | None] = {}

    def _code_now(self) -> list[Any]:
        """What runs between the first step's call and the last one's result."""
        return [getattr(owner, name) for owner, name in self._parts]

    def to_tensor(self, pic: Any) -> torch.Tensor:
        found = self._look_up(pic, [self._to_tensor], _PLANES) if _is_plain(pic) else None
        return self._to_tensor(pic) if found is None else found

    def compose(self, compose: Any, img: Any) -> Any:
        steps = compose.transforms
        return self._compose(compose, img) if type(steps) is not list else self._run(steps, img)

    def forward(self, compose: Any, inputs: tuple[Any, ...]) -> Any:
        steps = compose.transforms
        if type(steps) not in (list, tuple) or not steps or len(inputs) != 1:
            return self._forward(compose, *inputs)
        return self._run(steps, inputs[0])

    def _run(self, steps: Any, img: Any) -> Any:
        at = 0
        while at < len(steps):  # which a step may change, as in torchvision's loop
            count = self._fused(steps, at) if _is_plain(img) else 0
            made = None
            if count:
                made = self._look_up(img, steps[at : at + count], self._kind(steps[at]))
            img = steps[at](img) if made is None else made
            at += 1 if made is None else count
        return img

    def _fused(self, steps: Any, at: int) -> int:
        """How many steps from here on are one pass; 0: none."""
        kind = self._kind(steps[at])
        if kind is None:
            return 0
        count = 1
        if kind.dtype is not None:
            if at + 1 == len(steps) or not _converts(steps[at + 1], kind.dtype):
                return 0
            count = 2
        if at + count < len(steps) and type(steps[at + count]) is kind.normalize:
            count += 1
        some = steps[at : at + count]
        # A script may replace a part at any time. ToTensor alone is for to_tensor().
        if count == 1 or not self._fusible or any(map(_has_hooks, some)):
            return 0
        return count if self._code_now() == self._own_code else 0

    def _kind(self, step: Any) -> _Kind | None:
        found = self._kinds.get(type(step))
        timm = None if found else sys.modules.get("timm.data.transforms")
        if timm is not None and type(step) is getattr(timm, "MaybeToTensor", None):
            return self._maybe if defined_in(timm, "__call__", type(step).__call__) else None
        return found

    def _look_up(self, image: Any, steps: Any, kind: Any) -> torch.Tensor | None:
        if torch.get_default_dtype() is not torch.float32 or torch.jit.is_tracing():
            return None
        if kind.dtype is not None and torch.empty(0).device.type != "cpu":
            return None  # where PILToTensor puts its tensor
        try:
            table = self._table(steps)
        except Exception:  # torchvision's code raises what there is to raise
            return None
        if table is None:
            return None
        pixels = image.tobytes()  # raises what numpy.array(image) does; the size may change
        width, height = image.size
        if len(pixels) != 3 * width * height:
            return None
        shape = (height, width, 3) if kind.interleaved else (3, height, width)
        planes = torch.empty(shape, dtype=torch.float32, device="cpu")
        look_up_planes(pixels, table.numpy(), planes.numpy(), kind.interleaved)
        if kind.interleaved:
            planes = planes.permute(2, 0, 1)
        return planes if kind.image is None else planes.as_subclass(kind.image)

    def _table(self, steps: Any) -> torch.Tensor | None:
        """What the steps make of each byte in each channel, float32 [3, 256]."""
        key: list[Any] = [*map(type, steps)]
        if hasattr(steps[-1], "mean"):
            values = steps[-1].mean, steps[-1].std
            if not all(type(v) in (list, tuple) and len(v) == 3 for v in values):
                return None
            if not all(type(number) is float for v in values for number in v):
                return None
            key += [tuple(values[0]), tuple(values[1])]
        if tuple(key) not in self._tables:
            if len(self._tables) >= _MOST_TABLES:
                return None
            # Of one row: none of this is done for it.
            made: Any = Image.frombytes(
                "RGB", (256, 1), bytes(byte for byte in range(256) for _ in "RGB")
            )
            for step in steps:
                made = step(made)
            plain = made.as_subclass(torch.Tensor)
            self._tables[tuple(key)] = plain.reshape(3, 256).contiguous()
        return self._tables[tuple(key)]


_PLANES = _Kind(object)


def _kinds_of_v2(v2: Any) -> dict[type, _Kind]:
    image = sys.modules["torchvision.tv_tensors"].Image
    return {
        v2.ToTensor: _Kind(v2.Normalize),
        v2.ToImage: _Kind(v2.Normalize, v2.ToDtype, image, interleaved=True),
        v2.PILToTensor: _Kind(v2.Normalize, v2.ToDtype, interleaved=True),
    }


def _parts_of_v2(v2: Any) -> list[tuple[Any, str]]:
    functional = v2.functional
    parts = [(functional, name) for name in ("to_image", "pil_to_tensor", "to_dtype", "normalize")]
    for step in (v2.ToTensor, v2.ToImage, v2.PILToTensor, v2.ToDtype, v2.Normalize):
        parts += [(step, name) for name in ("__call__", *_METHODS)]
    for owner, name in parts:
        getattr(owner, name)
    return parts


def _is_library_s(function: Any) -> bool:
    module = getattr(function, "__globals__", {}).get("__name__", "")
    return module.startswith("torchvision.") or module == "torch.nn.modules.module"


def _converts(step: Any, kind: Any) -> bool:
    """Whether it is a ToDtype to float32 that scales."""
    return type(step) is kind and step.dtype is torch.float32 and step.scale is True


def _is_plain(image: Any) -> bool:
    """An RGB image of Pillow's own. One of a single row or column has strides that follow from how
    torchvision came by them."""
    return (
        isinstance(image, Image.Image)
        and type(image).__module__.startswith("PIL.")
        and image.mode == "RGB"
        and min(image.size) > 1
    )


_METHODS = (
    *("forward", "transform", "check_inputs", "make_params", "_call_kernel"),
    "_needs_transform_list",
)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _has_hooks(step: Any) -> bool:
    """Or methods of the instance's own."""
    if not isinstance(step, torch.nn.Module):
        return False
    state, module = vars(step), torch.nn.modules.module
    return (
        any(name in state for name in (*_METHODS, *_CALLS, "_transformed_types"))
        or state.get("_compiled_call_impl") is not None
        or any(state.get(name) for name in _HOOKS)
        or any(getattr(module, f"_global{name}", None) for name in _HOOKS)
    )
