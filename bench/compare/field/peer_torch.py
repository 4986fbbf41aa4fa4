"""torch's DataLoader with Pillow or with torchvision's tensors, and ringfeed's in its place."""

import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def read_tensor(path):
    return decode_image(path, ImageReadMode.RGB)


class Peer:
    def __init__(self, spec):
        self.root, self.kind = spec["root"], spec["kind"]
        train = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
        train += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        if self.kind == "tensors":
            train = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()]
            train += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
        self.loader = self.make(train, spec["batch_size"], spec["threads"], shuffle=True)

    def make(self, steps, batch_size, threads, **options):
        reading = {"loader": read_tensor} if self.kind == "tensors" else {}
        dataset = ImageFolder(self.root, transforms.Compose(steps), **reading)
        if self.kind == "ringfeed":
            from ringfeed import DataLoader

            return DataLoader(dataset, batch_size, num_workers=threads, **options)
        # One thread is this process itself, which spares it the way between processes.
        workers = 0 if threads == 1 else threads
        return torch.utils.data.DataLoader(
            dataset, batch_size, num_workers=workers, persistent_workers=workers > 0, **options
        )

    def epoch(self):
        for images, _ in self.loader:
            yield len(images)

    def val(self):
        steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()]
        if self.kind == "tensors":
            steps = [v2.Resize(256, antialias=True), v2.CenterCrop(224)]
        for images, _ in self.make(steps, 1, 1):
            yield images[0].permute(1, 2, 0).numpy()

    def versions(self):
        import PIL
        import torchvision

        found = {"torch": torch.__version__, "torchvision": torchvision.__version__}
        found["Pillow"] = PIL.__version__
        if self.kind == "ringfeed":
            import ringfeed

            found["ringfeed"] = ringfeed.__version__
        return found
