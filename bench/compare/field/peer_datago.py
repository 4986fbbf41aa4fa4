"""datago on a folder: its threads crop to a square and resize; batched and normalised here."""

import json
import os

import numpy as np
import torch

# Read as the library is loaded.
THREADS = "DATAGO_MAX_TASKS"
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


class Peer:
    def __init__(self, spec):
        os.environ[THREADS] = str(spec["threads"])
        self.spec = spec

    def samples(self, shuffle):
        from datago import DatagoClient

        count = len(self.spec["files"])
        client = DatagoClient(
            json.dumps(
                {
                    "source_type": "file",
                    "source_config": {"root_path": self.spec["root"], "random_sampling": shuffle},
                    "image_config": {
                        "crop_and_resize": True,
                        "default_image_size": 224,
                        "downsampling_ratio": 224,
                        "min_aspect_ratio": 1.0,
                        "max_aspect_ratio": 1.0,
                        "pre_encode_images": False,
                    },
                    "limit": count,
                    "samples_buffer_size": 64,
                }
            )
        )
        for _ in range(count):
            sample = client.get_sample()
            if sample is None:
                return
            yield np.array(sample.image.convert("RGB"))

    def epoch(self):
        batch = []
        for pixels in self.samples(True):
            batch.append(torch.from_numpy(pixels))
            if len(batch) == self.spec["batch_size"]:
                yield self.finish(batch)
                batch = []
        if batch:
            yield self.finish(batch)

    def finish(self, batch):
        images = torch.stack(batch).float().div_(255).sub_(MEAN).div_(STD)
        return len(images.permute(0, 3, 1, 2).contiguous())

    def versions(self):
        from importlib.metadata import version

        return {"datago": version("datago")}
