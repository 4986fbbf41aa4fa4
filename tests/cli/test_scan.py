import os

import pytest


def test_scan_lists_what_torchvision_lists(cli, folder, tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    (folder / "class_2" / "deeper").mkdir(exist_ok=True)
    os.link(folder / "class_2" / "0.jpg", folder / "class_2" / "deeper" / "Z.JPEG")
    try:
        theirs = datasets.ImageFolder(str(folder))
        ours = cli("scan", folder, "--samples", "--json").json
        assert ours["classes"] == theirs.classes
        assert [tuple(sample) for sample in ours["samples"]] == theirs.samples
    finally:
        (folder / "class_2" / "deeper" / "Z.JPEG").unlink()
        (folder / "class_2" / "deeper").rmdir()


def test_json_has_the_documented_figures(cli, folder):
    done = cli("scan", folder, "--json", "--no-cache")
    assert done.code == 0 and done.err == ""
    assert done.json["entries"] == 28
    assert done.json["classes"] == ["class_0", "class_1", "class_2"]
    assert done.json["from_cache"] is False
    assert done.json["directories_listed"] == 4
    assert len(done.json["fingerprint"]) == 16
    assert done.json["memory_bytes"] > 0
    assert done.json["warnings"] == []


def test_text_has_the_figures(cli, folder):
    out = cli("scan", folder).out
    for word in ("images", "classes", "fingerprint", "memory"):
        assert word in out


def test_cache_dir_that_cannot_be_made_is_a_warning(cli, folder, tmp_path):
    (tmp_path / "file").write_text("")
    done = cli("scan", folder, "--json", "--cache-dir", tmp_path / "file" / "cache")
    assert done.code == 0
    assert done.json["warnings"]
    assert done.err.startswith("ringfeed: warning: ")


def test_files_that_only_torchvision_decodes_are_counted(cli, small_folder):
    for name in ("1.bmp", "2.BMP", "3.webp", "4.PNG"):
        (small_folder / "class_0" / name).write_bytes(b"")
    done = cli("scan", small_folder, "--json")
    assert done.code == 0
    (warning,) = done.json["warnings"]
    assert warning.startswith("3 listed files") and "(2 .bmp, 1 .webp)" in warning
    assert warning in done.err


@pytest.fixture
def timeless(small_folder):
    """A folder whose times lie in the future."""
    os.utime(small_folder / "class_0", (1 << 32, 1 << 32))
    return small_folder


def test_a_listing_that_nothing_would_say_is_old_is_not_kept_and_scan_says_so(cli, timeless):
    for _ in range(2):
        done = cli("scan", timeless, "--json")
        (warning,) = done.json["warnings"]
        assert warning.startswith("a folder's time lies in the future: nothing tells when")
        assert "--always-cache keeps" in warning and warning in done.err
        assert not done.json["from_cache"] and done.json["manifest"] == ""
        assert done.json["times_tell_nothing"] == "a folder's time lies in the future"
    assert cli("scan", timeless, "--no-cache").err == ""


def test_always_cache_keeps_it_and_names_the_file_to_remove(cli, timeless):
    first, second = (cli("scan", timeless, "--always-cache", "--json").json for _ in range(2))
    assert (first["from_cache"], second["from_cache"]) == (False, True)
    (warning,) = second["warnings"]
    assert warning.endswith(f"and {second['manifest']} is believed until you remove it")
    os.unlink(second["manifest"])
    assert not cli("scan", timeless, "--always-cache", "--json").json["from_cache"]
    assert cli("scan", timeless, "--always-cache", "--no-cache").code == 2


def test_doctor_says_whether_listings_are_kept(cli, timeless):
    def finding(path):
        found = cli("doctor", path, "--json").json["findings"]
        return [f for f in found if f["subject"] == "listing"]

    (doubted,) = finding(timeless)
    assert doubted["severity"] == "note" and "lies in the future" in doubted["value"]
    assert "--always-cache" in doubted["advice"] and 'use_cache="always"' in doubted["advice"]
    os.utime(timeless / "class_0", (1 << 30, 1 << 30))
    (kept,) = finding(timeless)
    assert kept["severity"] == "ok"
    assert finding(timeless / "class_0" / "0.jpg") == []


def test_an_empty_class_is_refused_unless_allowed(cli, small_folder):
    (small_folder / "nothing").mkdir()
    refused = cli("scan", small_folder)
    assert refused.code == 1
    assert "nothing" in refused.err and "; --allow-empty accepts such classes" in refused.err
    assert cli("scan", small_folder, "--allow-empty").code == 0


def test_a_missing_root_is_named(cli, tmp_path):
    done = cli("scan", tmp_path / "nowhere", "--json")
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert str(tmp_path / "nowhere") in line
    assert done.json["errors"][0]["stage"] == "scan"
