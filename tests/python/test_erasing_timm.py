"""timm's RandomErasing against timm itself."""

from __future__ import annotations

import collections
import math
import random

import numpy as np
import pytest
import torch

erasing = pytest.importorskip("timm.data.random_erasing")
pytest.importorskip("torchvision")

from PIL import Image
from torchvision import transforms as v1

import ringfeed
from drawn import furthest_apart, rows_of
from ringfeed.transforms import compile_transform
from small_images import make

SEED = 92
COUNT = 100_000


def recipe(step, size=(61, 75)):
    return v1.Compose([v1.RandomResizedCrop(size), v1.ToTensor(), step])


def timm(**options):
    return erasing.RandomErasing(device="cpu", **options)


class Boxes(list):
    """In place of an image: the boxes that timm sets."""

    def __setitem__(self, where, values):
        _, rows, columns = where
        self.append(
            (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        )


OPTIONS = {
    "as they are": {},
    "one to four": {"probability": 0.9, "max_count": 4, "max_area": 0.5},
    "three, tall or flat": {
        "probability": 1,
        "min_count": 3,
        "min_aspect": 0.1,
        "max_aspect": 9,
        "max_area": 0.9,
    },
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("size", [(61, 75), (20, 200)])
def test_boxes_are_drawn_as_timm_draws_them(tmp_path, options, size):
    """In the second size tries fail."""
    step = timm(**options)
    rows = rows_of(tmp_path, recipe(step, size), COUNT, SEED)["erased"]
    ours = [[box for box in sample if box[2]] for sample in rows.tolist()]
    random.seed(SEED)
    theirs = []
    for _ in range(COUNT // 5):
        boxes = Boxes()
        step._erase(boxes, 3, *size, torch.float32)
        theirs.append([box for box in boxes if box[2] and box[3]])
    counts = [collections.Counter(map(len, found)) for found in (ours, theirs)]
    for number in counts[0] | counts[1]:
        a, b = counts[0][number] / COUNT, counts[1][number] / (COUNT // 5)
        assert abs(a - b) < 6 * math.sqrt(max(a, b) / (COUNT // 5)), (SEED, number)
    # By place in the row: boxes of one sample depend on each other by their number.
    for place in range(rows.shape[1]):
        ours_there = np.array([found[place] for found in ours if len(found) > place])
        theirs_there = np.array([found[place] for found in theirs if len(found) > place])
        limit = math.sqrt(math.log(2e6) / 2 * (1 / len(ours_there) + 1 / len(theirs_there)))
        for column in range(4):
            apart = furthest_apart(ours_there[:, column], theirs_there[:, column])
            assert apart < limit, (SEED, place, column)


@pytest.mark.parametrize("mode", ["const", "rand", "pixel"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_samples_are_replayed(tmp_path, mode, channels_last):
    transform = recipe(timm(probability=0.8, mode=mode, max_count=3))
    dataset = make(tmp_path, 40, transform)
    with ringfeed.DataLoader(
        dataset, batch_size=8, num_workers=2, seed=SEED, channels_last=channels_last
    ) as loader:
        rows = loader.draws(0)
        images = torch.cat([images for images, _ in loader])
    erased = 0
    for row, got in zip(rows, images, strict=True):
        image = Image.open(dataset.samples[row["index"]][0]).convert("RGB")
        assert torch.equal(got, ringfeed.replay(row, image, transform)), row
        for top, left, height, width in row["erased"][-1:].tolist():
            # The last box, which no other covers: timm's values have this form.
            box = got[:, top : top + height, left : left + width].flatten(1)
            kinds = [len(set(channel.tolist())) for channel in box if height * width > 1]
            assert all(kind == 1 for kind in kinds) or mode == "pixel"
            assert all(kind > 1 for kind in kinds) or mode != "pixel"
            assert (box == 0).all() == (mode == "const" or box.numel() == 0)
            erased += bool(kinds)
    assert erased > 5


REFUSED = {
    "probability": {"probability": 1.5},
    "min_area": {"min_area": 0.5, "max_area": 0.4},
    "max_area": {"max_area": 1.5},
    "min_count": {"min_count": 0},
    "max_count": {"max_count": 5000},
    "num_splits": {"num_splits": 2},
}


@pytest.mark.parametrize("name, options", REFUSED.items(), ids=REFUSED)
def test_what_it_cannot_do_is_refused_by_name(name, options):
    with pytest.raises(ringfeed.UnsupportedTransform, match=rf"step 3, RandomErasing.*{name}"):
        text_of(timm(**options))


def test_a_subclass_with_another_rule_is_refused():
    class Other(erasing.RandomErasing):
        def _erase(self, *args):
            pass

    with pytest.raises(ringfeed.UnsupportedTransform, match="its own _erase"):
        text_of(Other(device="cpu"))


def text_of(step):
    recipe_of_all = compile_transform(recipe(step), dtype=None, channels_last=False, pillow="13")
    return recipe_of_all.text


def test_the_recipes_text_tells_them_apart():
    texts = [
        text_of(timm(**options))
        for options in ({}, {"mode": "rand"}, {"mode": "pixel"}, {"max_count": 2})
    ]
    assert len(set(texts)) == 4
    assert "erase(0.5, scale=0.02..0.33" in texts[0]
    assert texts[3].endswith("boxes=1..2) float32 contiguous pillow>=13")
