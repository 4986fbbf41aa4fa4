"""Files read ahead of whoever opens them: what is taken is what open() would have given."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from native import run_python
from ringfeed._ringfeed import FileFetcher


@pytest.fixture
def files(tmp_path):
    """Paths of files of 0 bytes to a megabyte, whose content states their name."""
    paths = []
    for number, size in enumerate([0, 1, 4096, 100_000, 131_072, 1_000_000] * 5):
        path = tmp_path / f"f{number}"
        path.write_bytes((f"{path}\n".encode() * (size // len(str(path)) + 1))[:size])
        paths.append(str(path))
    return paths


def content(path):
    return Path(os.fsdecode(path)).read_bytes()


def test_taken_bytes_are_those_of_open(files, reader):
    fetcher = FileFetcher(reader)
    assert fetcher.reader == reader
    assert fetcher.announce(files)
    for path in reversed(files):
        taken = fetcher.take(path)
        assert type(taken) is bytes
        assert taken == content(path)
        assert fetcher.take(path) is None


def test_str_bytes_and_path_like_name_the_same_file(files, tmp_path, reader):
    odd = os.fsencode(tmp_path) + b"/\xff\n.bin"
    with open(odd, "wb") as file:
        file.write(b"odd")
    fetcher = FileFetcher(reader)
    assert fetcher.announce([files[3], os.fsencode(files[4]), tmp_path / "f5", odd])
    assert fetcher.take(tmp_path / "f3") == content(files[3])
    assert fetcher.take(files[4]) == content(files[4])
    assert fetcher.take(os.fsencode(files[5])) == content(files[5])
    assert fetcher.take(os.fsdecode(odd)) == b"odd"


def opened(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return type(error), error.args, error.filename


def taken(fetcher, path):
    try:
        return fetcher.take(path)
    except OSError as error:
        return type(error), error.args, error.filename


def test_what_cannot_be_opened_raises_what_open_raises(files, tmp_path, reader):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    bad = [
        tmp_path / "missing",
        os.fsencode(tmp_path / "missing"),
        str(tmp_path / "f1" / "below a file"),
        str(tmp_path / "loop"),
        str(tmp_path / ("x" * 300)),
        str(tmp_path),
    ]
    fetcher = FileFetcher(reader)
    assert fetcher.announce([files[1], *bad, files[3]])
    for path in [files[1], *bad, files[3]]:
        assert taken(fetcher, path) == opened(path), path


def test_what_is_no_path_is_left_to_open(files, reader):
    fetcher = FileFetcher(reader)
    assert fetcher.announce(["a\0b", "\ud800", "", files[3]])
    for path in ["a\0b", "\ud800", ""]:
        assert fetcher.take(path) is None
    assert fetcher.take(files[3]) == content(files[3])
    with pytest.raises(TypeError):
        fetcher.announce([files[3], 1])
    with pytest.raises(TypeError):
        fetcher.announce(files[3])
    with pytest.raises(TypeError):
        fetcher.take(None)


def test_another_thread_is_refused(files, reader):
    fetcher = FileFetcher(reader)
    assert fetcher.announce(files)
    said = []
    thread = threading.Thread(
        target=lambda: said.extend([fetcher.announce(files), fetcher.take(files[3])])
    )
    thread.start()
    thread.join()
    assert said == [False, None]
    assert fetcher.take(files[3]) == content(files[3])


def test_wrong_readers_are_named(ring_refused):
    with pytest.raises(ValueError, match="'auto', 'ring', 'pool'"):
        FileFetcher("rings")
    if ring_refused:
        with pytest.raises(OSError):
            FileFetcher("ring")


def read_all(reader, files, queue):
    fetcher = FileFetcher(reader)
    fetcher.announce(files)
    queue.put([fetcher.take(path) == content(path) for path in files])


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_reads_files_of_its_own(files, reader, method):
    own = FileFetcher(reader)
    own.announce(files)
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    child = context.Process(target=read_all, args=(reader, files, queue))
    child.start()
    assert queue.get() == [True] * len(files)
    child.join()
    assert child.exitcode == 0
    assert [own.take(path) for path in files] == [content(path) for path in files]


def test_a_forked_child_is_refused_and_may_end_as_it_likes(files, reader):
    run_python(
        """
import os, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)
from ringfeed._ringfeed import FileFetcher
fetcher = FileFetcher(sys.argv[1])
path = sys.argv[2]
fetcher.announce([path] * 50)
child = os.fork()
if child == 0:
    assert not fetcher.announce([path])
    assert fetcher.take(path) is None
    del fetcher
    sys.exit(0)  # with all exit hooks
assert os.waitpid(child, 0)[1] == 0
assert fetcher.take(path) == Path(path).read_bytes()
""",
        reader,
        files[5],
    )


def test_children_forked_while_a_loader_runs_read_files(files, sample, reader):
    run_python(
        """
import os, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)
from native import *
from ringfeed._ringfeed import FileFetcher
reader, root, *files = sys.argv[1:]
native = Native(root, reader=reader, batch_size=4, num_workers=2)
contents = [Path(path).read_bytes() for path in files]
forks = epochs = 0
while forks < 200:
    epoch = native.loader.epoch(epochs)
    epochs += 1
    while forks < 200 and epoch.next() is not None:
        forks += 1
        child = os.fork()
        if child == 0:
            fetcher = FileFetcher(reader)
            right = fetcher.announce(files) and [fetcher.take(path) for path in files] == contents
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0, forks
""",
        reader,
        sample / "val",
        *files[:8],
        timeout=500,
    )


HOLDER = """
import fcntl, os, signal, sys
file = os.open(sys.argv[1], os.O_RDWR)
signal.signal(signal.SIGIO, signal.SIG_IGN)
try:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
except OSError as error:
    sys.exit(error)
print("held", flush=True)
sys.stdin.readline()
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
"""


@pytest.fixture
def held(tmp_path):
    """A file that another process holds by a lease, and what lets it go."""
    path = tmp_path / "held"
    path.write_bytes(b"content")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        if holder.stdout.readline() != b"held\n":
            pytest.skip(f"no leases in {tmp_path}")
        yield path, holder.stdin.close


def test_an_interrupt_ends_the_wait_and_the_file_may_be_taken_still(held, files, reader):
    path, let_go = held
    fetcher = FileFetcher(reader)
    refused = []

    def interrupt(*_):
        refused.append(fetcher.take(path))  # within take()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        fetcher.announce([path, files[3]])
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            fetcher.take(path)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert refused == [None]
    assert fetcher.take(files[3]) == content(files[3])
    let_go()
    assert fetcher.take(path) == b"content"


def test_other_threads_run_while_a_file_is_waited_for(held, reader):
    path, let_go = held
    fetcher = FileFetcher(reader)
    fetcher.announce([path])
    threading.Thread(target=let_go).start()
    assert fetcher.take(path) == b"content"
