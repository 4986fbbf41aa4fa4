"""Golden values for test_resampler.cc and test_packer.cc, from the real Pillow and torchvision.

Writes golden_resample.inc beside this file and ../pack/golden_pack.inc. The interpreter has Pillow
13, torchvision and xxhash; Pillow 12, whose order of passes differs, lies in a folder of its own:

    python -m pip install xxhash
    python -m pip install --no-deps --target build/pillow12 'pillow<13'
    python tests/resize/make_golden_resample.py build/pillow12
"""

import json
import os
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def synthetic_image(kind, height, width):
    """The formula of resample_reference.cc."""
    import numpy as np

    y = np.arange(height, dtype=np.uint32)[:, None, None]
    x = np.arange(width, dtype=np.uint32)[None, :, None]
    c = np.arange(3, dtype=np.uint32)[None, None, :]
    h = (y * np.uint32(73856093)) ^ (x * np.uint32(19349663)) ^ (c * np.uint32(83492791))
    h ^= h >> np.uint32(13)
    h = h * np.uint32(0x5BD1E995)
    h ^= h >> np.uint32(15)
    ramp = (5 * x + 3 * y + 40 * c) & 127
    values = [h & 255, (h & 1) * 255, (h & 127) + ramp][kind]
    return values.astype(np.uint8)


def cases():
    """kind, image height and width, then the fields of augment::Geometry in order."""
    return [case + ["bilinear"] for case in bilinear_cases()] + filter_cases()


def filter_cases():
    """Some for each other filter: enlarged and shrunk a little and much, both orders of passes."""
    r = random.Random(20261125)
    out = []
    for name in ("nearest", "box", "hamming", "bicubic", "lanczos"):
        for kind, ih, iw, rh, rw in (
            (1, 400, 500, 224, 224),
            (1, 60, 50, 224, 200),
            (0, 300, 60, 20, 55),  # Pillow 13 runs the vertical pass first
            (1, 301, 3, 40, 2),  # and both do
            (2, 97, 1, 13, 31),
            (1, 1, 97, 31, 13),
            (0, 33, 48, 33, 20),
            (0, 33, 48, 11, 48),
            (1, 5, 3, 60, 67),
            (0, 900, 1200, 7, 9),
        ):
            out.append([kind, ih, iw, 0, 0, ih, iw, rh, rw, 0, 0, rh, rw, r.randint(0, 1), name])
        out += [random_case(r) + [name] for _ in range(20)]
    return out


