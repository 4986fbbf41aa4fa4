#!/usr/bin/env python3
"""The second half of bench/make_photos.sh: photographs of unpacked Debian packages to a set.

make_photos.py UNPACKED DIR     (UNPACKED/<package>/usr/..., as dpkg-deb -x leaves it)
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from photo_set import Item, Look, describe, fingerprint, is_made, make

SYNSETS = (
    "n01440764",
    "n01443537",
    "n01484850",
    "n01491361",
    "n01494475",
    "n01496331",
    "n01498041",
    "n01514668",
    "n01514859",
    "n01518878",
    "n01530575",
    "n01531178",
    "n01532829",
    "n01534433",
    "n01537544",
    "n01558993",
)
TRAIN, VAL, LARGE = 384, 64, 24

BACKGROUNDS = "usr/share/backgrounds"
WALLPAPERS = "plasma-workspace-wallpapers/usr/share/wallpapers"
OPENCV = "opencv-doc/usr/share/doc/opencv-doc/examples/data"
SKIMAGE = "python3-skimage/usr/lib/python3/dist-packages/skimage/data"
SKLEARN = "python3-sklearn/usr/lib/python3/dist-packages/sklearn/datasets/images"
# Drawings, abstract patterns and photos of nothing but blur.
NO_PHOTOS = ("umang", "analogpattern", "Infinite-Sea", "Painting-Colors", "Fossa")
PLASMA = (
    "FallenLeaf",
    "Path",
    "EveningGlow",
    "Kite",
    "ColorfulCups",
    "OneStandsOut",
    "BytheWater",
    "summer_1am",
    "ColdRipple",
    "Volna",
)
SMALL = (
    [
        f"{OPENCV}/{name}.jpg"
        for name in (
            "fruits",
            "baboon",
            "leuvenA",
            "aloeL",
            "board",
            "home",
            "building",
            "butterfly",
        )
    ]
    + [
        f"{SKIMAGE}/{name}"
        for name in (
            "coffee.png",
            "astronaut.png",
            "chelsea.png",
            "rocket.jpg",
            "motorcycle_left.png",
        )
    ]
    + [f"{SKLEARN}/china.jpg", f"{SKLEARN}/flower.jpg"]
)

SOURCES = """\
These files are crops of photographs from Debian packages; the packages' own copyright files are
beside this one in licences/.

lomiri-wallpapers-16.04, -20.04  by their authors (their names are in the files' names):
                                 CC-BY-4.0, CC-BY-SA-3.0, CC-BY-SA-4.0 or CC0-1.0
mate-backgrounds                 GPL-2+
plasma-workspace-wallpapers      GPL-2+ (LGPL-3+ or CC-BY-SA-4.0 in some wallpapers' metadata)
palapeli-data                    GPL-2+
opencv-doc                       Apache-2.0 and BSD-3-Clause
python3-skimage                  BSD-3-Clause, CC0 and public domain
python3-sklearn                  CC-BY-2.0 (danielbuechele and vultilion on Flickr)

The class names are ImageNet synsets, given for their form; the pictures show something else.
"""


def find_photos(unpacked):
    """(large photos, small photos), in an order that does not depend on the file system."""
    large = []
    for pattern in (
        f"lomiri-wallpapers-*/{BACKGROUNDS}/*.jpg",
        f"mate-backgrounds/{BACKGROUNDS}/mate/nature/*.jpg",
        "palapeli-data/usr/share/palapeli/collection/*.jpg",
    ):
        large += [p for p in unpacked.glob(pattern) if not p.is_symlink()]
    for name in PLASMA:
        sizes = list((unpacked / WALLPAPERS / name / "contents/images").glob("*.jpg"))
        large.append(max(sizes, key=lambda p: (p.stat().st_size, p.name)))
    large = [p for p in large if not p.name.startswith(NO_PHOTOS)]
    small = [unpacked / name for name in SMALL]
    missing = [str(p) for p in small if not p.exists()]
    if missing or len(large) < 30:
        raise SystemExit(f"photos are missing: {missing or f'only {len(large)} large ones'}")
    return sorted(map(str, large)), sorted(map(str, small))


def items(large, small):
    qualities = {75: 2, 80: 2, 85: 3, 90: 8, 92: 8, 93: 8, 94: 12, 95: 22, 96: 35}
    from_large = Look(qualities, zoom=(1.5, 6.0), grain=(0.5, 3.0), min_detail=0.17)
    from_small = Look(qualities, zoom=(1.0, 6.0), grain=(0.5, 3.0), min_detail=0.17)
    big = Look({85: 1, 90: 1, 95: 1}, zoom=(1.0, 2.0))
    result = []
    for split, count in (("train", TRAIN), ("val", VAL)):
        for i in range(count):
            synset = SYNSETS[i % len(SYNSETS)]
            name = f"{synset}_{i + 1}" if split == "train" else f"ILSVRC2012_val_{i + 1:08d}"
            # Each class has its own photographs; one file in five comes from the small ones.
            own = small if i // len(SYNSETS) % 5 == 4 else large
            photos = own[i % len(SYNSETS) :: len(SYNSETS)] or own[i % len(own) :][:1]
            look = from_small if own is small else from_large
            result.append(Item(f"{split}/{synset}/{name}.JPEG", tuple(photos), look))
    huge = tuple(p for p in large if "lomiri" in p or "plasma" in p)
    for i in range(LARGE):
        size = (2000, 1500) if i % 3 else (1500, 2000)
        synset = SYNSETS[i % 4]
        result.append(Item(f"large/{synset}/{synset}_{i + 1}.JPEG", huge, big, size))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("unpacked", type=Path)
    parser.add_argument("dir", type=Path)
    args = parser.parse_args()
    large, small = find_photos(args.unpacked)
    photos = [(p.split("/")[-1], Path(p).stat().st_size) for p in large + small]
    stamp = fingerprint(__file__, photos=photos)
    if not is_made(args.dir, stamp):
        start = time.perf_counter()
        make(args.dir, items(large, small), stamp, 0, SOURCES)
        licences = args.dir / "licences"
        licences.mkdir(exist_ok=True)
        for copyright in args.unpacked.glob("*/usr/share/doc/*/copyright"):
            shutil.copyfile(copyright, licences / f"{copyright.parent.name}.copyright")
        print(
            f"made the set in {time.perf_counter() - start:.0f} s "
            f"from {len(large)} large and {len(small)} small photographs"
        )
    print(describe(args.dir))


if __name__ == "__main__":
    main()
