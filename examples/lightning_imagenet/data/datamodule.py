"""Where the training script looks for its data: ringfeed's module, as it is."""

from ringfeed.lightning import ImageNetDataModule

__all__ = ["ImageNetDataModule"]
