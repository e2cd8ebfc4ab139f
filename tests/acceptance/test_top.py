"""`oxidicom top` shows a running gateway in a terminal, live, and one frame of it elsewhere."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from tests.dicom import contexts_of, make_series, open_association, send
from tests.fixtures.gateway import free_port
from tests.waiting import readable, wait_until


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(CHRIS_HTTP_PORT=str(free_port()))


class Terminal:
    """A pseudo terminal in which a command runs."""

    def __init__(self, gateway, columns=80, rows=24, command="top", **variables):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.attributes = termios.tcgetattr(theirs)
        environment = {**gateway.environment, "TERM": "xterm-256color", **variables}
        self.process = subprocess.Popen(
            [*gateway.command, command],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.theirs = theirs
        self.seen = ""

    def read(self):
        """Take what was written by now. Return all that was, without escape sequences."""
        while readable([self.ours]):
            self.seen += os.read(self.ours, 65536).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)

    def await_text(self, text):
        return wait_until(lambda: text in self.read() and self.read(), f"{text!r} is shown")

    def type(self, keys):
        os.write(self.ours, keys)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal():
    made = []

    def make(*arguments, **variables):
        made.append(Terminal(*arguments, **variables))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("keys", [b"q", b"\x03"])
def test_it_is_live_and_ends_quietly(keys, gateway, terminal, rows, tmp_path):
    screen = terminal(gateway)
    screen.await_text("ChRIS port")
    send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3"))
    screen.await_text("received 3 (")
    screen.await_text("last series")
    screen.await_text("3/3 of ?")
    screen.type(keys)
    wait_until(lambda: screen.read() is not None and screen.process.poll() is not None, "it ended")
    assert screen.process.returncode == 0
    assert "Traceback" not in screen.read()
    assert "^C" not in screen.read().rpartition("1049l")[2]
    assert termios.tcgetattr(screen.theirs)[3] == screen.attributes[3], "the terminal is as it was"


def test_what_is_under_way_has_a_bar(gateway, terminal, tmp_path):
    screen = terminal(gateway)
    paths = make_series(tmp_path / "in", 2, "1.2.3")
    association = open_association(gateway.port, contexts_of(paths), "MODALITY")
    for path in paths:
        assert association.send_c_store(str(path)).Status == 0
    screen.await_text("under way (1)")
    screen.await_text("MODALITY")
    screen.await_text("2/2 of ?")
    association.release()


def test_a_frame_fits_a_small_terminal(gateway, terminal, tmp_path):
    for number in range(15):
        send(gateway.port, make_series(tmp_path / str(number), 1), calling=f"PACS-{number}")
    screen = terminal(gateway)
    screen.await_text("lines more)")
    last = screen.seen.rpartition("\x1b[H")[2]
    assert last.count("\n") < 24


def test_a_gateway_that_goes_and_comes_again_is_followed(gateway, terminal):
    screen = terminal(gateway)
    screen.await_text("ChRIS port")
    gateway.stop()
    screen.await_text("this is old: no answer from")
    began = len(screen.read())
    gateway.start()
    wait_until(lambda: "oxidicom" in (fresh := screen.read()[began:]) and "old" not in fresh[-1500:], "it is back")
    screen.type(b"q")
    wait_until(lambda: screen.read() is not None and screen.process.poll() == 0, "it ended")


def test_one_frame_goes_to_a_pipe_without_colour(gateway, rows, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 2, "1.2.3"))
    wait_until(lambda: len(rows()) == 2, "the rows")
    wait_until(lambda: "2/2 of ?" in gateway.run("top", "--once").stdout, "the series is done")
    done = gateway.run("top", "--once", "--url", f"http://127.0.0.1:{gateway.environment['CHRIS_HTTP_PORT']}/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("OK  oxidicom ")
    assert "\x1b" not in done.stdout
    assert "TEST" in done.stdout
    assert "1CT1" not in done.stdout, "patient data"


def test_without_the_page_it_says_which_setting_and_shows_the_status(make_gateway):
    gateway = make_gateway()
    done = wait_until(lambda: (done := gateway.run("top")).returncode == 0 and done, "the gateway is well")
    assert "set CHRIS_HTTP_PORT" in done.stderr
    assert "set aside nothing" in done.stdout


def test_what_is_no_gateway_is_told(make_gateway):
    gateway = make_gateway(start=False)
    done = gateway.run("top", "--once", "--url", "http://127.0.0.1:1/")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no answer from http://127.0.0.1:1/status.json: Connection refused" in done.stderr
    assert "is not the address" in gateway.run("top", "--url", "file:///etc/passwd").stderr


def test_the_page_of_a_gateway_on_another_storage_is_not_shown(gateway, make_gateway, tmp_path):
    """Whoever forgets the settings of his own meets the gateway with the usual ports."""
    (tmp_path / "own").mkdir()
    own = make_gateway(directory=tmp_path / "own", CHRIS_HTTP_PORT=str(free_port()))
    usual = {name: gateway.environment[name] for name in ("PORT", "CHRIS_HTTP_PORT")}
    done = own.run("top", "--once", **usual)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"is the page of another gateway, with PORT={gateway.port}; ours has PORT={own.port}" in done.stderr


@pytest.mark.parametrize("command", ["status", "check"])
def test_colours_are_for_terminals_whose_user_wants_them(command, make_gateway, terminal):
    gateway = make_gateway()
    coloured, plain = terminal(gateway, command=command), terminal(gateway, command=command, NO_COLOR="1")
    for screen in (coloured, plain):
        wait_until(lambda screen=screen: screen.read() and screen.process.poll() is not None, "it has ended")
        screen.read()
    assert re.search(COLOUR, coloured.seen)
    assert not re.search(COLOUR, plain.seen)


COLOUR = r"\x1b\[(\d+;)*(3[0-7]|9[0-7]|38)[;m]"
