"""Who takes part: the module that drives it, what to ask it for, and what pip installs for it."""

from typing import NamedTuple


class Peer(NamedTuple):
    name: str
    module: str
    kind: str
    packages: tuple[str, ...]
    remark: str = ""


PEERS = [
    Peer("torch DataLoader, PIL", "peer_torch", "pil", ()),
    Peer("the same on pillow-simd", "peer_torch", "pil", ("pillow-simd",)),
    Peer("torch DataLoader, v2 tensors", "peer_torch", "tensors", ()),
    Peer("ringfeed", "peer_torch", "ringfeed", ()),
    Peer("DALI, CPU", "peer_dali", "", ("nvidia-dali-cuda120",)),
    Peer("TurboLoader", "peer_turboloader", "", ("turboloader",)),
    Peer("datago", "peer_datago", "", ("datago",), "no random crop: the centre, resized"),
]
IMPORTS = Peer("torch alone", "peer_imports", "", ())
DECODERS = ("simplejpeg", "opencv-python-headless", "imagecodecs", "PyTurboJPEG")
