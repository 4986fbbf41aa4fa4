"""The release wheel in a clean environment, on a system without the libraries that it carries.

RINGFEED_WHEEL names the wheel; tools/wheel.sh makes it. The clean environment borrows torch and its
like from the Python that runs the tests: a second copy would take 5 GB.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import venv
import zipfile
from pathlib import Path

import numpy
import PIL
import pytest
import torch
import torchvision

CARRIED = re.compile(r"lib(uring|jpeg|turbojpeg|png16|png|hwy|xxhash)\b")
# What stands on PYTHONPATH would count as installed, and hide what is.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
GLIBC_AND_GCC = re.compile(r"(ld-linux[\w-]*|lib(c|m|dl|pthread|rt|gcc_s|stdc\+\+))\.so\.[\d.]+")
LIBRARIES = Path("/usr/lib", f"{os.uname().machine}-linux-gnu")

# Replaces the folder $1 by a view of the names on standard input, in this mount namespace alone.
NARROW = """
  set -e
  folder=$1 below=$2; shift 2
  mkdir "$below/all" "$below/view"
  mount --bind "$folder" "$below/all"
  mount -t tmpfs none "$below/view"
  while read -r name; do ln -s "$below/all/$name" "$below/view/$name"; done
  mount --bind "$below/view" "$folder"
  exec "$@" </dev/null
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    if "RINGFEED_WHEEL" not in os.environ:
        pytest.skip("RINGFEED_WHEEL names no wheel (tools/wheel.sh makes one)")
    return Path(os.environ["RINGFEED_WHEEL"]).resolve()


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and no other ringfeed within reach."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, env=ENVIRONMENT, check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    borrowed = {Path(module.__file__).parents[1] for module in (numpy, PIL, torch, torchvision)}
    (packages / "borrowed.pth").write_text("\n".join(map(str, borrowed)))
    return folder


def narrowed(names, tmp_path, command):
    """Runs `command` where LIBRARIES holds nothing but `names`."""
    if not LIBRARIES.is_dir():
        pytest.skip(f"{LIBRARIES} is Debian's place for libraries, and not this system's")
    namespace = ["unshare", "--mount"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user"]
    probe = [*namespace, "mount", "-t", "tmpfs", "none", tmp_path]
    allowed = subprocess.run(probe, capture_output=True, text=True)
    if allowed.returncode != 0:
        pytest.skip(f"mount namespaces are forbidden here: {allowed.stderr.strip()}")
    done = subprocess.run(
        [*namespace, "bash", "-c", NARROW, "bash", LIBRARIES, tmp_path, *command],
        input="".join(f"{name}\n" for name in names),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_needs_nothing_but_glibc_and_gcc_libraries(clean, sample, tmp_path):
    program = next(clean.glob("lib/python*/site-packages/ringfeed/bin/ringfeed"))
    names = [path.name for path in LIBRARIES.iterdir() if GLIBC_AND_GCC.fullmatch(path.name)]
    load = ["load", sample / "val", "--workers", "2", "--json", "--no-cache"]
    report = json.loads(narrowed(names, tmp_path, [program, *load]))
    usual = subprocess.run([os.environ["RINGFEED_CLI"], *load], check=True, stdout=subprocess.PIPE)
    assert report["checksum"] == json.loads(usual.stdout)["checksum"]


MODULE = """
    import ctypes, json, sys
    import torch, torchvision
    from PIL import Image
    from torchvision import transforms
    from torchvision.datasets import ImageFolder
    import ringfeed

    try:
        ctypes.CDLL("libjpeg.so.62")
        sys.exit("libjpeg is not hidden")
    except OSError:
        pass
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    dataset = ImageFolder(sys.argv[1], transforms.Compose(steps))
    loaders = {reader: ringfeed.DataLoader(dataset, batch_size=16, num_workers=2, reader=reader)
               for reader in sys.argv[2:]}
    iterators = {reader: iter(loader) for reader, loader in loaders.items()}
    # The three decode in turn, each with its own libjpeg.
    for batch in torch.utils.data.DataLoader(dataset, batch_size=16):
        for reader, iterator in iterators.items():
            images, labels = next(iterator)
            assert torch.equal(images, batch[0]) and torch.equal(labels, batch[1]), reader
        torchvision.io.decode_image(dataset.samples[0][0], torchvision.io.ImageReadMode.RGB)
    maps = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
    print(json.dumps({"package": ringfeed.__file__, "maps": sorted(maps)}))
"""


def test_the_module_maps_its_own_libraries_beside_those_of_pillow_and_torchvision(
    clean, sample, ring_refused, tmp_path
):
    names = [path.name for path in LIBRARIES.iterdir() if not CARRIED.match(path.name)]
    readers = ["pool"] if ring_refused else ["ring", "pool"]
    command = [clean / "bin/python", "-c", textwrap.dedent(MODULE), sample / "val", *readers]
    seen = json.loads(narrowed(names, tmp_path, command))
    assert Path(seen["package"]).is_relative_to(clean)
    owners = {}
    for path in map(Path, seen["maps"]):
        if found := CARRIED.match(path.name):
            owners.setdefault(found[1], set()).add(path.parent.name)
    assert owners["jpeg"] == {"ringfeed.libs", "pillow.libs", "torchvision.libs"}
    assert "ringfeed.libs" in owners["png16"]
    assert owners["uring"] == owners["hwy"] == owners["xxhash"] == {"ringfeed.libs"}


@pytest.mark.parametrize("place", ["environment", "target"])
def test_the_installed_command_finds_its_program(clean, wheel, place, tmp_path):
    environment = dict(ENVIRONMENT)
    if place == "environment":
        command = [clean / "bin/ringfeed"]
    else:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--no-index", "--target", tmp_path, wheel],
            env=ENVIRONMENT,
            check=True,
        )  # fmt: skip
        command = [tmp_path / "bin/ringfeed"]
        environment["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run([*command, "load", "--help"], env=environment, capture_output=True)
    assert done.returncode == 0 and b"--batch-size" in done.stdout, done.stderr


def test_the_wheel_holds_every_licence_that_it_names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        named = re.findall(r"^License-File: (.+)", archive.read(info).decode(), re.M)
        for name in named:
            assert archive.read(info.replace("METADATA", f"licenses/{name}")).strip()
    # One each for liburing, libjpeg-turbo, libpng, zlib, Highway and xxHash; the project's own.
    for package in ("uring", "jpeg", "png", "zlib", "hwy", "xxhash", "nanobind", "NOTICE"):
        assert any(package in name for name in named), package
