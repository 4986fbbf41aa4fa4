"""No name of a file reaches a terminal as a command."""

import re
import shutil

import pytest

NAME = "a\x1b[2J\r\n\x7f\x9b31m.jpg"  # U+009B is ESC [ in one character
SHOWN = r"a\x1b[2J\r\n\x7f\x9b31m.jpg"


def assert_harmless(text):
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), repr(text)


@pytest.fixture
def named(small_folder):
    """A good and a bad file with such names, in a class with such a name."""
    folder = small_folder / "class\x1b[1m"
    folder.mkdir()
    shutil.copy(small_folder / "class_0" / "0.jpg", folder / NAME)
    (folder / f"z{NAME}").write_bytes(b"no image")
    return small_folder


def test_listings_and_errors_write_controls_out(cli, named):
    listed = cli("scan", named, "--samples")
    failed = cli("load", named, "--workers", 1)
    assert failed.code == 1 and f"z{SHOWN}: neither a JPEG nor a PNG" in failed.err
    assert f"0\t{named}" not in listed.out.replace("\t", " ") and listed.code == 0
    assert SHOWN in listed.out and listed.out.count("\n") == len(listed.out.splitlines())
    for text in listed.out.replace("\t", " "), listed.err, failed.out, failed.err:
        assert_harmless(text)


def test_an_empty_class_and_a_missing_folder_write_them_out(cli, named):
    (named / "empty\x1b[2J").mkdir()
    for done in cli("scan", named), cli("scan", named / "no\x1b[2J"):
        assert done.code == 1 and r"\x1b[2J" in done.err
        assert_harmless(done.err)


def test_json_has_the_names_themselves_and_is_ascii(cli, named):
    done = cli("scan", named, "--samples", "--json")
    assert_harmless(done.out)
    assert any(path.endswith("/" + NAME) for path, _ in done.json["samples"])
    failed = cli("load", named, "--workers", 1, "--json")
    assert_harmless(failed.out)
    assert failed.json["errors"][0]["path"].endswith("/z" + NAME)
