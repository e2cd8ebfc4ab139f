"""Another gateway is started as the command line says, and what cannot be meant is refused."""

import pytest

from benchmarks.invocation import Invocation, parse_invocation

VALUES = {"port": "104", "files": "/f", "database": "postgresql://u:p@h/d", "listeners": "16", "pdu": "16384"}


def test_variables_come_before_the_program_and_placeholders_stand_in_both():
    text = "PORT={port} ROOT={files} DB={database} N={listeners} MODE='a b' /usr/bin/other --pdu {pdu} KEY={port}"
    invocation = parse_invocation(text).filled(VALUES)
    assert invocation.variables == {
        "PORT": "104", "ROOT": "/f", "DB": "postgresql://u:p@h/d", "N": "16", "MODE": "a b",
    }  # fmt: skip
    assert invocation.command == ["/usr/bin/other", "--pdu", "16384", "KEY=104"]


def test_a_value_may_have_signs_of_its_own_and_be_empty():
    invocation = parse_invocation("""A= OPTIONS='-c x=1' B='{{"port": {port}}}' other '$HOME;ls'""").filled(VALUES)
    assert invocation.variables == {"A": "", "OPTIONS": "-c x=1", "B": '{"port": 104}'}
    assert invocation.command == ["other", "$HOME;ls"]


def test_what_is_written_is_parsed_to_the_same():
    invocation = parse_invocation("A='b c' PORT={port} other '{files}/x y'")
    assert parse_invocation(str(invocation)) == invocation
    assert invocation == Invocation({"A": "b c", "PORT": "{port}"}, ["other", "{files}/x y"])


@pytest.mark.parametrize("text", ["", "  ", "PORT={port} ROOT={files}"])
def test_a_program_is_needed(text):
    with pytest.raises(ValueError, match="there is no program to start"):
        parse_invocation(text)


@pytest.mark.parametrize("word", ["P={prot}", "P={}", "P={port", "P=port}", "{port.real}", "{port!r}", "{port:{x}}"])
def test_a_brace_that_is_of_no_placeholder_is_named(word):
    with pytest.raises(ValueError, match=r"has a brace .* there are \{port\}, \{files\}, ") as caught:
        parse_invocation(f"PORT={{port}} '{word}' other")
    assert repr(word) in str(caught.value)


def test_a_quote_that_does_not_end_is_an_error():
    with pytest.raises(ValueError, match="No closing quotation"):
        parse_invocation("other 'x")
