"""ringfeed.decode and decode_many: Pillow's pixels, its verdicts, and whose errors they are."""

import gc
import io
import os
import sys
import threading
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, UnidentifiedImageError

import late_files
import odd_images
import ringfeed
from ringfeed import DecodeLimits, LoadError, _decode, _ringfeed
from ringfeed._decode import _options

JPEG = late_files.encoded(late_files.picture(), "JPEG")


def pillow(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(file).convert("RGB"))


def assert_pillows(tensor, file):
    expected = pillow(file)
    assert tensor.dtype == torch.uint8 and tensor.shape == expected.shape
    assert tensor.is_contiguous()
    assert np.array_equal(tensor.numpy(), expected)


def test_every_mode_and_size_has_pillows_pixels(tmp_path):
    paths = odd_images.make(tmp_path)
    for path, tensor in zip(paths, ringfeed.decode_many(paths, num_threads=3), strict=True):
        assert_pillows(tensor, path)
        with open(path, "rb") as file:
            assert torch.equal(ringfeed.decode(file.read()), tensor), path


def all_files():
    return {**late_files.late(), **late_files.left_to_pillow()}


@pytest.mark.parametrize("name", sorted(all_files()))
def test_odd_and_damaged_files_have_pillows_pixels_or_its_refusal(name):
    data = all_files()[name]
    try:
        expected = pillow(io.BytesIO(data))
    except Exception as error:
        with pytest.raises(LoadError) as raised:
            ringfeed.decode(data)
        unidentified = isinstance(error, UnidentifiedImageError)
        assert isinstance(raised.value, UnidentifiedImageError) == unidentified
        assert raised.value.filename == "<bytes>"
        return
    if name == "gif.jpg":
        with pytest.raises(LoadError, match="GIF is not supported"):
            ringfeed.decode(data)
        return
    assert np.array_equal(ringfeed.decode(data).numpy(), expected)


def test_orientation_is_not_applied():
    turned = late_files.encoded(late_files.picture(), "JPEG", exif=late_files.exif(6))
    assert ringfeed.decode(turned).shape == (late_files.HEIGHT, late_files.WIDTH, 3)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_the_file_itself(kind):
    assert_pillows(ringfeed.decode(kind(JPEG)), io.BytesIO(JPEG))


def test_a_path_may_be_an_object_and_its_bytes_need_be_no_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.jpg")
    path.write_bytes(JPEG)
    assert torch.equal(ringfeed.decode(path), ringfeed.decode(JPEG))
    assert torch.equal(ringfeed.decode(str(path)), ringfeed.decode(JPEG))


STRIDED = memoryview(JPEG)[::2]


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (3, TypeError, "must be a path or the bytes of an image file, not int"),
        (None, TypeError, "must be a path .* not NoneType"),
        (["a.jpg"], TypeError, "must be a path .* not list"),
        (STRIDED, ValueError, "is a memoryview of bytes that are not side by side.*pass bytes"),
        (np.frombuffer(JPEG, np.uint8)[::2], ValueError, "is a ndarray of bytes that are not side"),
        ("a\0b.jpg", ValueError, r"is a path with a null character.*'a\\x00b.jpg'"),
        (Path("a\0b.jpg"), ValueError, "is a path with a null character"),
    ],
    ids=str,
)
def test_what_is_neither_a_path_nor_bytes_is_an_error_that_names_the_item(wrong, error, text):
    with pytest.raises(error, match=f"^image {text}"):
        ringfeed.decode(wrong)
    for options in ({"num_threads": 1}, {"num_threads": 2, "on_error": "return"}):
        with pytest.raises(error, match=rf"^images\[1\] {text}"):
            ringfeed.decode_many([JPEG, wrong, JPEG], **options)


def test_a_tensor_owns_its_pixels_and_may_be_written():
    one, other = ringfeed.decode(JPEG), ringfeed.decode(JPEG)
    one[:] = 7
    assert_pillows(other, io.BytesIO(JPEG))
    del other
    assert bool((one == 7).all())


def test_a_file_larger_than_the_first_read_is_read_whole(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (700, 900, 3), np.uint8)
    path = tmp_path / "large.png"
    Image.fromarray(noise).save(path)
    assert path.stat().st_size > 1_000_000
    assert np.array_equal(ringfeed.decode(path).numpy(), noise)


