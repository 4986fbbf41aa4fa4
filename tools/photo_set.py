"""Turns a few photographs into an ImageFolder that looks like ImageNet to a loader.

Shared by tools/make_sample.py and bench/make_photos.py. Every file is a function of (seed, its
name) alone, so the same photographs and package versions give the same bytes, however many
processes share the work.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import random
import shutil
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, features
from PIL import __version__ as pillow_version

# ImageNet's most frequent sizes, about as often as they occur there.
SIZES = {
    (500, 375): 45,
    (375, 500): 14,
    (500, 333): 16,
    (333, 500): 7,
    (500, 400): 3,
    (400, 300): 4,
    (500, 500): 3,
    (640, 480): 4,
    (300, 225): 2,
    (500, 281): 2,
}
SUBSAMPLING = {"4:2:0": 72, "4:4:4": 24, "4:2:2": 4}
# Kinds a decoder meets rarely; everything else is "plain" (baseline YCbCr).
KINDS = ("plain", "progressive", "gray", "cmyk", "exif", "png")


@dataclass(frozen=True)
class Look:
    """How far a file may depart from its photograph."""

    qualities: dict  # JPEG quality -> weight
    zoom: tuple  # photo pixels per output pixel, least and most
    warp: float = 0.0  # corners move by up to this share of the sides
    recolour: float = 0.0  # channel gains, saturation, brightness, contrast: 1 ± this
    grain: tuple = (0.0, 0.0)  # sigma of sensor noise, in levels
    min_detail: float = 0.0  # bytes per pixel at q75 that nine crops in ten must have


@dataclass(frozen=True)
class Item:
    path: str  # below the set's root
    photo: tuple  # photos to draw from
    look: Look
    size: tuple | None = None  # drawn from SIZES if None
    kind: str = "plain"
    extra: dict = field(default_factory=dict)


def weighted(rng, table):
    return rng.choices(list(table), list(table.values()))[0]


_photos = {}


def load_photo(path):
    if path not in _photos:
        if len(_photos) >= 16:
            _photos.clear()
        with Image.open(path) as image:
            _photos[path] = image.convert("RGB")
    return _photos[path]


def draw_picture(rng, item):
    """A crop of one of the item's photos, warped and recoloured within its look."""
    look = item.look
    width, height = item.size or weighted(rng, SIZES)
    margin = 1 + 2 * look.warp
    must_have_detail = look.min_detail > 0 and rng.random() >= 0.1
    for _ in range(12):
        photo = load_photo(rng.choice(item.photo))
        most = min(photo.width / (width * margin), photo.height / (height * margin))
        least = min(look.zoom[0], most)
        zoom = rng.uniform(least, max(least, min(most, look.zoom[1])))
        crop_w, crop_h = width * margin * zoom, height * margin * zoom
        x, y = rng.uniform(0, photo.width - crop_w), rng.uniform(0, photo.height - crop_h)
        full = (round(width * margin), round(height * margin))
        picture = photo.resize(full, Image.Resampling.LANCZOS, (x, y, x + crop_w, y + crop_h))
        if zoom > 1.2:  # photo hosts sharpen after downscaling
            picture = picture.filter(ImageFilter.UnsharpMask(0.8, 110, 0))
        if not must_have_detail:
            break
        probe = io.BytesIO()
        picture.save(probe, "JPEG", quality=75)
        if len(probe.getvalue()) >= look.min_detail * full[0] * full[1]:
            break
    if look.warp:
        corners = []
        for corner_x, corner_y in ((0, 0), (0, 1), (1, 1), (1, 0)):
            corners += [
                (look.warp + corner_x + rng.uniform(-look.warp, look.warp)) * width,
                (look.warp + corner_y + rng.uniform(-look.warp, look.warp)) * height,
            ]
        picture = picture.transform(
            (width, height), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC
        )
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if look.recolour:
        for enhance in (ImageEnhance.Color, ImageEnhance.Brightness, ImageEnhance.Contrast):
            picture = enhance(picture).enhance(rng.uniform(1 - look.recolour, 1 + look.recolour))
    if look.recolour or look.grain[1]:
        pixels = np.asarray(picture, dtype=np.float32)
        gains = [rng.uniform(1 - look.recolour / 2, 1 + look.recolour / 2) for _ in range(3)]
        noise = np.random.default_rng(rng.getrandbits(64))
        sigma = np.float32(rng.uniform(*look.grain))
        # Brightness noise more than colour noise, as a camera's own processing leaves it.
        grain = noise.standard_normal(pixels.shape[:2] + (1,), dtype=np.float32)
        tint = noise.standard_normal(pixels.shape, dtype=np.float32) * np.float32(0.4)
        pixels = pixels * np.array(gains, dtype=np.float32) + sigma * (grain + tint)
        picture = Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))
    return picture


