"""A loader's samples against their replay."""

import collections

import numpy as np

import ringfeed
from torchvision_reference import differing, finish, load

SEED = 91


def assert_replayed(paths, transform, epochs=1, dtype=None, **options):
    """Compares every sample of the epochs with its replay; gives their rows of draws."""
    dataset = ringfeed.ImageList(paths, [0] * len(paths), transform)
    replayed = []
    with ringfeed.DataLoader(
        dataset, batch_size=16, shuffle=True, num_workers=2, seed=SEED, dtype=dtype, **options
    ) as loader:
        for epoch in range(epochs):
            replayed.append(loader.draws(epoch))
            rows = iter(replayed[-1])
            loader.set_epoch(epoch)
            for images, _ in loader:
                for got in images:
                    row = next(rows)
                    path = dataset.samples[row["index"]][0]
                    wanted = ringfeed.replay(row, load(path), transform)
                    wrong = differing(got, finish(wanted, [], dtype))
                    assert not wrong, f"seed {SEED}, epoch {epoch}: {wrong} values of {path}, {row}"
            assert next(rows, None) is None
    return np.concatenate(replayed)


def kinds(rows):
    """How often each kind of operation was done."""
    found = rows["operations"]["kind"]
    return collections.Counter(map(str, found[found != ""]))
