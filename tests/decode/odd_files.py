"""JPEG and PNG files that few writers make: sampling factors that Pillow cannot write, lossless
JPEG, several images or a video in a file, animations."""

import io
import itertools
import struct
import zlib

from PIL import Image

LUMA = [(2, 2), (2, 1), (1, 2), (3, 1), (4, 1), (4, 2)]  # horizontal and vertical
CHROMA = [(1, 1), (1, 2), (2, 1), (2, 2)]


def save(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(name, data):
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def before_chunk(png, name, more):
    """`png` with `more` before its first chunk of that name."""
    at = png.index(name) - 4
    return png[:at] + more + png[at:]


def stuffed(bits):
    """Entropy-coded bytes of a string of 0 and 1."""
    bits += "1" * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\0")


def number(value):
    """How many bits a coefficient takes, and these."""
    size = abs(value).bit_length()
    return size, format(value if value >= 0 else value + (1 << size) - 1, f"0{size}b")[:size]


def huffman_codes(counts, symbols):
    codes, code, at = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[at : at + count]:
            codes[symbol] = format(code, f"0{length}b")
            code += 1
        at, code = at + count, code << 1
    return codes


def standard_tables():
    """The DHT segments of Annex K, as every plain writer has them, and the codes of the first two:
    luma's, of DC and AC."""
    plain = save(Image.new("RGB", (8, 8)), format="JPEG")
    segments, codes, at = b"", {}, 2
    while plain[at + 1] != 0xDA:
        length = struct.unpack(">H", plain[at + 2 : at + 4])[0]
        content = plain[at + 4 : at + 2 + length]
        if plain[at + 1] == 0xC4:
            segments += plain[at : at + 2 + length]
            while content:
                size = sum(content[1:17])
                codes[content[0]] = huffman_codes(content[1:17], content[17 : 17 + size])
                content = content[17 + size :]
        at += 2 + length
    return segments, codes[0x00], codes[0x10]


def sampled_jpeg(rng, factors, width, height, restart=0):
    """A baseline JPEG of random coefficients, with these sampling factors of its components and a
    restart marker after so many MCUs."""
    tables, dc_codes, ac_codes = standard_tables()

    def block():
        size, bits = number(rng.randint(-60, 60))
        coded = dc_codes[size] + bits
        left = 63
        for _ in range(rng.randint(0, 5)):
            run = rng.randint(0, 9)
            if run + 1 > left:
                break
            size, bits = number(rng.choice([-1, 1]) * rng.randint(1, 40))
            coded += ac_codes[run << 4 | size] + bits
            left -= run + 1
        return coded + (ac_codes[0] if left else "")

    most_h, most_v = (max(f[i] for f in factors) for i in (0, 1))
    if len(factors) == 1:
        most_h = most_v = 1  # not interleaved: one block is an MCU
    mcus = -(-width // (8 * most_h)) * -(-height // (8 * most_v))
    blocks = sum(h * v for h, v in factors) if len(factors) > 1 else 1
    each = restart or mcus
    scan = b""
    for index, first in enumerate(range(0, mcus, each)):
        if index:
            scan += bytes([0xFF, 0xD0 + (index - 1) % 8])
        scan += stuffed("".join(block() for _ in range(min(each, mcus - first) * blocks)))
    frame = struct.pack(">BHHB", 8, height, width, len(factors))
    frame += b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in enumerate(factors, 1))
    head = bytes([len(factors)]) + b"".join(bytes([i + 1, 0]) for i in range(len(factors)))
    return (
        b"\xff\xd8"
        + segment(0xDB, bytes([0]) + bytes([8] * 64))
        + segment(0xC0, frame)
        + tables
        + (segment(0xDD, struct.pack(">H", restart)) if restart else b"")
        + segment(0xDA, head + bytes([0, 63, 0]))
        + scan
        + b"\xff\xd9"
    )


def lossless_jpeg(rng, components, width, height):
    """SOF3, with the left neighbour as predictor."""
    coded, values = "", {}
    for y, x, c in itertools.product(range(height), range(width), range(components)):
        values[y, x, c] = (x * 5 + y * 3 + 40 * c + rng.randint(0, 9)) % 256
        before = 128 if x == y == 0 else values[(y, x - 1, c) if x else (y - 1, x, c)]
        size, bits = number(values[y, x, c] - before)
        coded += format(size, "05b") + bits
    table = bytes([0]) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))  # codes of 5 bits
    frame = struct.pack(">BHHB", 8, height, width, components)
    frame += b"".join(bytes([i + 1, 0x11, 0]) for i in range(components))
    head = bytes([components]) + b"".join(bytes([i + 1, 0]) for i in range(components))
    scan = segment(0xDA, head + bytes([1, 0, 0])) + stuffed(coded)
    return b"\xff\xd8" + segment(0xC4, table) + segment(0xC3, frame) + scan + b"\xff\xd9"


def animation(image, frames=3, **options):
    """An APNG; with default_image=True its IDAT is no frame."""
    more = [image.rotate(90 * i) for i in range(1, frames)]
    return save(image, format="PNG", save_all=True, append_images=more, **options)


def frame_control(sequence, width, height, left=0, top=0):
    return chunk(
        b"fcTL",
        struct.pack(">IIIIIHHBB", sequence, width, height, left, top, 1, 10, 0, 0),
    )


def without_segments(jpeg, marker):
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] != marker:
            kept += jpeg[at:end]
        at = end
    return kept + jpeg[at:]


def swapped_restarts(jpeg):
    """Its first two restart markers in the other order."""
    one, two = jpeg.index(b"\xff\xd0"), jpeg.index(b"\xff\xd1")
    swapped = bytearray(jpeg)
    swapped[one + 1], swapped[two + 1] = 0xD1, 0xD0
    return bytes(swapped)


def odd_files(rng, picture):
    """(name, data) of all; `picture(rng, width, height, mode)` draws what Pillow writes."""
    for luma, chroma in itertools.product(LUMA, CHROMA):
        size = rng.randint(9, 90), rng.randint(9, 90)
        name = f"sampled {luma[0]}x{luma[1]} {chroma[0]}x{chroma[1]}"
        yield name, sampled_jpeg(rng, [luma, chroma, chroma], *size, rng.choice([0, 3]))
    yield "sampled uneven", sampled_jpeg(rng, [(2, 2), (1, 2), (2, 1)], 50, 40)
    for luma in LUMA:
        yield f"sampled grey {luma[0]}x{luma[1]}", sampled_jpeg(rng, [luma], 50, 40)

    rgb = picture(rng, 90, 70)
    plain = save(rgb, format="JPEG", quality=85)
    more = save(rgb.rotate(180), format="JPEG", quality=85)
    yield "mpo", save(rgb, format="MPO", save_all=True, append_images=[rgb.rotate(90)])
    yield "motion photo", plain + b"\0\0\0\x18ftypmp42" + rng.randbytes(3000)
    yield "image behind the image", plain + more
    yield "no tables", without_segments(plain, 0xC4)
    restarts = save(rgb, format="JPEG", quality=85, restart_marker_blocks=2)
    yield "swapped restarts", swapped_restarts(restarts)

    yield "apng", animation(rgb)
    yield "apng default", animation(rgb, default_image=True)
    yield "apng palette", animation(picture(rng, 50, 40).quantize(16))
    yield (
        "apng of one frame",
        before_chunk(
            save(rgb, format="PNG"),
            b"IDAT",
            chunk(b"acTL", struct.pack(">II", 1, 0)) + frame_control(0, *rgb.size),
        ),
    )
