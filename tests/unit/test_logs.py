"""Lines of log: what a peer sends cannot fake one."""

import json
import re

import pytest
from loguru import logger

from oxidicom.logs import configure_logs


@pytest.fixture(autouse=True)
def own_logs():
    yield
    logger.remove()
    logger.configure(extra={}, patcher=lambda record: None)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_control_characters_of_a_peer_are_escaped(log_format, capsys):
    configure_logs("listener-0", log_format, verbose=False)
    title = "A\nB\x1b[31m\x9bC\\D"
    logger.info("Association with {ae_title} ended", ae_title=title, action="association_ended")
    (line,) = capsys.readouterr().err.splitlines()
    assert not {"\x1b", "\x9b"} & set(line)
    if log_format == "json":
        assert json.loads(line)["ae_title"] == title
    else:
        assert "A\\nB\\x1b[31m\\x9bC\\D" in line


def test_text_of_other_languages_stays_readable(capsys):
    configure_logs("listener-0", "text", verbose=False)
    logger.info("École von Müller: 山田")
    assert "École von Müller: 山田" in capsys.readouterr().err


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_journal_gets_the_priority_of_every_line(log_format, capsys):
    configure_logs("listener-0", log_format, verbose=True, to_journal=True)
    logger.debug("Trouble", action="tested")
    logger.warning("Trouble", action="tested")
    try:
        raise ValueError("a bug")
    except ValueError as error:
        logger.opt(exception=error).error("Unexpected", action="tested")
    lines = capsys.readouterr().err.splitlines()
    assert [line[:3] for line in lines[:2]] == ["<7>", "<4>"]
    assert {line[:3] for line in lines[2:]} == {"<3>"}
    if log_format == "json":
        assert [json.loads(line[3:])["level"] for line in lines] == ["DEBUG", "WARNING", "ERROR"]
    else:
        assert any("ValueError" in line for line in lines[3:])


def test_for_people_a_line_says_nothing_twice(capsys):
    configure_logs("listener-0", "text", verbose=False)
    logger.info("Association of {calling_ae_title} ended", calling_ae_title="PACS", peer="10.1.2.3:4", action="ended")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("Association of PACS ended peer=10.1.2.3:4")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO +listener-0 +", line)
