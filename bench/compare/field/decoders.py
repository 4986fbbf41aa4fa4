"""Decoders alone, one thread, encoded bytes in memory: rounds in turn, in one process.

Prints JSON: for each its images per CPU second, pixels against Pillow's, or why it does not run.
"""

import importlib.metadata
import io
import json
import os
import sys
import time


def pillow():
    from PIL import Image

    return lambda data: Image.open(io.BytesIO(data)).convert("RGB"), "pillow"


def ringfeed():
    from ringfeed import decode

    return decode, "ringfeed"


def torchvision():
    import torch
    from torchvision.io import ImageReadMode, decode_image

    def decode(data):
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return decode_image(encoded, ImageReadMode.RGB).permute(1, 2, 0)

    return decode, "torchvision"


def simplejpeg():
    from simplejpeg import decode_jpeg

    return lambda data: decode_jpeg(data, colorspace="RGB"), "simplejpeg"


def opencv():
    import cv2
    import numpy

    cv2.setNumThreads(1)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decode = lambda data: cv2.imdecode(numpy.frombuffer(data, numpy.uint8), flags)  # noqa: E731
    return decode, "opencv-python-headless"


def imagecodecs():
    from imagecodecs import jpeg8_decode

    return jpeg8_decode, "imagecodecs"


def turbojpeg():
    from turbojpeg import TJPF_RGB, TurboJPEG

    turbo = TurboJPEG()
    return lambda data: turbo.decode(data, pixel_format=TJPF_RGB), "PyTurboJPEG"


DECODERS = {
    "ringfeed.decode": ringfeed,
    "libjpeg-turbo by PyTurboJPEG": turbojpeg,
    "simplejpeg": simplejpeg,
    "imagecodecs jpeg8": imagecodecs,
    "OpenCV": opencv,
    "torchvision.io": torchvision,
    "Pillow": pillow,
}


def differences(decode, reference, files):
    import numpy

    total = count = most = 0
    for data in files:
        ours, theirs = (numpy.asarray(f(data)).astype(int) for f in (decode, reference))
        difference = numpy.abs(ours - theirs)
        total, count = total + int(difference.sum()), count + difference.size
        most = max(most, int(difference.max()))
    return {"mean": total / count, "max": most}


def main():
    spec = json.loads(sys.argv[1])
    os.sched_setaffinity(0, spec["cores"])
    import torch

    torch.set_num_threads(1)
    files = []
    for path in spec["files"]:
        with open(path, "rb") as file:
            files.append(file.read())
    running, results = {}, {}
    reference, _ = pillow()
    for name, make in DECODERS.items():
        try:
            decode, package = make()
            pixels = differences(decode, reference, files[:64])
            version = importlib.metadata.version(package) if package != "ringfeed" else "this tree"
            results[name] = {"version": version, "pixels": pixels, "rates": []}
            running[name] = decode
        except Exception as error:
            results[name] = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    for _ in range(spec["rounds"]):
        for name, decode in running.items():
            began = time.process_time()
            for data in files:
                decode(data)
            results[name]["rates"].append(len(files) / (time.process_time() - began))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