def test_errors_are_the_classes_that_pillow_and_open_raise_and_name_the_file(tmp_path):
    missing = tmp_path / "gone.jpg"
    with pytest.raises(FileNotFoundError) as raised:
        ringfeed.decode(missing)
    assert isinstance(raised.value, LoadError) and raised.value.filename == str(missing)
    assert str(missing) in str(raised.value) and raised.value.stage == "open"
    with pytest.raises(IsADirectoryError, match="a directory, not a file"):
        ringfeed.decode(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(LoadError, match="a FIFO or device, not a regular file"):
        ringfeed.decode(tmp_path / "fifo")
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    with pytest.raises(UnidentifiedImageError, match="text.jpg") as raised:
        ringfeed.decode(text)
    assert isinstance(raised.value, LoadError)


def test_limits_refuse_with_their_names(monkeypatch):
    pixels = late_files.WIDTH * late_files.HEIGHT
    with pytest.raises(Image.DecompressionBombError, match="max_pixels"):
        ringfeed.decode(JPEG, limits=DecodeLimits(max_pixels=pixels - 1))
    assert ringfeed.decode(JPEG, limits=DecodeLimits(max_pixels=pixels)).numel() == 3 * pixels
    for source in (JPEG, io.BytesIO(JPEG).getbuffer()):
        with pytest.raises(LoadError, match="max_file_bytes"):
            ringfeed.decode(source, limits=DecodeLimits(max_file_bytes=len(JPEG) - 1))
    assert ringfeed.decode(JPEG, limits=DecodeLimits(max_file_bytes=len(JPEG))).numel()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // 3)
    with pytest.raises(Image.DecompressionBombError):
        ringfeed.decode(JPEG)


def test_the_file_s_size_is_limited_as_its_bytes_are(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG)
    with pytest.raises(LoadError, match="max_file_bytes"):
        ringfeed.decode(path, limits=DecodeLimits(max_file_bytes=len(JPEG) - 1))
    assert ringfeed.decode(path, limits=DecodeLimits(max_file_bytes=len(JPEG))).numel()


def test_a_cut_file_is_decoded_where_pillow_is_told_to(monkeypatch):
    cut = JPEG[: len(JPEG) // 2]
    with pytest.raises(LoadError, match="truncated"):
        ringfeed.decode(cut)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert_pillows(ringfeed.decode(cut), io.BytesIO(cut))


def test_many_keep_their_order_whatever_the_threads(tmp_path):
    files = [
        late_files.encoded(late_files.picture(seed, 20 + seed * 9, 300 - seed), "JPEG")
        for seed in range(40)
    ]
    for threads in (None, 1, 2, 7, 100):
        for tensor, data in zip(
            ringfeed.decode_many(files, num_threads=threads), files, strict=True
        ):
            assert_pillows(tensor, io.BytesIO(data))
    assert ringfeed.decode_many([]) == []
    assert len(ringfeed.decode_many(iter(files[:3]), num_threads=2)) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_failure_in_their_order_is_raised(tmp_path, threads):
    items = [JPEG, tmp_path / "gone.jpg", JPEG, b"no image"]
    with pytest.raises(FileNotFoundError):
        ringfeed.decode_many(items, num_threads=threads)
    with pytest.raises(LoadError, match="<bytes at 2>"):
        ringfeed.decode_many([JPEG, JPEG, b"no image", b""], num_threads=threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_failures_stand_in_their_places_where_that_is_asked_for(threads):
    results = ringfeed.decode_many([b"", JPEG, b"x"], num_threads=threads, on_error="return")
    assert [isinstance(result, LoadError) for result in results] == [True, False, True]
    assert [results[at].filename for at in (0, 2)] == ["<bytes at 0>", "<bytes at 2>"]
    assert_pillows(results[1], io.BytesIO(JPEG))


def test_after_a_failure_no_image_is_begun(monkeypatch):
    begun, own = [], _decode._decode
    monkeypatch.setattr(
        _decode, "_decode", lambda image, *a: (begun.append(image), own(image, *a))[1]
    )
    with pytest.raises(LoadError, match="<bytes at 1>"):
        ringfeed.decode_many([JPEG, b"x", *[JPEG] * 200], num_threads=2)
    assert len(begun) < 100


def test_a_returned_error_holds_no_other_image():
    class Held(bytearray):
        pass

    images = [Held(JPEG), b"x"]
    held = weakref.ref(images[0])
    error = ringfeed.decode_many(images, num_threads=2, on_error="return")[1]
    del images
    gc.collect()
    assert isinstance(error, LoadError) and held() is None


@pytest.mark.parametrize("one", ["a/b.jpg", JPEG, Path("a")])
def test_many_are_not_one(one):
    with pytest.raises(TypeError, match="pass a list"):
        ringfeed.decode_many(one)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="num_threads must be at least 1, not 0"):
        ringfeed.decode_many([JPEG], num_threads=0)
    with pytest.raises(TypeError, match="num_threads"):
        ringfeed.decode_many([JPEG], num_threads=1.5)
    with pytest.raises(ValueError, match="on_error"):
        ringfeed.decode_many([JPEG], on_error="skip")


def test_no_thread_is_left():
    before = threading.active_count()
    ringfeed.decode_many([JPEG] * 20, num_threads=4)
    assert threading.active_count() == before


def test_a_worker_of_torchs_decodes_on_its_own_thread_alone(monkeypatch):
    def on_main_thread(*_):
        return threading.current_thread() is threading.main_thread()

    class Many(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, _):
            return all(ringfeed.decode_many([JPEG] * 4))

    monkeypatch.setattr(_ringfeed, "usable_cores", lambda: 2)
    monkeypatch.setattr(_decode, "_decode", on_main_thread)
    assert not Many()[0]
    workers = {"num_workers": 1, "multiprocessing_context": "fork"}
    assert list(torch.utils.data.DataLoader(Many(), batch_size=None, **workers)) == [True]


def test_other_threads_run_while_an_image_is_decoded():
    large = late_files.encoded(late_files.picture(5, 3000, 2500), "JPEG", quality=95)
    finished = []

    def work():
        _ringfeed.decode_image(large, "", **_options(None))  # torch lets go of the GIL too
        finished.append(True)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # no thread is made to give the GIL away
    try:
        thread = threading.Thread(target=work)
        thread.start()  # comes back when the GIL is free
        assert not finished
        thread.join()
    finally:
        sys.setswitchinterval(interval)
