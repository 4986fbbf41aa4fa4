"""Writes golden_decode.inc: small JPEG and PNG files, whole and damaged, with Pillow's verdict and
the CRC-32 of its RGB pixels (0 where it refuses):

    python tests/decode/make_golden_decode.py
"""

import random
import zlib
from pathlib import Path

import PIL
from compare_pillow import adam7, damage, picture, pillow, png16, save


def files(rng):
    for subsampling in (0, 1, 2):
        yield save(picture(rng, 27, 19), format="JPEG", quality=60, subsampling=subsampling)
    yield save(picture(rng, 19, 27), format="JPEG", quality=50, progressive=True, subsampling=0)
    yield save(picture(rng, 18, 17, "L"), format="JPEG", quality=60)
    yield save(picture(rng, 17, 9, "CMYK"), format="JPEG", quality=60)
    yield save(picture(rng, 20, 20), format="JPEG", quality=50, restart_marker_blocks=1)
    yield save(picture(rng, 9, 7), format="PNG")
    yield save(picture(rng, 9, 7, "LA"), format="PNG")
    yield save(picture(rng, 9, 7).quantize(5), format="PNG", transparency=bytes(range(5)))
    yield png16(rng, 0, 1)[:3000]
    yield adam7(rng, 4, 3, 1)


def rows():
    rng = random.Random(5)
    for data in files(rng):
        if len(data) > 1500:
            continue
        for variant in range(4):
            kind, changed = ("none", data) if variant == 0 else damage(rng, data)
            for truncated in (False, True):
                rgb = pillow(changed, truncated)
                crc = 0 if isinstance(rgb, str) else zlib.crc32(rgb.tobytes())
                yield f'{{"{kind}", {str(truncated).lower()}, {crc}u, "{changed.hex()}"}},\n'


def main():
    with open(Path(__file__).parent / "golden_decode.inc", "w") as out:
        out.write(f"// Pillow {PIL.__version__}, by make_golden_decode.py\n")
        out.writelines(rows())


if __name__ == "__main__":
    main()
