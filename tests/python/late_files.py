"""Files for ringfeed.open, by name: those that it makes late and those that it leaves to Pillow."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 83, 61


def picture(seed=1, width=WIDTH, height=HEIGHT):
    """Waves and noise in RGB."""
    rng = np.random.default_rng(seed)
    waves = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., None]
    pixels = (waves * (1, 2, 3) + rng.integers(0, 60, (height, width, 3))) % 256
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def interlaced(image):
    """Adam7, which Pillow does not write; every line unfiltered."""
    pixels = np.asarray(image)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    lines = b""
    for top, left, rows, columns in [*passes, (1, 0, 2, 1)]:
        for row in pixels[top::rows, left::columns]:
            lines += b"\0" + row.tobytes() if row.size else b""
    header = struct.pack(">IIBBBBB", *image.size, 8, 2 if image.mode == "RGB" else 0, 0, 0, 1)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def late():
    rgb, grey = picture(), picture(2).convert("L")
    comment = {"comment": b"a comment", "dpi": (72, 72)}
    return {
        "420.jpg": encoded(rgb, "JPEG", quality=90, subsampling=2, **comment),
        "422.jpg": encoded(rgb, "JPEG", quality=80, subsampling=1),
        "444.jpg": encoded(rgb, "JPEG", quality=95, subsampling=0),
        "grey.jpg": encoded(grey, "JPEG", quality=90),
        "turned.jpg": encoded(rgb, "JPEG", exif=exif(6)),
        "mirrored.jpg": encoded(rgb, "JPEG", exif=exif(2)),
        "restarts.jpg": encoded(rgb, "JPEG", restart_marker_blocks=3),
        "longer.jpg": encoded(rgb, "JPEG") + b"and what a phone appends",
        # libjpeg has tables for these.
        "without codes.jpg": encoded(rgb, "JPEG").replace(b"\xff\xc4", b"\xff\xfe"),
        "tiny.jpg": encoded(picture(3, 3, 2), "JPEG"),
        "rgb.png": encoded(rgb, "PNG", exif=exif(3)),
        "grey.png": encoded(grey, "PNG"),
        "interlaced.png": interlaced(rgb),
        "interlaced grey.png": interlaced(grey),
    }


def left_to_pillow():
    rgb = picture()
    grey = rgb.convert("L")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(grey)
    plain = encoded(rgb, "JPEG")
    png = encoded(rgb, "PNG")
    end = png.rindex(b"IEND") - 4
    data = png.index(b"IDAT")
    return {
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "frames.jpg": encoded(rgb, "MPO", save_all=True, append_images=[rgb.rotate(180)]),
        "cut.jpg": plain[: len(plain) // 2],
        "without its last byte.jpg": plain[:-1],
        "stray marker.jpg": plain[:-30] + b"\xff\xc4" + plain[-28:],
        "without tables.jpg": plain.replace(b"\xff\xdb", b"\xff\xfe"),
        "palette.png": encoded(rgb.quantize(16), "PNG", transparency=3),
        "rgba.png": encoded(rgba, "PNG"),
        "la.png": encoded(rgba.convert("LA"), "PNG"),
        "one bit.png": encoded(grey.convert("1"), "PNG"),
        "16 bit.png": encoded(
            Image.fromarray(np.arange(900, dtype=np.uint16).reshape(30, 30)), "PNG"
        ),
        "one colour clear.png": encoded(rgb, "PNG", transparency=(1, 2, 3)),
        "grey clear.png": encoded(grey, "PNG", transparency=7),
        "text behind.png": png[:end] + chunk(b"tEXt", b"Title\0late") + png[end:],
        "animated.png": encoded(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)]),
        "cut.png": png[: len(png) // 2],
        "without end.png": png[:end],
        "wrong checksum.png": png[: end - 1] + bytes([png[end - 1] ^ 1]) + png[end:],
        "damaged.png": png[: data + 40] + b"\x12\x34" + png[data + 42 :],
        "gif.jpg": encoded(rgb.quantize(16), "GIF"),
        "nothing.jpg": b"",
        "no image.jpg": b"\xff\xd8\xff and then nothing that makes sense",
    }
