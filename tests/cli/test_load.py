import os
import pty
import signal
import subprocess

import pytest

STAGE_KEYS = {"count", "failed", "bytes", "busy_seconds", "p50_us", "p90_us", "p99_us", "max_us"}


def checksum(cli, folder, *args):
    done = cli("load", folder, "--json", "--batch-size", 4, *args)
    assert done.code == 0, done.err
    return int(done.json["checksum"], 16)


@pytest.fixture(scope="module")
def expected(cli, folder):
    return checksum(cli, folder, "--workers", 1, "--reader", "pool", "--epochs", 2)


@pytest.mark.parametrize("order", [[], ["--out-of-order"]], ids=["in_order", "out_of_order"])
@pytest.mark.parametrize("reader", ["ring", "pool"])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_checksum_is_the_same_for_any_workers_reader_and_delivery(
    cli, folder, expected, workers, reader, order
):
    args = ["--workers", workers, "--reader", reader, "--epochs", 2, *order]
    assert checksum(cli, folder, *args) == expected


@pytest.mark.parametrize("uneven", ["pad", "keep"])
def test_checksums_of_three_ranks_add_up_to_that_of_one(cli, folder, expected, uneven):
    ranks = [
        checksum(cli, folder, "--epochs", 2, "--rank", r, "--world-size", 3, "--uneven", uneven)
        for r in range(3)
    ]
    assert sum(ranks) % 2**64 == expected


def test_world_is_another_name_for_world_size(cli, folder):
    args = ["load", folder, "--json", "--rank", 1]
    by_name = [cli(*args, name, 2).json["checksum"] for name in ("--world", "--world-size")]
    assert by_name[0] == by_name[1]


@pytest.mark.parametrize("policy", ["imagenet", "cifar10", "svhn", "randaugment", "trivialaugment"])
def test_augmented_checksums_differ_by_policy_and_not_by_reader(cli, folder, policy):
    args = ["--augment", policy, "--augment-interpolation", "bilinear", "--epochs", 2]
    sums = [
        checksum(cli, folder, *args, "--reader", reader, "--workers", workers)
        for reader, workers in (("ring", 1), ("pool", 3))
    ]
    assert sums[0] == sums[1]
    assert sums[0] != checksum(cli, folder, "--augment", policy, "--epochs", 2)
    assert sums[0] != checksum(cli, folder, "--epochs", 2)


@pytest.mark.parametrize(
    "change",
    [
        ["--seed", "1"],
        ["--no-shuffle"],
        ["--transform", "val"],
        ["--interpolation", "bicubic"],
        ["--augment", "imagenet"],
        ["--augment", "trivialaugment"],
        ["--dtype", "float16"],
        ["--dtype", "uint8"],
        ["--channels-last"],
        ["--views", "2"],
    ],
    ids=" ".join,
)
def test_checksum_shows_every_option_that_changes_what_is_delivered(cli, folder, change):
    assert checksum(cli, folder, *change) != checksum(cli, folder)


def test_json_has_the_documented_figures(cli, folder):
    done = cli("load", folder, "--json", "--workers", 2, "--batch-size", 8, "--reader", "pool")
    assert done.code == 0 and done.err == ""
    figures = done.json
    assert figures["images"] == 28
    assert figures["epochs"] == 1
    assert figures["workers"] == 2
    assert figures["reader"] == "pool"
    assert figures["verdict"] in {"storage-bound", "decode-bound", "consumer-bound"}
    assert figures["errors"] == []
    assert figures["images_per_second"] == pytest.approx(28 / figures["seconds"])
    for key in ("cpu_seconds", "memory_bound_bytes", "first_batch_seconds"):
        assert figures[key] > 0
    for key in ("starved_seconds", "blocked_seconds"):
        assert figures[key] >= 0
    assert set(figures["stages"]) == {"read", "decode", "deliver"}
    assert all(set(stage) == STAGE_KEYS for stage in figures["stages"].values())
    assert figures["stages"]["decode"]["count"] == 28


def test_text_has_the_figures_and_no_progress_where_stderr_is_no_terminal(cli, folder):
    done = cli("load", folder)
    assert done.code == 0 and done.err == ""
    for word in ("images/s", "CPU seconds", "checksum", "memory bound", "reader", "verdict"):
        assert word in done.out


def test_no_checksum_leaves_it_out(cli, folder):
    assert cli("load", folder, "--json", "--no-checksum").json["checksum"] is None


def test_max_batches_ends_a_run_early(cli, folder):
    done = cli("load", folder, "--json", "--batch-size", 4, "--max-batches", 3)
    assert done.code == 0
    assert done.json["images"] == 12 and done.json["epochs"] == 0


