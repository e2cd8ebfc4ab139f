"""The lines of strace become calls."""

import pytest

from fuzzing.crash_states.calls import read_calls


def hexadecimal(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


A, B = hexadecimal("/root/a"), hexadecimal("/root/b c")


def test_a_call_with_its_data():
    (call,) = read_calls([f'7 10.000005 pwrite64(4<{B}>, "{hexadecimal("x,y")}", 3, 17) = 3 <0.000010>\n'])
    assert (call.process, call.name, call.result, call.began_us, call.ended_us) == (
        7,
        "pwrite64",
        3,
        10000005,
        10000015,
    )
    assert (call.paths, call.strings, call.numbers) == (["/root/b c"], [b"x,y"], [3, 17])


def test_a_call_that_another_interrupts_stands_where_it_ended():
    calls = list(
        read_calls(
            [
                f"7 10.000000 fsync(4<{A}> <unfinished ...>\n",
                f'8 10.000001 unlinkat(3<{A}>, "{hexadecimal("n")}", 0) = 0 <0.000002>\n',
                "7 10.000009 <... fsync resumed>) = 0 <0.000009>\n",
            ]
        )
    )
    assert [(call.process, call.name, call.ended_us) for call in calls] == [
        (8, "unlinkat", 10000003),
        (7, "fsync", 10000009),
    ]
    assert calls[1].paths == ["/root/a"]


@pytest.mark.parametrize(
    "line",
    [
        f'7 10.000000 openat(3<{A}>, "{hexadecimal("n")}", O_RDONLY) = -1 ENOENT (No such file) <0.000002>',
        f'7 10.000000 linkat(3<{A}>, "", 3<{A}>, "", 0) = -1 EPERM (Operation not permitted) (INJECTED) <0.000002>',
        "7 10.000000 write(4 <unfinished ...>) = ?",
        "7 10.000000 +++ killed by SIGKILL +++",
        "7 10.000000 --- stopped by SIGSTOP ---",
    ],
)
def test_what_changed_nothing_is_left_out(line):
    assert list(read_calls([line])) == []


@pytest.mark.parametrize("line", ["strace: Process 7 attached", "7 10.000000 write(4, gibberish"])
def test_what_is_not_understood_is_no_trace(line):
    with pytest.raises(ValueError, match="no "):
        list(read_calls([line]))


def test_a_string_that_strace_cut_short_is_no_data():
    (call,) = read_calls([f'7 10.000000 write(4<{A}>, "{hexadecimal("x")}"..., 9) = 9 <0.000002>'])
    with pytest.raises(ValueError, match="cut"):
        _ = call.strings
