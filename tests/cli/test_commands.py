import json
import os
import re
import resource
import subprocess

import pytest
from PIL import Image


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["load"],
        ["nonsense"],
        ["load", "ROOT", "--nonsense"],
        ["load", "ROOT", "--reader", "uring"],
        ["load", "ROOT", "--batch-size", "0"],
        ["load", "ROOT", "--batch-size", "many"],
        ["load", "ROOT", "--workers", "-1"],
        ["load", "ROOT", "--timeout", "nan"],
        ["bench", "load", "ROOT", "--seconds", "nan"],
        ["load", "ROOT", "--dtype", "float64"],
        ["load", "ROOT", "--pillow", "11"],
        ["load", "ROOT", "--read-ahead-bytes", "12X"],
        ["load", "ROOT", "--rank", "3", "--world", "3"],
        ["load", "ROOT", "--memory-limit", "1M"],
        ["bench", "ROOT"],
        ["bench", "decode", "ROOT", "--seconds", "0"],
        ["preview", "ROOT"],
        ["load", "ROOT", "--views", "0"],
        ["bench", "decode", "ROOT", "--views", "257"],
        ["load", "ROOT", "--augment", "augmix"],
        ["load", "ROOT", "--augment-interpolation", "bilinear"],
        ["load", "ROOT", "--augment", "svhn", "--augment-interpolation", "lanczos"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_exits_2_with_one_line(cli, folder, args):
    done = cli(*[folder if arg == "ROOT" else arg for arg in args])
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1 and done.err.startswith("ringfeed: ")


@pytest.mark.parametrize(
    ("args", "closest"),
    [
        (["load", "--epoch", "3", "ROOT"], "--epochs"),
        (["load", "ROOT", "--worker=3"], "--workers"),
        (["bench", "load", "ROOT", "--sead", "1"], "--seed"),
        (["load", "ROOT", "--learning-rate", "1"], None),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value or []),
)
def test_an_unknown_option_is_named_with_the_closest_that_there_is(cli, folder, args, closest):
    done = cli(*[folder if arg == "ROOT" else arg for arg in args])
    unknown = next(arg for arg in args if arg.startswith("--")).partition("=")[0]
    expected = f"ringfeed: there is no option {unknown}"
    expected += f"; did you mean {closest}? (see" if closest else " (see"
    assert done.code == 2 and done.err.startswith(expected)


@pytest.mark.parametrize(
    ("args", "wrong"),
    [
        (["lod", "ROOT"], "there is no command lod; did you mean load?"),
        (["bench", "foo"], "there is no command foo"),
        (["bench", "lod", "ROOT"], "there is no command lod; did you mean load?"),
        (["bench"], "name a command: read, decode, load"),
        ([], "name a command: scan, load, bench, doctor, preview"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_an_unknown_command_is_named_and_a_missing_one_asked_for(cli, folder, args, wrong):
    done = cli(*[folder if arg == "ROOT" else arg for arg in args])
    used = "ringfeed bench" if args[:1] == ["bench"] else "ringfeed"
    assert done.code == 2 and done.err == f"ringfeed: {wrong} (see {used} --help)\n"
    (error,) = cli(*args, "--json").json["errors"]
    assert error["message"] == wrong


def test_workers_may_be_asked_for_by_torchs_name(cli, folder):
    assert cli("load", folder, "--num-workers", 3, "--json").json["workers"] == 3


def pad(path, size):
    """Puts comments before the image of a JPEG, until it has at least so many bytes."""
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    image = path.read_bytes()
    path.write_bytes(image[:2] + comment * (1 + size // len(comment)) + image[2:])


def flags_in(text):
    return set(re.findall(r"--[a-z][a-z-]*", text))


LOWER = ["--memory-limit", "--workers", "--batch-size", "--prefetch-factor", "--max-file-bytes"]
LOWER += ["--max-decoder-bytes", "--max-pixels"]


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--batch-size", "0"], ["--batch-size"]),
        (["--workers", "1025"], ["--workers"]),
        (["--prefetch-factor", "1025"], ["--prefetch-factor"]),
        (["--world-size", "0"], ["--world-size"]),
        (["--rank", "3", "--world-size", "3"], ["--rank", "--world-size"]),
        (["--timeout", "-1"], ["--timeout"]),
        (["--depth", "16385"], ["--depth"]),
        (["--read-ahead-bytes", "1"], ["--read-ahead-bytes"]),
        (["--max-file-bytes", "0"], ["--max-file-bytes"]),
        (["--max-pixels", "0"], ["--max-pixels"]),
        (["--max-scans", "0"], ["--max-scans"]),
        (["--max-decoder-bytes", "0"], ["--max-decoder-bytes"]),
        (["--memory-limit", "1M"], LOWER),
        (["--memory-limit", "1M", "--read-ahead-bytes", "1M"], [*LOWER, "--read-ahead-bytes"]),
    ],
    ids=" ".join,
)
def test_an_option_that_makes_no_sense_is_named_by_its_flag(cli, folder, args, named):
    done = cli("load", folder, *args)
    assert done.code == 2
    message = done.err.replace("(see ringfeed load --help)", "")
    assert set(named) == flags_in(message) <= flags_in(cli("load", "--help").out)
    assert not re.search(r"Options|::|[a-z]_[a-z]", message)


@pytest.mark.parametrize(
    "command",
    [["load"], ["bench", "read"], ["bench", "decode"], ["bench", "load"], ["preview"]],
    ids=" ".join,
)
def test_the_flag_that_the_error_for_a_large_file_names_helps(cli, small_folder, tmp_path, command):
    pad(small_folder / "class_0" / "0.jpg", 65 << 20)
    args = [*command, small_folder, "--workers", 1]
    args += {"load": [], "bench": ["--images", 4], "preview": ["-o", tmp_path / "sheet.png"]}[
        command[0]
    ]
    refused = cli(*args)
    assert refused.code == 1
    (flag,) = flags_in(refused.err)
    helped = cli(*args, flag, "70M")
    assert (helped.code, helped.err) == (0, "")


@pytest.mark.parametrize("args", [["--nonsense"], ["--batch-size", "many"], ["--rank", "1"]])
def test_a_wrong_command_line_with_json_leaves_one_document(cli, folder, args):
    done = cli("load", folder, *args, "--json")
    assert done.code == 2
    assert [error["stage"] for error in done.json["errors"]] == ["setup"]


def test_sizes_take_suffixes(cli, folder):
    def bound(size):
        args = ["--max-file-bytes", "1M", "--batch-size", 4, "--read-ahead-bytes", size]
        return cli("load", folder, "--json", *args).json["memory_bound_bytes"]

    assert bound("64M") == bound(str(64 << 20))
    assert bound("64M") - bound("32M") == 32 << 20


@pytest.mark.parametrize("command", ["scan", "load", "bench", "doctor", "preview"])
def test_every_command_has_help(cli, command):
    done = cli(command, "--help")
    assert done.code == 0 and "--help" in done.out and done.err == ""


def test_version_is_printed(cli):
    assert cli("--version").out.startswith("ringfeed ")


def test_output_that_cannot_be_written_is_not_success(cli_path, environment, folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [cli_path, "scan", folder], stdout=full, stderr=subprocess.PIPE, env=environment
        )
    assert done.returncode == 1


@pytest.mark.parametrize("reader", ["ring", "pool"])
def test_bench_read_reads_every_file_whole(cli, folder, reader):
    done = cli("bench", "read", folder, "--json", "--reader", reader, "--depth", 8)
    assert done.code == 0 and done.err == ""
    read = done.json["read"]
    assert read["reader"] == reader
    assert read["files"] == 28 and read["failed"] == 0
    assert read["bytes"] == sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    assert 0 < read["p50_us"] <= read["p99_us"] <= read["max_us"]


@pytest.mark.parametrize("command", [["bench", "read"], ["load"]])
@pytest.mark.parametrize("options", [[], ["--reader", "pool"]])
def test_a_wrong_reader_in_the_environment_is_an_error(
    cli_path, environment, folder, command, options
):
    done = subprocess.run(
        [cli_path, *command, folder, *options],
        capture_output=True,
        text=True,
        env=environment | {"RINGFEED_READER": "rings"},
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "RINGFEED_READER=rings: must be one of auto, ring, pool" in done.stderr


def test_bench_read_follows_a_file_larger_than_its_first_buffer(cli, small_folder):
    pad(small_folder / "class_0" / "0.jpg", 1 << 20)
    read = cli("bench", "read", small_folder, "--json").json["read"]
    assert read["bytes"] == sum(f.stat().st_size for f in small_folder.rglob("*.jpg"))


def test_bench_decode_stops_at_the_images_asked_for(cli, folder):
    done = cli("bench", "decode", folder, "--json", "--images", 10, "--workers", 2)
    assert done.code == 0
    decode = done.json["decode"]
    assert decode["images"] == 10 and decode["failed"] == 0
    assert decode["cpu_us_per_image"] > 0


def test_bench_decode_names_a_file_it_cannot_decode(cli, small_folder):
    victim = small_folder / "class_0" / "1.jpg"
    victim.write_bytes(victim.read_bytes()[:2000])
    done = cli("bench", "decode", small_folder, "--json", "--images", 2)
    assert done.code == 1
    assert [error["path"] for error in done.json["errors"]] == [str(victim)]


def test_bench_load_names_the_shorter_stage(cli, folder):
    done = cli("bench", "load", folder, "--seconds", 1)
    assert done.code == 0
    assert "is the shorter stage" in done.out.splitlines()[-1]


def test_bench_names_a_file_it_cannot_read(cli, small_folder):
    victim = small_folder / "class_0" / "1.jpg"
    victim.unlink()
    victim.symlink_to("gone")
    done = cli("bench", "read", small_folder, "--json")
    assert done.code == 1
    assert done.json["read"]["failed"] == 1
    assert done.json["errors"][0]["path"] == str(victim)


@pytest.mark.parametrize("target", ["folder", "file"])
def test_doctor_judges_a_dataset_and_a_file(cli, folder, target):
    path = folder if target == "folder" else folder / "class_0" / "0.jpg"
    done = cli("doctor", path, "--json")
    assert done.code == 0
    findings = {finding["subject"]: finding for finding in done.json["findings"]}
    assert {"kernel", "io_uring", "CPU targets", "file system", "O_DIRECT"} <= set(findings)
    assert findings["kernel"]["value"] == os.uname().release
    for finding in findings.values():
        assert finding["severity"] in {"ok", "note", "warn"}
        assert finding["severity"] == "ok" or finding["advice"]


def test_doctor_tells_of_memory(cli, folder):
    findings = {f["subject"]: f["value"] for f in cli("doctor", folder, "--json").json["findings"]}
    number = r"[\d.]+ [KMGT]iB"
    assert re.fullmatch(
        rf"the (container|machine)'s limit {number}, {number} used, {number} left",
        findings["memory"],
    )
    assert re.match(r"256 images of 224 x 224 a batch, [12] ahead; ", findings["default loader"])


def test_batches_beyond_the_memory_are_an_error_that_names_the_flags(
    cli_path, environment, folder, tmp_path
):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {8 << 20} kB\nMemAvailable: {40 << 10} kB\n")
    mount = 'mount --bind "$0" /proc/meminfo && exec "$@"'
    short = ["unshare", "--mount", "sh", "-c", mount, meminfo]
    if subprocess.run([*short, "true"], capture_output=True).returncode:
        pytest.skip("mounting needs privileges")
    load = [*short, cli_path, "load", folder, "--batch-size", "7", "--views", "4"]
    done = subprocess.run(
        [*load, "--prefetch-factor", "3"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("ringfeed: 3 batches are held at once, each of 16859136 bytes")
    assert flags_in(done.stderr) == {"--batch-size", "--prefetch-factor"}
    done = subprocess.run(load, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--read-ahead-bytes", "1G"], "bytes that are read ahead; lower --read-ahead-bytes, or"),
        (["--max-file-bytes", "1G"], "bytes kept for one large file; lower --max-file-bytes, or"),
        (["--prefetch-factor", "500", "--batch-size", "2"], "lower --batch-size or --prefetch"),
        (["--workers", "300"], "on memory (ulimit -v), or lower --workers"),
    ],
)
def test_what_a_limit_on_memory_leaves_no_room_for_is_named_by_its_flag(
    cli_path, environment, folder, options, said
):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (450 << 20, 450 << 20))

    if "--workers" not in options:
        options = [*options, "--workers", "1"]
    load = [cli_path, "load", folder, "--reader", "pool", "--views", "16", *options]
    done = subprocess.run(load, capture_output=True, text=True, env=environment, preexec_fn=limit)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert said in done.stderr and "(ulimit -v" in done.stderr


def test_doctor_tells_libjpeg_turbo_s_version_and_what_an_old_one_costs(cli, folder):
    findings = cli("doctor", folder, "--json").json["findings"]
    (found,) = [finding for finding in findings if finding["subject"] == "libjpeg-turbo"]
    old = tuple(map(int, found["value"].split(".")[:3])) < (3, 0, 1)
    assert found["severity"] == ("note" if old else "ok")
    assert ("lack scans" in found["advice"] and "lossless" in found["advice"]) == old


@pytest.mark.parametrize(
    ("name", "subjects"),
    [
        ("RINGFEED_READER", {"reader"}),
        ("RINGFEED_PIXELS", {"default loader", "JPEG pixels"}),
        ("RINGFEED_ENTROPY", {"default loader", "JPEG entropy decoder", "JPEG pixels"}),
    ],
)
def test_doctor_names_a_wrong_variable_and_goes_on(cli_path, environment, folder, name, subjects):
    done = subprocess.run(
        [cli_path, "doctor", str(folder), "--json"],
        capture_output=True,
        text=True,
        env={**environment, name: "gpu"},
    )
    findings = {f["subject"]: f for f in json.loads(done.stdout)["findings"]}
    wrong = {s for s, f in findings.items() if f["value"].startswith(f"{name}=gpu: must be one of")}
    assert done.returncode == 0 and wrong == subjects
    assert all(findings[s]["severity"] == "warn" and findings[s]["advice"] for s in wrong)
    assert {"memory", "file system"} < set(findings)


def test_doctor_names_a_path_that_is_not_there(cli, tmp_path):
    done = cli("doctor", tmp_path / "nowhere")
    assert done.code == 1 and str(tmp_path / "nowhere") in done.err


@pytest.mark.parametrize("transform", ["train", "val"])
def test_preview_writes_a_sheet_of_the_samples_asked_for(cli, folder, tmp_path, transform):
    sheet = tmp_path / "sheet.png"
    done = cli(
        "preview",
        folder,
        "-o",
        sheet,
        "--count",
        5,
        "--columns",
        3,
        "--transform",
        transform,
        "--json",
    )
    assert done.code == 0, done.err
    with Image.open(sheet) as image:
        image.load()
        assert image.format == "PNG" and image.mode == "RGB"
        assert image.size == (3 * 226 + 2, 2 * 226 + 2) == (done.json["width"], done.json["height"])
        assert image.getpixel((0, 0)) == (255, 255, 255)
    assert len(done.json["samples"]) == 5
    assert all(os.path.exists(sample["path"]) for sample in done.json["samples"])


def test_preview_shows_the_augmentation(cli, folder, tmp_path):
    sheets = []
    for args in ([], ["--augment", "randaugment"]):
        sheets.append(tmp_path / f"{len(args)}.png")
        done = cli("preview", folder, "-o", sheets[-1], "--count", 8, *args)
        assert done.code == 0, done.err
    assert sheets[0].read_bytes() != sheets[1].read_bytes()


def test_preview_shows_the_views_of_a_sample_side_by_side(cli, folder, tmp_path):
    sheets = []
    for args in ([], ["--views", "3"]):
        path = tmp_path / f"{len(args)}.png"
        done = cli("preview", folder, "-o", path, "--count", 4, "--columns", 2, *args)
        assert done.code == 0, done.err
        sheets.append(Image.open(path))
    one, three = sheets
    assert three.size == (2 + 2 * 3 * 226, 2 + 2 * 226) and one.size == (2 + 2 * 226, 2 + 2 * 226)

    def tile(sheet, row, column):
        left, top = 2 + column * 226, 2 + row * 226
        return sheet.crop((left, top, left + 224, top + 224)).tobytes()

    for row in range(2):
        for column in range(2):
            views = [tile(three, row, 3 * column + view) for view in range(3)]
            assert views[0] == tile(one, row, column) and len(set(views)) == 3


def test_preview_names_a_sheet_it_cannot_write(cli, folder, tmp_path):
    done = cli("preview", folder, "-o", tmp_path / "no" / "sheet.png", "--count", 1)
    assert done.code == 1 and "sheet.png" in done.err
