"""Files that few writers make: as Pillow reads or refuses them, or otherwise as docs/python.md
says."""

import random
import struct
import zlib

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import compare_pillow
import odd_files
from odd_files import before_chunk, chunk, frame_control, save, segment
from PIL import ImageFile, UnidentifiedImageError

import ringfeed
from test_damage import pillow, ringfeeds
from torchvision_reference import PILLOW13

SEED = 11
COLOR = compare_pillow.picture(random.Random(SEED), 160, 120)
JPEG = save(COLOR, format="JPEG", quality=85)
GREY = save(COLOR.convert("L"), format="JPEG", quality=85)
PNG = save(COLOR.crop((0, 0, 40, 30)), format="PNG")
APNG = odd_files.animation(COLOR.crop((0, 0, 40, 30)))


def results(folder, files):
    """(name, Pillow's tensor or error, ringfeed's) of each."""
    paths = []
    for number, data in enumerate(files.values()):
        paths.append(str(folder / f"{number}.JPEG"))
        (folder / f"{number}.JPEG").write_bytes(data)
    return zip(files, map(pillow, paths), ringfeeds(paths), strict=True)


def assert_as_pillow(folder, files):
    wrong = []
    for name, theirs, ours in results(folder, files):
        refused = isinstance(theirs, Exception), isinstance(ours, Exception)
        if refused[0] != refused[1] or (not any(refused) and not torch.equal(theirs, ours)):
            wrong.append(f"{name}: Pillow {theirs!r:.90}, ringfeed {ours!r:.200}")
    assert not wrong, "\n".join(wrong)


def in_scan(jpeg, more, share):
    """`more` at this share of the entropy-coded bytes."""
    start, end = jpeg.index(b"\xff\xda") + 14, len(jpeg) - 2
    at = start + int((end - start) * share)
    return jpeg[:at] + more + jpeg[at:]


