"""One peer in a process of its own: makes it, then runs what standard input asks for."""

import importlib
import json
import os
import sys
import time


def run_epochs(peer, epochs, files):
    began, first = time.perf_counter(), None
    for _ in range(epochs):
        images = 0
        for count in peer.epoch():
            first = first or time.perf_counter() - began
            images += count
        if images != files:
            raise RuntimeError(f"gave {images} images of {files}")
    return {"images": epochs * files, "seconds": time.perf_counter() - began, "first": first}


def save_val(peer, path):
    """Whether it has such a transform."""
    import numpy

    if not hasattr(peer, "val"):
        return {"saved": False}
    numpy.save(path, numpy.stack(list(peer.val())))
    return {"saved": True}


def main():
    spec = json.loads(sys.argv[1])
    os.sched_setaffinity(0, spec["cores"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print

    def answer(message):
        print(json.dumps(message), file=answers, flush=True)

    try:
        import torch

        torch.set_num_threads(spec["threads"])
        peer = importlib.import_module(spec["module"]).Peer(spec)
        answer({"versions": peer.versions()})
        for line in sys.stdin:
            task, *arguments = json.loads(line)
            answer({"epochs": run_epochs, "val": save_val}[task](peer, *arguments))
    except Exception as error:
        # The end alone where a library has put a page of text.
        answer({"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]})
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
