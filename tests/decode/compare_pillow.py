"""Damages JPEG and PNG files in many ways and compares ringfeed with the installed Pillow: it must
refuse exactly the files that Image.open().convert("RGB") refuses, and give the same pixels for the
others, whole and in part, with LOAD_TRUNCATED_IMAGES off and on.

Only one difference is known: progressive files lacking scans come out otherwise where ringfeed's
libjpeg-turbo is older than 3.0.1 and Pillow's is not (its block smoothing was corrected for
vertical chroma subsampling and for images two MCUs wide). With 2.1.5 that is 16 of 20,500 cases at
seed 77.

    python tests/decode/compare_pillow.py build/tests/decode_pixels [--variants 60] [--seed 1]
"""

import argparse
import collections
import io
import random
import struct
import subprocess
import warnings
import zlib

import numpy as np
import PIL
from odd_files import chunk, odd_files, save
from PIL import Image, ImageFile

warnings.simplefilter("ignore")


def picture(rng, width, height, mode="RGB"):
    """Smooth waves and noise: long and short Huffman codes."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    channels = len(Image.new(mode, (1, 1)).getbands())
    planes = [
        128
        + 80 * np.sin(x / rng.uniform(5, 40))
        + 60 * np.cos(y / rng.uniform(5, 40))
        + np.random.default_rng(rng.randrange(1 << 30)).normal(0, rng.choice([1, 25]), x.shape)
        for _ in range(channels)
    ]
    a = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return Image.fromarray(a if channels > 1 else a[..., 0], mode)


def jpegs(rng):
    def size():
        return rng.randint(9, 130), rng.randint(9, 110)

    exif = Image.Exif()
    exif[0x0112] = 6
    for subsampling in (0, 1, 2):
        rgb = picture(rng, *size())
        yield (
            f"jpeg {subsampling}",
            save(
                rgb, format="JPEG", quality=rng.randint(70, 97), subsampling=subsampling, exif=exif
            ),
        )
        yield (
            f"progressive {subsampling}",
            save(rgb, format="JPEG", quality=85, progressive=True, subsampling=subsampling),
        )
        yield (
            f"restarts {subsampling}",
            save(rgb, format="JPEG", quality=85, restart_marker_blocks=3, subsampling=subsampling),
        )
    yield "grey", save(picture(rng, *size(), "L"), format="JPEG", quality=90)
    yield "cmyk", save(picture(rng, *size(), "CMYK"), format="JPEG", quality=90)
    yield (
        "icc",
        save(picture(rng, *size()), format="JPEG", icc_profile=bytes(500), comment=b"hello"),
    )
    yield "rgb", save(picture(rng, *size()), format="JPEG", keep_rgb=True)
    yield "large", save(picture(rng, 700, 500), format="JPEG", quality=97)


def png16(rng, color_type, channels):
    width, height = rng.randint(5, 40), rng.randint(5, 40)
    rows = b"".join(
        b"\0" + bytes(rng.choice((0, rng.randrange(256))) for _ in range(width * channels * 2))
        for _ in range(height)
    )
    ihdr = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", ihdr)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def adam7(rng, depth, color_type, channels):
    """Interlaced, every pass with the filter None: Pillow cannot write these."""
    width, height = rng.randint(1, 40), rng.randint(1, 40)
    raw = b""
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        columns, lines = -(-(width - x0) // dx), -(-(height - y0) // dy)
        if columns <= 0 or lines <= 0:
            continue
        for _ in range(lines):
            raw += bytes([rng.randrange(5)]) + rng.randbytes((columns * depth * channels + 7) // 8)
    palette = chunk(b"PLTE", rng.randbytes(3 * min(256, 1 << depth))) if color_type == 3 else b""
    ihdr = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", ihdr)
        + palette
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def pngs(rng):
    def size():
        return rng.randint(1, 90), rng.randint(1, 90)

    for mode in ("RGB", "RGBA", "L", "LA"):
        yield f"png {mode}", save(picture(rng, *size(), mode), format="PNG")
    yield "png 1", save(picture(rng, *size(), "L").convert("1"), format="PNG")
    for colors in (2, 4, 16, 200):
        image = picture(rng, *size()).quantize(colors)
        yield f"png P{colors}", save(image, format="PNG")
        yield f"png P{colors} tRNS", save(image, format="PNG", transparency=bytes(range(colors)))
    yield "png L tRNS", save(picture(rng, *size(), "L"), format="PNG", transparency=7)
    yield (
        "png text",
        save(picture(rng, *size()), format="PNG", dpi=(72, 72), icc_profile=bytes(300)),
    )
    for color_type, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        yield f"png16 type {color_type}", png16(rng, color_type, channels)
    for depth, color_type, channels in (
        (1, 0, 1),
        (2, 0, 1),
        (4, 3, 1),
        (8, 3, 1),
        (8, 2, 3),
        (16, 0, 1),
        (16, 6, 4),
        (8, 4, 2),
    ):
        yield f"adam7 {depth} {color_type}", adam7(rng, depth, color_type, channels)


def images(rng):
    """(name, data) of every kind of file, none of them damaged."""
    return [*jpegs(rng), *pngs(rng), *odd_files(rng, picture)]


def segments(data):
    """(start, end) of every header segment or chunk."""
    spans, at = [], 2
    if data[:1] == b"\x89":
        at = 8
        while at + 8 <= len(data):
            end = at + 12 + struct.unpack(">I", data[at : at + 4])[0]
            spans.append((at, end))
            at = end
        return spans
    while at + 4 <= len(data) and data[at] == 0xFF:
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        spans.append((at, end))
        if data[at + 1] == 0xDA:
            break
        at = end
    return spans


def damage(rng, data):
    kinds = (
        "none",
        "cut",
        "cut end",
        "flip header",
        "flip",
        "flip several",
        "zeros",
        "duplicate",
        "remove",
        "tail",
        "marker",
        "eoi",
        "overwrite",
    )
    kind = rng.choice(kinds)
    b = bytearray(data)
    spans = segments(data)
    body = min(spans[-1][1] if data[:1] != b"\x89" else 8, len(b) - 3)
    if kind == "cut":
        del b[rng.randrange(len(b)) :]
    elif kind == "cut end":
        del b[len(b) - rng.randint(1, min(20, len(b) - 1)) :]
    elif kind == "flip header":
        b[rng.randrange(min(len(b), max(body, 40)))] ^= 1 << rng.randrange(8)
    elif kind in ("flip", "flip several"):
        for _ in range(1 if kind == "flip" else 10):
            b[rng.randrange(body, len(b))] = rng.randrange(256)
    elif kind == "zeros":
        at = rng.randrange(len(b))
        n = min(rng.randint(1, 600), len(b) - at)
        b[at : at + n] = bytes(n)
    elif kind in ("duplicate", "remove"):
        start, end = rng.choice(spans)
        b[start:end] = data[start:end] * (2 if kind == "duplicate" else 0)
    elif kind == "tail":
        b += rng.randbytes(rng.randint(1, 300))
    elif kind == "marker":
        at = rng.randrange(body, len(b) - 1)
        b[at : at + 2] = bytes([0xFF, rng.choice([rng.randrange(256), rng.randrange(0xC0, 0x100)])])
    elif kind == "eoi":
        at = rng.randrange(body, len(b) - 1)
        b[at : at + 2] = b"\xff\xd9"
    elif kind == "overwrite":
        at = rng.randrange(2, len(b))
        chunk = rng.randbytes(min(rng.randint(1, 40), len(b) - at))
        b[at : at + len(chunk)] = chunk
    return kind, bytes(b)


def pillow(data, truncated):
    ImageFile.LOAD_TRUNCATED_IMAGES = truncated
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # any exception is Pillow's refusal
        return f"{type(error).__name__}: {error}"


class Ringfeed:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, data, truncated, y, x):
        self.process.stdin.write(struct.pack("<4I", len(data), truncated, y, x) + data)
        self.process.stdin.flush()
        failed, height, width, top, left, size = struct.unpack("<6I", self.process.stdout.read(24))
        body = self.process.stdout.read(size)
        if failed:
            return body.decode(), None
        return np.frombuffer(body, np.uint8).reshape(height, width, 3), (top, left)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--variants", type=int, default=60, help="damaged copies of each file")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--keep", help="write differing files with this prefix")
    args = parser.parse_args()
    print("seed", args.seed, "Pillow", PIL.__version__)
    rng = random.Random(args.seed)
    ringfeed = Ringfeed(args.program)
    counts, wrong = collections.Counter(), 0
    for name, data in images(rng):
        for variant in range(args.variants):
            kind, damaged = ("none", data) if variant == 0 else damage(rng, data)
            for truncated in (False, True):
                corner = (
                    (0, 0) if rng.random() < 0.4 else (rng.randrange(65536), rng.randrange(65536))
                )
                want = pillow(damaged, truncated)
                got, at = ringfeed(damaged, truncated, *corner)
                ok = isinstance(want, str) == isinstance(got, str)
                if ok and at is not None:
                    h, w = got.shape[:2]
                    ok = np.array_equal(want[at[0] : at[0] + h, at[1] : at[1] + w], got)
                counts[name.split()[0], kind, "fails" if isinstance(want, str) else "decodes"] += 1
                if not ok:
                    wrong += 1
                    show = [v if isinstance(v, str) else f"{v.shape}" for v in (want, got)]
                    print(
                        f"DIFFERS {name}: {kind}, load_truncated={truncated}, corner {corner}\n"
                        f"    Pillow {show[0]}\n    ringfeed {show[1]}"
                    )
                    if args.keep:
                        with open(f"{args.keep}{wrong}", "wb") as out:
                            out.write(damaged)
    for key, count in sorted(counts.items()):
        print(f"{count:6} {' / '.join(key)}")
    print(f"{sum(counts.values())} cases, {wrong} differ")
    return wrong > 0


if __name__ == "__main__":
    raise SystemExit(main())