@pytest.fixture(params=[False, True], ids=["", "truncated"])
def load_truncated(request, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", request.param)


@pytest.mark.skipif(not PILLOW13, reason="earlier ones carry an earlier libjpeg-turbo")
def test_a_marker_in_or_behind_the_scan_is_judged_as_pillow_does(tmp_path, load_truncated):
    files = {}
    # All but lossless and hierarchical frames, of which libjpeg-turbo 3 reads some.
    for marker in {*range(0xC0, 0x100), 0x01, 0x02} - {0xC3, 0xC7, 0xCB, 0xCF}:
        for name, jpeg in ("grey", GREY), ("color", JPEG):
            for share in 0.5, 1:
                files[f"{name} {marker:02x} {share}"] = in_scan(jpeg, bytes([0xFF, marker]), share)
            filled = bytes([0xFF, marker]) + bytes(40)
            files[f"{name} {marker:02x} and zeros"] = in_scan(jpeg, filled, 1)
    assert_as_pillow(tmp_path, files)


def test_a_second_start_of_an_image_in_a_scan(tmp_path, load_truncated):
    shares = 0.01, 0.3, 0.7, 0.99, 1
    assert_as_pillow(tmp_path, {str(s): in_scan(JPEG, b"\xff\xd8", s) for s in shares})


def test_a_second_frame_header_wherever_it_stands(tmp_path, load_truncated):
    frame = JPEG.index(b"\xff\xc0")
    scan = JPEG.index(b"\xff\xda")
    header, far = JPEG[frame : frame + 19], segment(0xE3, bytes(65000)) * 2
    large = save(compare_pillow.picture(random.Random(SEED), 1200, 900), format="JPEG", quality=97)
    assert len(large) > 300_000
    files = {
        "beside the first": JPEG[:frame] + header + JPEG[frame:],
        "behind 64 kB of header": JPEG[:scan] + far + header + JPEG[scan:],
        "both behind 64 kB": JPEG[:2] + far + JPEG[2:scan] + far + header + JPEG[scan:],
        "one, behind 64 kB": JPEG[:2] + far * 3 + JPEG[2:],
    }
    for share in 0.1, 0.9, 1:
        files[f"at {share} of a long scan"] = in_scan(large, header, share)
    assert_as_pillow(tmp_path, files)


def test_an_animation_cut_anywhere_loads_where_its_first_frame_does(tmp_path, load_truncated):
    ends = range(APNG.index(b"IDAT"), len(APNG), 97)
    second = APNG.index(b"fcTL", APNG.index(b"IDAT"))
    ends = [*ends, *range(second - 12, second + 40)]
    assert_as_pillow(tmp_path, {f"cut at {end}": APNG[:end] for end in ends})


def test_chunks_of_an_animation_out_of_order(tmp_path, load_truncated):
    def with_frames(frames, *more):
        control = chunk(b"acTL", struct.pack(">II", frames, 0))
        return before_chunk(PNG, b"IDAT", control + b"".join(more))

    first, second = frame_control(0, 40, 30), frame_control(1, 40, 30)
    data = chunk(b"fdAT", struct.pack(">I", 2) + bytes(30))
    cut = frame_control(1, 40, 30)[:-9]
    files = {f"{n} frames": with_frames(n, first) for n in (0, 1, 2, 0x80000000, 0xFFFFFFFF)}
    files |= {
        "two counts": with_frames(2, chunk(b"acTL", struct.pack(">II", 2, 0)), first),
        "wrong number": with_frames(2, frame_control(1, 40, 30)),
        "too wide": with_frames(2, frame_control(0, 41, 30)),
        "too low": with_frames(2, frame_control(0, 40, 30, top=1)),
        "no count": before_chunk(PNG, b"IDAT", first),
    }
    for frames in 1, 2:
        for name, more in {
            "": second + data,
            "without the control": data,
            "of a wrong number": frame_control(5, 40, 30) + data,
            "cut": cut,
        }.items():
            file = with_frames(frames, first)
            end = file.index(b"IEND") - 4 if name != "cut" else len(file)
            behind = file[: file.index(b"IEND") - 4] + more + (file[end:] if name != "cut" else b"")
            files[f"{frames} frames, a second {name}"] = behind
        plain = with_frames(frames)  # the image is none of the frames
        at = plain.index(b"IEND") - 4
        files[f"{frames} frames beside the image"] = plain[:at] + first + plain[at:]
        files[f"{frames} frames beside the image, cut"] = plain[:at] + first[:-9]
    assert_as_pillow(tmp_path, files)


def test_a_lossless_jpeg_is_pillows_or_an_error_that_says_what_it_needs(tmp_path, load_truncated):
    rng = random.Random(SEED)
    files = {str(n): odd_files.lossless_jpeg(rng, n, 40, 30) for n in (1, 3)}
    for name, theirs, ours in results(tmp_path, files):
        if isinstance(ours, Exception):
            assert "lossless JPEG needs libjpeg-turbo 3.0 or later" in str(ours), name
        else:
            assert torch.equal(theirs, ours), name


# Where ringfeed differs: all in docs/python.md.


def test_text_and_profiles_of_a_png_are_not_unpacked_and_have_no_limit(tmp_path):
    large = zlib.compress(bytes(2 << 20))
    files = {
        "profile": before_chunk(PNG, b"IDAT", chunk(b"iCCP", b"x\0\0" + large)),
        "text": before_chunk(PNG, b"IDAT", chunk(b"zTXt", b"x\0\0" + large)),
        "international text": before_chunk(PNG, b"IDAT", chunk(b"iTXt", b"x\0\1\0\0\0" + large)),
        "text behind": before_chunk(PNG, b"IEND", chunk(b"zTXt", b"x\0\0" + large)),
    }
    plain = ringfeeds([str(_written(tmp_path, PNG))])[0]
    for name, theirs, ours in results(tmp_path, files):
        assert isinstance(theirs, ValueError), name
        assert torch.equal(ours, plain), name


def test_exif_is_not_read(tmp_path):
    """Pillow looks there for a resolution, and does not know a file whose is a text of one byte."""
    bare = odd_files.without_segments(JPEG, 0xE0)
    resolution = struct.pack(">HHL4s", 0x011A, 1, 1, b"\x07\0\0\0")
    unit = struct.pack(">HHL4s", 0x0128, 3, 1, b"\0\2\0\0")
    entries = struct.pack(">H", 2) + resolution + unit
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + entries + bytes(4)
    file = bare[:2] + segment(0xE1, exif) + bare[2:]
    ((_, theirs, ours),) = results(tmp_path, {"exif": file})
    assert isinstance(theirs, UnidentifiedImageError)
    assert torch.equal(ours, ringfeeds([str(_written(tmp_path, bare))])[0])


def test_an_animation_that_begins_with_a_part_of_the_image_is_refused_by_name(tmp_path):
    control = chunk(b"acTL", struct.pack(">II", 2, 0)) + frame_control(0, 20, 30)
    ((_, _, ours),) = results(tmp_path, {"part": before_chunk(PNG, b"IDAT", control)})
    assert isinstance(ours, ringfeed.LoadError)
    assert "first frame is a part of the image is not supported" in str(ours)


def _written(folder, data):
    (folder / "plain.JPEG").write_bytes(data)
    return folder / "plain.JPEG"
