"""SPDL: its decoder is FFmpeg's, whose shared libraries have to be there."""

import spdl.io


class Peer:
    def __init__(self, spec):
        spdl.io.load_image(spec["files"][0])  # raises where FFmpeg lacks
        raise NotImplementedError("not driven by this script yet")
