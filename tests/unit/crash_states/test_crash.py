"""What a crash may leave of a history, and what it may not."""

import os
import random

import pytest

from fuzzing.crash_states.calls import Call
from fuzzing.crash_states.crash import Crashes
from fuzzing.crash_states.history import Historian
from fuzzing.crash_states.replay import replay

STATES = 300


class Trace:
    """Calls as strace would tell them, one after the other, each a microsecond long."""

    def __init__(self):
        self.calls = []
        self._now_us = 1000

    def call(self, name, arguments, result=0):
        self._now_us += 10
        self.calls.append(Call(1, name, arguments, result, "", self._now_us, self._now_us + 1))
        return self._now_us + 1

    def create(self, path):
        return self.call("openat", f"AT_FDCWD<{_hex('/')}>, {_string(path)}, O_WRONLY|O_CREAT, 0666")

    def write(self, path, data):
        return self.call("write", f"4<{_hex(path)}>, {_string(data)}, {len(data)}", len(data))

    def fsync(self, path):
        return self.call("fsync", f"4<{_hex(path)}>")

    def syncfs(self):
        return self.call("syncfs", f"4<{_hex('/root')}>")

    def mkdir(self, path):
        return self.call("mkdir", f"{_string(path)}, 0700")

    def rename(self, path, to):
        return self.call("rename", f"{_string(path)}, {_string(to)}")

    def link(self, path, to):
        return self.call("link", f"{_string(path)}, {_string(to)}")

    def states(self, at_us=10**9):
        """Yield states of a crash at a moment."""
        historian = Historian("/root")
        historian.begin_with(["a", "b"])
        crashes = Crashes(historian.take(self.calls))
        return [crashes.state_at(at_us, random.Random(seed)) for seed in range(STATES)]


def _hex(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _string(text):
    return f'"{_hex(text)}"'


def data_at(state, path):
    return state.contents[state.names[path]].data if path in state.names else None


@pytest.fixture
def trace():
    return Trace()


def test_what_was_not_synced_may_be_gone_short_zero_or_whole(trace):
    trace.create("/root/a/x")
    trace.write("/root/a/x", "1" * 10000)
    found = {data_at(state, "a/x") for state in trace.states()}
    assert {None, b"", b"1" * 10000} < found
    assert any(data and len(data) < 10000 and set(data) == {0x31} for data in found), "cut off"
    assert any(data and len(data) == 10000 and 0 in data for data in found), "with a page that was never written"


def test_data_that_was_synced_is_there_wherever_its_name_is(trace):
    trace.create("/root/a/x")
    trace.write("/root/a/x", "1" * 10000)
    trace.fsync("/root/a/x")
    assert {data_at(state, "a/x") for state in trace.states()} == {None, b"1" * 10000}


def test_a_name_that_was_synced_may_be_without_its_data(trace):
    trace.create("/root/a/x")
    trace.write("/root/a/x", "123")
    trace.fsync("/root/a")
    found = {data_at(state, "a/x") for state in trace.states()}
    assert None not in found
    assert {b"", b"123"} <= found


def test_nothing_is_missing_after_a_sync_of_the_filesystem(trace):
    trace.mkdir("/root/a/new")
    trace.create("/root/a/new/x")
    trace.write("/root/a/new/x", "123")
    trace.link("/root/a/new/x", "/root/b/y")
    trace.syncfs()
    assert {(data_at(state, "a/new/x"), data_at(state, "b/y")) for state in trace.states()} == {(b"123", b"123")}


def test_a_sync_promises_nothing_before_it_has_returned(trace):
    trace.create("/root/a/x")
    ended_us = trace.fsync("/root/a")
    assert any("a/x" not in state.names for state in trace.states(ended_us - 1))
    assert all("a/x" in state.names for state in trace.states(ended_us))


def test_names_of_one_directory_are_kept_in_their_order_and_those_of_two_in_any(trace):
    trace.create("/root/a/1")
    trace.create("/root/a/2")
    trace.create("/root/b/3")
    found = {tuple(name in state.names for name in ("a/1", "a/2", "b/3")) for state in trace.states()}
    assert found == {
        (first, second, other) for first in (0, 1) for second in (0, 1) for other in (0, 1) if first or not second
    }


def test_a_rename_is_done_or_not_done(trace):
    trace.create("/root/a/x")
    trace.fsync("/root/a")
    trace.rename("/root/a/x", "/root/b/y")
    found = {("a/x" in state.names, "b/y" in state.names) for state in trace.states()}
    assert found == {(True, False), (False, True)}


def test_what_stands_in_a_directory_that_lost_its_name_is_gone(trace):
    trace.mkdir("/root/a/new")
    trace.create("/root/a/new/x")
    trace.fsync("/root/a/new")
    found = {("a/new" in state.names, "a/new/x" in state.names) for state in trace.states()}
    assert found == {(False, False), (True, True)}


def test_a_state_is_written_with_its_links_and_holes(trace, tmp_path):
    trace.create("/root/a/x")
    trace.write("/root/a/x", "1" * 20000)
    trace.link("/root/a/x", "/root/b/y")
    trace.fsync("/root/a")
    trace.fsync("/root/b")
    state = next(state for state in trace.states() if any(one.lost for one in state.contents.values()))
    replay(state, str(tmp_path))
    assert os.path.samefile(tmp_path / "a/x", tmp_path / "b/y")
    assert (tmp_path / "a/x").read_bytes() == data_at(state, "a/x")
    (contents,) = state.contents.values()
    assert (tmp_path / "a/x").stat().st_mtime_ns == contents.mtime_ns


def test_the_same_seed_makes_the_same_state(trace):
    for number in range(20):
        trace.create(f"/root/a/{number}")
        trace.write(f"/root/a/{number}", "1" * 5000)
    assert trace.states() == trace.states()