def make_item(task):
    root, seed, item = task
    rng = random.Random(f"{seed}/{item.path}")
    picture = draw_picture(rng, item)
    path = Path(root, item.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = weighted(rng, item.look.qualities)
    subsampling = weighted(rng, SUBSAMPLING)
    options = {"quality": quality, "subsampling": subsampling, "optimize": rng.random() < 0.3}
    if item.kind == "png":
        picture.save(path, "PNG")
        subsampling = "-"
    elif item.kind == "gray":
        picture.convert("L").save(path, "JPEG", quality=quality)
        subsampling = "-"
    elif item.kind == "cmyk":
        picture.convert("CMYK").save(path, "JPEG", quality=quality)
        subsampling = "-"
    else:
        if item.kind == "progressive":
            options["progressive"] = True
        elif item.kind == "exif":
            exif = Image.Exif()
            exif[0x0112] = item.extra["orientation"]
            options["exif"] = exif
        picture.save(path, "JPEG", **options)
    with Image.open(path) as check:  # every file must decode
        check.convert("RGB")
    size = path.stat().st_size
    return {
        "path": item.path,
        "width": picture.width,
        "height": picture.height,
        "kind": item.kind,
        "quality": quality if item.kind != "png" else None,
        "subsampling": subsampling,
        "bytes": size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def fingerprint(*scripts, **parameters):
    """Equal when a set made now would have the same bytes."""
    digest = hashlib.sha256()
    for script in (__file__, *scripts):
        digest.update(Path(script).read_bytes())
    parameters.update(
        pillow=pillow_version, numpy=np.__version__, libjpeg=features.version("libjpeg_turbo")
    )
    digest.update(json.dumps(parameters, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def is_made(root, stamp):
    made = Path(root, "manifest.json")
    try:
        return json.loads(made.read_text())["fingerprint"] == stamp
    except (OSError, ValueError, KeyError):
        return False


def make(root, items, stamp, seed, sources, processes=None):
    """Writes the items below `root`, then SOURCES.txt and manifest.json (last: it says the set is
    whole). Replaces a set made before; refuses any other folder that holds something."""
    root = Path(root)
    held = [p for p in root.iterdir() if not p.name.startswith(".")] if root.exists() else []
    if held and not (root / "SOURCES.txt").exists():
        raise SystemExit(f"{root} exists and was not made by this script: remove it yourself")
    (root / "manifest.json").unlink(missing_ok=True)
    for top in {Path(item.path).parts[0] for item in items}:
        shutil.rmtree(root / top, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    (root / "SOURCES.txt").write_text(sources)
    tasks = [(str(root), seed, item) for item in items]
    processes = processes or len(os.sched_getaffinity(0))
    with multiprocessing.Pool(processes) as pool:
        files = pool.map(make_item, tasks, chunksize=8)
    manifest = {"fingerprint": stamp, "seed": seed, "files": files}
    temporary = root / "manifest.json.tmp"
    temporary.write_text(json.dumps(manifest, indent=0, sort_keys=True))
    temporary.replace(root / "manifest.json")


def describe(root):
    """One line a folder: files, bytes, kinds."""
    files = json.loads(Path(root, "manifest.json").read_text())["files"]
    lines = []
    for top in sorted({Path(f["path"]).parts[0] for f in files}):
        part = [f for f in files if Path(f["path"]).parts[0] == top]
        sizes = sorted(f["bytes"] for f in part)
        kinds = {k: sum(f["kind"] == k for f in part) for k in KINDS}
        ratios = {s: sum(f["subsampling"] == s for f in part) for s in SUBSAMPLING}
        counts = {k: n for k, n in {**kinds, **ratios}.items() if n}
        lines.append(
            f"{root}/{top}: {len(part)} files in {len({Path(f['path']).parent for f in part})} "
            f"classes, mean {statistics.fmean(sizes) / 1000:.1f} kB, "
            f"10th to 90th percentile {sizes[len(sizes) // 10] / 1000:.0f} to "
            f"{sizes[len(sizes) * 9 // 10] / 1000:.0f} kB; "
            + ", ".join(f"{n} {k}" for k, n in counts.items())
        )
    return "\n".join(lines)