def random_case(r):
    ih, iw = r.randint(1, 300), r.randint(1, 300)
    h, w = r.randint(1, ih), r.randint(1, iw)
    rh, rw = r.randint(1, 120), r.randint(1, 120)
    case = [r.randint(0, 2), ih, iw, r.randint(0, ih - h), r.randint(0, iw - w), h, w, rh, rw]
    if r.random() < 0.7:
        case += [0, 0, rh, rw]
    else:
        case += [r.randint(-9, rh // 2), r.randint(-9, rw // 2)]
        case += [r.randint(1, rh + 9), r.randint(1, rw + 9)]
    return case + [r.randint(0, 1)]


def bilinear_cases():
    r = random.Random(20240607)
    out = [
        # RandomResizedCrop, validation with and without padding, extremes of scale and shape
        [0, 400, 500, 31, 57, 330, 330, 224, 224, 0, 0, 224, 224, 0],
        [2, 375, 500, 0, 0, 375, 500, 256, 341, 16, 58, 224, 224, 0],
        [2, 40, 30, 0, 0, 40, 30, 42, 32, -3, -8, 48, 48, 0],
        [1, 2000, 12, 0, 0, 2000, 12, 5, 9, 0, 0, 5, 9, 1],
        [1, 12, 2000, 0, 0, 12, 2000, 9, 5, 0, 0, 9, 5, 1],
        [0, 1, 1, 0, 0, 1, 1, 33, 17, 0, 0, 33, 17, 0],
    ]
    while len(out) < 120:
        out.append(random_case(r))
    # The boundary of Pillow 13's rule, in_h - out_h == 2 * (in_w - out_w), and one step off it
    for off in (-1, 0, 1):
        for d in (1, 7, 20):
            h, w, rw = 60 + 2 * d + off, 50 + d, 50
            out.append([0, h, w, 0, 0, h, w, 60, rw, 0, 0, 60, rw, 0])
    # Pillow 12 turns the order round for images over 100 times as tall as wide
    for h, w, rh, rw in ((300, 3, 40, 2), (301, 3, 40, 2), (301, 3, 300, 7), (301, 3, 302, 2)):
        out.append([0, h, w, 0, 0, h, w, rh, rw, 0, 0, rh, rw, 0])
    return out


def resize_hashes():
    import numpy as np
    import PIL
    import xxhash
    from PIL import Image

    hashes = [PIL.__version__]
    for kind, ih, iw, top, left, h, w, rh, rw, wt, wl, oh, ow, flip, name in cases():
        image = Image.fromarray(synthetic_image(kind, ih, iw)).crop((left, top, left + w, top + h))
        image = image.resize((rw, rh), Image.Resampling[name.upper()]).crop(
            (wl, wt, wl + ow, wt + oh)
        )
        if flip:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        hashes.append(xxhash.xxh3_64_intdigest(np.asarray(image).tobytes()))
    return hashes


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
OTHER = ([0.5, 0.1307, 0.0], [0.5, 0.3081, 1.0])
# Small spreads reach the large halves, tiny offsets the subnormal ones.
WIDE = ([0.1, 1e-5, 0.49803921568], [1e-4, 900.0, 700.0])


def table_hashes():
    """flavour, dtype, mean, std, hash of the [3, 256] table."""
    import numpy as np
    import torch
    import torchvision
    import xxhash
    from PIL import Image
    from torchvision import transforms as v1
    from torchvision.transforms import v2

    values = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    image = Image.fromarray(values)
    rows = [torchvision.__version__]
    for mean, std in (IMAGENET, OTHER, WIDE):
        flavours = {
            "to_tensor": v1.Compose([v1.ToTensor(), v1.Normalize(mean, std)]),
            "to_dtype": v2.Compose(
                [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
            ),
        }
        for flavour, transform in flavours.items():
            for dtype in ("float32", "float16", "bfloat16"):
                table = transform(image).to(getattr(torch, dtype)).contiguous()
                bits = table.view(torch.int32 if dtype == "float32" else torch.int16).numpy()
                rows.append([flavour, dtype, mean, std, xxhash.xxh3_64_intdigest(bits.tobytes())])
    return rows


def ask(what, packages=None):
    """(version, values) of `what`, with the packages of a folder before this interpreter's own."""
    environment = {**os.environ, "PYTHONPATH": packages} if packages else None
    version, *values = json.loads(
        subprocess.check_output([sys.executable, __file__, what], env=environment)
    )
    return version, values


def main():
    if sys.argv[1] == "resize":
        return print(json.dumps(resize_hashes()))
    if sys.argv[1] == "tables":
        return print(json.dumps(table_hashes()))
    old, of_old = ask("resize", packages=sys.argv[1])
    new, of_new = ask("resize")
    made_by = "by tests/resize/make_golden_resample.py"
    with open(HERE / "golden_resample.inc", "w") as f:
        f.write(f"// Pillow {old} and {new}, {made_by}\n")
        for case, a, b in zip(cases(), of_old, of_new):
            flip = "true" if case[13] else "false"
            geometry = ", ".join(map(str, case[3:13])) + f", {flip}, Interpolation::{case[14]}"
            head = ", ".join(map(str, case[:3]))
            f.write(f"{{{head}, {{{geometry}}}, {a:#018x}, {b:#018x}}},\n")
    with open(HERE.parent / "pack" / "golden_pack.inc", "w") as f:
        version, rows = ask("tables")
        f.write(f"// torchvision {version}, {made_by}\n")
        for flavour, dtype, mean, std, h in rows:
            numbers = [", ".join(f"static_cast<float>({v!r})" for v in vs) for vs in (mean, std)]
            f.write(
                f"{{Normalize::Flavour::{flavour}, DType::{dtype},\n"
                f" {{{numbers[0]}}},\n {{{numbers[1]}}}, {h:#018x}}},\n"
            )


main()
