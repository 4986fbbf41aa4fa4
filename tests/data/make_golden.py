#!/usr/bin/env python3
"""Writes what torch and torchvision give, for the tests of src/data to compare with.

python tests/data/make_golden.py     (needs torch and torchvision)
"""

import os
import tempfile
from pathlib import Path

import torch
import torchvision
from torch.utils.data import DistributedSampler
from torchvision.datasets import ImageFolder

HERE = Path(__file__).parent

# "a/b/": a directory; "a -> b": a link; otherwise a file. Every line is a trap for some ordering:
# '-' and '.' sort before '/', upper case before lower, bytes that are not UTF-8 as surrogates.
TREE = [
    b"b/2.jpg",
    b"b/10.jpg",
    b"b/1.JPEG",
    b"b/x.Png",
    b"b/note.txt",
    b"b/.jpg",
    b"b/jpg",
    b"b/a.jpg.bak",
    b"b/a.tiff",
    b"b/a.tif",
    b"b/a.webp",
    b"b/a.ppm",
    b"b/a.pgm",
    b"b/a.bmp",
    b"b/a.gif",
    b"b/sub/0.jpg",
    b"b/sub/deep/0.jpg",
    b"b/sub-1/0.jpg",
    b"b/sub.1/0.jpg",
    b"b/Sub/0.jpg",
    b"b/none/readme",
    b"B/0.jpg",
    b".hidden/0.jpg",
    b"a.jpg/0.jpg",
    b"\xc3\xa9/0.jpg",
    b"\xff/0.jpg",
    b"\x80/0.jpg",
    b"\xee\x80\x80/0.jpg",
    b"\xf0\x9f\x90\x88/0.jpg",
    b"z/\xc3\xa9.jpg",
    b"z/\xc3.jpg",
    b"z/\xed\xa0\x80.jpg",
    b"z/\xee\x80\x80.jpg",
    b"z/\xf0\x9f\x90\x88.jpg",
    b"z/\x80.jpg",
    b"z/dir.jpg/in.jpg",
    b"top.jpg",
    b"z/link.jpg -> ../top.jpg",
    b"z/dangling.jpg -> nowhere",
    b"z/linked -> ../b/sub",
    b"linked class -> z/dir.jpg",
    b"not a class -> top.jpg",
]


def literal(raw):
    return (
        '"'
        + "".join(f"\\{byte:03o}" if byte < 32 or byte > 126 else chr(byte) for byte in raw)
        + '"'
    )


def image_folder():
    with tempfile.TemporaryDirectory() as root:
        for item in TREE:
            path, _, target = item.partition(b" -> ")
            path = os.path.join(os.fsencode(root), path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if target:
                os.symlink(target, path)
            else:
                open(path, "w").close()
        dataset = ImageFolder(root)
        with open(HERE / "image_folder.inc", "w") as out:
            out.write(f"// torchvision {torchvision.__version__}, by make_golden.py\n")
            out.write("constexpr const char* tree[] = {\n")
            out.writelines(f"{literal(item)},\n" for item in TREE)
            out.write("};\nconstexpr const char* classes[] = {\n")
            out.writelines(f"{literal(os.fsencode(name))},\n" for name in dataset.classes)
            out.write("};\nconstexpr Expected samples[] = {\n")
            for path, label in dataset.samples:
                relative = os.path.relpath(os.fsencode(path), os.fsencode(root))
                out.write(f"{{{literal(relative)}, {label}}},\n")
            out.write("};\n")


def distributed_sampler():
    with open(HERE / "distributed_sampler.inc", "w") as out:
        out.write(
            f"// torch {torch.__version__}, by make_golden.py: "
            "length, world size, rank, drop_last, indices\n"
        )
        for length in (1, 2, 3, 7, 8, 9, 16, 23):
            for world in (1, 2, 3, 8, 20):
                for rank in sorted({0, world // 2, world - 1}):
                    for drop in (False, True):
                        indices = list(
                            DistributedSampler(range(length), world, rank, False, drop_last=drop)
                        )
                        out.write(
                            f"{{{length}, {world}, {rank}, {str(drop).lower()}, "
                            f"{{{', '.join(map(str, indices))}}}}},\n"
                        )


image_folder()
distributed_sampler()
