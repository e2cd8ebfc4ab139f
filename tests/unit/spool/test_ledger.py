"""What is read of a ledger without decoding all of it."""

import pytest

from oxidicom.spool import ledger as module
from oxidicom.spool.ledger import Committed, Ended, LedgerWriter, SeriesOpened, lines, opened_lines
from tests.fixtures.storage import describe_file


def opened(path):
    return [line for line in opened_lines(path) if line]


@pytest.mark.parametrize("block_bytes", [7, 300, 1 << 20])
def test_the_lines_of_series_are_found_wherever_a_block_ends(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    path = str(tmp_path / "ledger")
    ledger = LedgerWriter(path, create=True)
    for number in range(20):
        series = describe_file(1, f'"event":"series"{number}').series
        ledger.append(SeriesOpened(f"{number:020}", series), Committed(number, f"{number:020}", 1, '{"event":"series"'))
    ledger.append(Ended("released", 0))
    ledger.close()
    assert opened(path) == [line for line in lines(path) if isinstance(line, SeriesOpened)]
    assert len(opened(path)) == 20


def test_a_line_that_cannot_be_read_and_a_torn_end_are_passed_over(tmp_path):
    path = tmp_path / "ledger"
    ledger = LedgerWriter(str(path), create=True)
    ledger.append(SeriesOpened("0" * 20, describe_file().series))
    ledger.close()
    line = path.read_bytes()
    path.write_bytes(b'{"event":"series"}\n' + line[:30] + b"\n" + line + line[:-1])
    assert len(opened(str(path))) == 1
