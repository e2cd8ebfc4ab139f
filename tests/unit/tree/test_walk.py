"""Files are walked in the order of the bytes of their paths, and no link is followed."""

import os
import shutil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxidicom.tree.walk import walk_files

_NAMES = st.text("ab-./0_é".replace("/", ""), min_size=1, max_size=4).filter(lambda name: name.strip("."))


@given(
    st.sets(st.tuples(st.lists(_NAMES.map("d{}".format), max_size=3), _NAMES).map(lambda p: (*p[0], p[1])), max_size=12)
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_is_that_of_the_bytes(tmp_path, paths):
    top = tmp_path / "top"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    for path in paths:
        (top / "/".join(path)).parent.mkdir(parents=True, exist_ok=True)
        (top / "/".join(path)).touch()
    found = list(walk_files(str(tmp_path), "top"))
    assert found == sorted(os.fsencode("/".join(("top", *path))) for path in paths)


def test_a_directory_stands_in_the_order_with_its_slash(tmp_path):
    for path in ("a-/x", "a/x", "a0", "a.dcm"):
        (tmp_path / "top" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "top" / path).touch()
    assert list(walk_files(str(tmp_path), "top")) == [b"top/a-/x", b"top/a.dcm", b"top/a/x", b"top/a0"]


def test_links_and_devices_are_passed_over(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "file-link").symlink_to(tmp_path / "elsewhere" / "file")
    os.mkfifo(tmp_path / "top" / "pipe")
    assert list(walk_files(str(tmp_path), "top")) == []


def test_a_directory_that_is_deleted_meanwhile_is_empty(tmp_path):
    for path in ("a/x", "b/x", "c/x"):
        (tmp_path / "top" / path).parent.mkdir(parents=True)
        (tmp_path / "top" / path).touch()
    found = walk_files(str(tmp_path), "top")
    assert next(found) == b"top/a/x"
    shutil.rmtree(tmp_path / "top" / "b")
    assert list(found) == [b"top/c/x"]


def test_a_name_that_is_no_text_is_walked_too(tmp_path):
    (tmp_path / "top").mkdir()
    with open(os.path.join(os.fsencode(tmp_path), b"top", b"\xff"), "wb"):
        pass
    assert list(walk_files(str(tmp_path), "top")) == [b"top/\xff"]