def damage(kind, victim):
    data = victim.read_bytes()
    victim.unlink()
    if kind == "truncated":
        victim.write_bytes(data[: len(data) // 2])
    elif kind == "empty":
        victim.write_bytes(b"")
    elif kind == "text":
        victim.write_bytes(b"no picture at all\n" * 50)
    elif kind == "missing":
        victim.symlink_to(victim.parent / "gone.bin")
    elif kind == "fifo":
        os.mkfifo(victim)


@pytest.mark.parametrize("reader", ["ring", "pool"])
@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "missing", "fifo"])
def test_a_bad_file_is_named_once_with_its_stage(cli, small_folder, kind, reader):
    victim = small_folder / "class_0" / "1.jpg"
    damage(kind, victim)
    done = cli(
        "load", small_folder, "--json", "--batch-size", 1, "--no-shuffle", "--reader", reader
    )
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("ringfeed: ") and str(victim) in line
    (error,) = done.json["errors"]
    assert error["path"] == str(victim)
    assert error["stage"] in (
        {"open", "read"} if kind in ("missing", "fifo") else {"read", "decode"}
    )
    assert error["stage"] in line
    assert done.json["images"] == 1, "the batches before the bad one count"


def test_load_truncated_accepts_what_pillow_would(cli, small_folder):
    damage("truncated", small_folder / "class_0" / "1.jpg")
    assert cli("load", small_folder, "--load-truncated").code == 0


def test_keep_going_names_every_bad_file_and_loads_the_rest(cli, medium_folder):
    images = sorted(medium_folder.glob("*/*.jpg"))
    bad = [images[1], images[-1]]
    for victim in bad:
        damage("text", victim)
    done = cli("load", medium_folder, "--keep-going", "--batch-size", "1", "--json")
    assert done.code == 1
    assert sorted(error["path"] for error in done.json["errors"]) == sorted(map(str, bad))
    assert done.json["images"] == len(images) - len(bad)


@pytest.mark.parametrize("option", ["--seed", "--max-batches", "--rank"])
def test_a_negative_number_is_refused_where_none_makes_sense(cli, folder, option):
    done = cli("load", folder, option, "-1")
    assert done.code == 2
    assert option in done.err


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_the_figures_so_far(cli_path, environment, folder, sign):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [cli_path, "load", folder, "--epochs", "1000000", "--batch-size", "4"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=environment,
    )
    os.close(theirs)
    seen = b""
    while b"images/s" not in seen:  # the live line: batches are flowing
        seen += os.read(ours, 4096)
    process.send_signal(sign)
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 130
    assert "images/s" in out and "verdict" in out


@pytest.fixture
def damaged(medium_folder):
    """Eight pictures, two of them cut off."""
    for name in ("class_0/1.jpg", "class_1/2.jpg"):
        with open(medium_folder / name, "r+b") as file:
            file.truncate(400)
    return medium_folder


@pytest.mark.parametrize("reader", ["ring", "pool"])
@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_on_error_lets_bad_files_pass_and_names_them(cli, damaged, reader, on_error):
    args = ["--on-error", on_error, "--batch-size", 4, "--no-shuffle", "--reader", reader]
    done = cli("load", damaged, "--json", *args)
    assert done.code == 0, done.err
    assert done.json["batches"] == 2
    assert done.json["images"] == (6 if on_error == "skip" else 8)
    assert (done.json["skipped"], done.json["replaced"]) == (
        (2, 0) if on_error == "skip" else (0, 2)
    )
    failures = [failure for failure in done.json["failures"] if failure["position"] in (1, 6)]
    assert done.json["failed"] == len(done.json["failures"])
    assert [failure["stage"] for failure in failures[:1]] == ["decode"]
    assert failures[0]["path"] == str(damaged / "class_0" / "1.jpg")
    assert (failures[0]["substitute"] is None) == (on_error == "skip")
    text = cli("load", damaged, *args)
    assert text.code == 0
    said = "left out" if on_error == "skip" else "replaced by "
    assert text.err.count(f"warning: {said}") == done.json["failed"]


def test_max_failures_ends_the_load_and_names_the_files(cli, damaged):
    args = ["--on-error", "skip", "--batch-size", 4, "--no-shuffle", "--max-failures", 1]
    done = cli("load", damaged, *args)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert "2 files of this epoch have failed, where 1 may" in last
    assert "raise --max-failures" in last
    assert "class_0/1.jpg" in last and "class_1/2.jpg" in last


@pytest.mark.parametrize(
    "args", [["--on-error", "ignore"], ["--max-failures", 3], ["--retries", -1]], ids=str
)
def test_wrong_ways_to_take_errors_are_usage_errors(cli, folder, args):
    assert cli("load", folder, *args).code == 2
