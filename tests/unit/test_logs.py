"""Lines of log: what a peer sends cannot fake one."""

import json

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
