#!/usr/bin/env python3
"""Makes a small ImageNet-like set from photographs that Python packages carry.

    .venv/bin/python tools/make_sample.py sample

writes sample/train and sample/val: ten synset-named classes with 100 and 20 files each, mostly
4:2:0 at quality 85 to 96 around 500x375, about 100 kB each, and among them what ImageNet hides:
4:4:4, 4:2:2, progressive, grey, CMYK, EXIF orientations, a PNG named .JPEG. Crops of eleven
photographs repeat their textures: fit for trying, testing and timing a loader, useless for
accuracy. The same package versions and seed give the same bytes; a set that is there is left alone.
"""

import argparse
import importlib.metadata
import importlib.resources
import time

from photo_set import Item, Look, describe, fingerprint, is_made, make

# A class's own photographs, so that a network has something to learn.
CLASSES = {
    "n02123045": ("tabby", ["skimage.data/chelsea.png"]),
    "n03773504": ("missile", ["skimage.data/rocket.jpg"]),
    "n03791053": (
        "motor scooter",
        ["skimage.data/motorcycle_left.png", "skimage.data/motorcycle_right.png"],
    ),
    "n03877845": ("palace", ["sklearn.datasets.images/china.jpg"]),
    "n04044716": ("radio telescope", ["skimage.data/hubble_deep_field.jpg"]),
    "n04266014": ("space shuttle", ["skimage.data/astronaut.png"]),
    "n07747607": ("orange", ["skimage.data/retina.jpg"]),
    "n07920052": ("espresso", ["skimage.data/coffee.png"]),
    "n09256479": ("coral reef", ["skimage.data/ihc.png"]),
    "n11939491": ("daisy", ["sklearn.datasets.images/flower.jpg"]),
}

SOURCES = """\
These files are crops, warps and recolourings of photographs that the Python packages scikit-image
and scikit-learn carry:

chelsea.png            CC0, Stefan van der Walt
coffee.png             CC0, Rachel Michetti
retina.jpg             CC0, Mikael Haeggstroem
astronaut.png          NASA, public domain
hubble_deep_field.jpg  NASA, public domain
rocket.jpg             SpaceX, public domain
ihc.png                Center for Microscopy and Molecular Imaging, no known restrictions
motorcycle_left.png    Middlebury 2014 stereo benchmark, as scikit-image (BSD-3-Clause) carries it
motorcycle_right.png   the same
china.jpg              CC-BY-2.0, danielbuechele on Flickr
flower.jpg             CC-BY-2.0, vultilion on Flickr

The class names are ImageNet synsets, given for their form; most pictures show something else.
"""

LOOK = Look(
    qualities={85: 8, 88: 4, 90: 14, 92: 14, 93: 8, 94: 12, 95: 20, 96: 20},
    zoom=(0.55, 1.9),
    warp=0.06,
    recolour=0.25,
    grain=(2.0, 7.5),
)


def photo_path(name):
    package, file = name.rsplit("/", 1)
    return str(importlib.resources.files(package).joinpath(file))


def items(train, val):
    """The rare kinds sit at fixed places, so that every set has each of them."""
    result = []
    for split, per_class in (("train", train), ("val", val)):
        number = 0
        for synset, (_, photos) in CLASSES.items():
            for i in range(per_class):
                number += 1
                name = f"{synset}_{i + 1}" if split == "train" else f"ILSVRC2012_val_{number:08d}"
                kind, extra = "plain", {}
                if number % 50 == 7:
                    kind = "progressive"
                elif number % 40 == 11:
                    kind = "gray"
                elif number % 67 == 13:
                    kind = "cmyk"
                elif number % 25 == 3:
                    kind, extra = "exif", {"orientation": 1 + number // 25 % 8}
                elif split == "train" and number == per_class // 2:
                    kind = "png"
                result.append(
                    Item(
                        path=f"{split}/{synset}/{name}.JPEG",
                        photo=tuple(map(photo_path, photos)),
                        look=LOOK,
                        kind=kind,
                        extra=extra,
                    )
                )
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dir", help="where train/ and val/ go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-per-class", type=int, default=100, metavar="N")
    parser.add_argument("--val-per-class", type=int, default=20, metavar="N")
    args = parser.parse_args()

    wanted = items(args.train_per_class, args.val_per_class)
    stamp = fingerprint(
        __file__,
        seed=args.seed,
        items=len(wanted),
        train=args.train_per_class,
        photos=[importlib.metadata.version(p) for p in ("scikit-image", "scikit-learn")],
    )
    if not is_made(args.dir, stamp):
        start = time.perf_counter()
        make(args.dir, wanted, stamp, args.seed, SOURCES)
        print(f"made {len(wanted)} files in {time.perf_counter() - start:.0f} s")
    print(describe(args.dir))


if __name__ == "__main__":
    main()
