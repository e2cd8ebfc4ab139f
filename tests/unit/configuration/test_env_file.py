"""A file of environment variables is read as systemd reads it, and what systemd drops in silence is an error."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from oxidicom.configuration.env_file import overruled, parse_env_file, read_env_file
from oxidicom.errors import ConfigurationError

SYSTEMD = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
"""It reads files of the same syntax, with the same code as EnvironmentFile=, and expands $ besides."""

AGREED = [
    ("A=b", "b"),
    ("  A  =  b c  ", "b c"),
    ("A=", ""),
    ("A='a b'", "a b"),
    ("A='a\\b\"c'", 'a\\b"c'),
    ('A="q"x', "qx"),
    ('A= "a" "b"  ', "ab"),
    ('A=x"y"', 'x"y"'),
    ('A="a\\tb\\"c\\\\d"', 'a\\tb"c\\d'),
    ("A=a\\tb", "atb"),
    ("A=a\\\n b", "a b"),
    ("A=a\\ ", "a "),
    ("A=a\\\\ ", "a\\"),
    ('A="two\nlines"', "two\nlines"),
    ('A="one \\\nline"', "one line"),
    ("A=a#b;c", "a#b;c"),
    ("A=#a", "#a"),
    ("# comment\n; another\n\n\t\nA=b", "b"),
    ("A=host=db user=u password='x y'", "host=db user=u password='x y'"),
    ("A=\t=x=", "=x="),
    ("A=é", "é"),
]


@pytest.mark.parametrize(("text", "value"), AGREED)
@pytest.mark.parametrize("after", ["", "\n", "\nB=next\n"])
def test_a_line_is_read(text, value, after):
    expected = {"A": value, "B": "next"} if "B" in after else {"A": value}
    assert parse_env_file(text + after, "file") == (expected, [])


@pytest.mark.skipif(not SYSTEMD.exists(), reason=f"{SYSTEMD} is missing: apt-get install systemd")
@pytest.mark.parametrize(("text", "value"), AGREED)
def test_systemd_reads_the_same(text, value, tmp_path):
    directory = tmp_path / "environment.d"
    directory.mkdir()
    (directory / "a.conf").write_text(text + "\nB=next\n")
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([SYSTEMD], env=environment, capture_output=True, text=True, timeout=60, check=True)
    words = dict(word.partition("=")[::2] for word in shlex.split(done.stdout.replace("=$'", "='")))
    assert (words.get("A", "").replace("\\n", "\n"), words["B"]) == (value, "next")  # it writes one as \n


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("secret", "NAME=value is expected"),
        ("export A=secret", "not a variable name; leave out `export`"),
        ("1A=secret", "not a variable name"),
        ("A B=secret", "not a variable name"),
        ("=secret", "not a variable name"),
        ("A=secret # comment", "not a comment to systemd"),
        ('A="secret" # comment', "not a comment to systemd"),
        ("A= # secret", "not a comment to systemd"),
        ("A=secr\0et", "NUL"),
        ("# secret \\", "a comment ends with a backslash"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line_and_not_shown(line, said):
    variables, (first, second) = parse_env_file(f"A=b\n\n{line}\nB=c\nbad\n", "/x.env")
    assert variables == {"A": "b", "B": "c"}
    assert first.startswith("/x.env, line 3: ")
    assert said in first
    assert "secret" not in first
    assert second.startswith("/x.env, line 5: ")


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quote_that_is_not_closed_is_told_where_it_begins(quote):
    variables, faults = parse_env_file(f"A=b\nB={quote}secret\n", "/x.env")
    assert (variables, faults) == ({"A": "b"}, ["/x.env, line 2: a quote in the value of B is not closed"])


def test_a_file_of_windows_is_read(tmp_path):
    (tmp_path / "env").write_bytes(b"A=b\r\nB='c'\r\n")
    assert read_env_file(str(tmp_path / "env")).variables == {"A": "b", "B": "c"}


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "No such file"), ("", "Is a directory"), ("latin", "not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_told_with_its_cause(name, said, tmp_path):
    (tmp_path / "latin").write_bytes(b"A=\xe9")
    with pytest.raises(ConfigurationError, match=said) as raised:
        read_env_file(str(tmp_path / name))
    assert str(tmp_path / name) in str(raised.value)


def test_what_the_file_sets_wins_over_each_spelling_in_the_environment():
    environment = {"OXIDICOM_SCP_AET": "x", "CHRIS_SCP_AET": "x", "OXIDICOM_LISTENER_PORT": "1", "HOME": "/"}
    assert overruled(["CHRIS_SCP_AET", "PORT"], environment) == list(environment)[:3]


def test_a_byte_order_mark_is_told_and_costs_no_line(tmp_path):
    (tmp_path / "env").write_bytes(b"\xef\xbb\xbfA=b\nB=c\n")
    variables, faults = read_env_file(str(tmp_path / "env"))
    assert variables == {"A": "b", "B": "c"}
    (fault,) = faults
    assert "byte order mark" in fault
