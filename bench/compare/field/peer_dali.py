"""DALI's CPU pipeline: part decoding, triangular filter with antialiasing as Pillow's bilinear."""

import math

import nvidia.dali
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.plugin.pytorch import DALIClassificationIterator, LastBatchPolicy

MEAN = [255 * x for x in (0.485, 0.456, 0.406)]
STD = [255 * x for x in (0.229, 0.224, 0.225)]


@pipeline_def
def train(root):
    files, labels = fn.readers.file(file_root=root, random_shuffle=True, name="files")
    images = fn.decoders.image_random_crop(files, device="cpu", output_type=types.RGB)
    images = fn.resize(
        images, size=[224, 224], interp_type=types.INTERP_LINEAR, antialias=True, device="cpu"
    )
    images = fn.crop_mirror_normalize(
        images, dtype=types.FLOAT, output_layout="CHW", mean=MEAN, std=STD,
        mirror=fn.random.coin_flip(),
    )  # fmt: skip
    return images, labels


@pipeline_def
def val(files):
    encoded, _ = fn.readers.file(files=files, name="files")
    images = fn.decoders.image(
        encoded, device="cpu", output_type=types.RGB, adjust_orientation=False
    )
    return fn.crop(
        fn.resize(
            images, resize_shorter=256, interp_type=types.INTERP_LINEAR, antialias=True,
            device="cpu",
        ),
        crop=(224, 224), crop_pos_x=0.5, crop_pos_y=0.5,
    )  # fmt: skip


class Peer:
    def __init__(self, spec):
        self.files, self.batch_size = spec["files"], spec["batch_size"]
        pipe = train(
            spec["root"], batch_size=self.batch_size, num_threads=spec["threads"], device_id=None
        )
        self.loader = DALIClassificationIterator(
            pipe, reader_name="files", last_batch_policy=LastBatchPolicy.PARTIAL, auto_reset=True
        )

    def epoch(self):
        for (batch,) in self.loader:
            yield len(batch["data"])

    def val(self):
        pipe = val(self.files, batch_size=16, num_threads=1, device_id=None)
        left = len(self.files)
        for _ in range(math.ceil(left / 16)):
            (images,) = pipe.run()
            for at in range(min(16, left)):
                yield images.at(at)
            left -= 16

    def versions(self):
        return {"DALI": nvidia.dali.__version__}
