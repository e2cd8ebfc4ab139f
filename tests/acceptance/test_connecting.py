"""The afternoon on which a PACS is connected: what its sender proposes in vain stands in the log."""

from tests.acceptance.network.wire import ACCEPTED, RELEASED, Wire
from tests.unit.association.association_peer import RELEASE_RQ, associate_rq
from tests.waiting import wait_until

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPIP = "1.2.840.10008.1.2.4.94"
MPPS = "1.2.840.10008.3.1.2.3.3"


def propose(gateway, *contexts):
    with Wire(gateway.port) as wire:
        assert wire.send(associate_rq([*contexts], calling="NEW")).receive()[0] == ACCEPTED
        assert wire.send(RELEASE_RQ).receive()[0] == RELEASED


def test_what_is_proposed_in_vain_is_one_line_with_the_reason(gateway):
    propose(gateway, (1, CT, [JPIP]), (3, MPPS, [EXPLICIT]))
    (line,) = wait_until(lambda: gateway.lines("contexts_refused"), "the line")
    assert line["level"] == "WARNING"
    assert (line["calling_ae_title"], line["proposed"], line["accepted"]) == ("NEW", 2, 0)
    assert f"CT Image Storage {CT}: transfer syntaxes not supported" in line["reason"]
    assert JPIP in line["reason"]
    assert f"{MPPS}: abstract syntax not supported" in line["reason"]


def test_what_is_no_storage_is_no_warning_and_what_is_accepted_no_line(gateway):
    propose(gateway, (1, CT, [EXPLICIT]))
    propose(gateway, (1, CT, [EXPLICIT]), (3, MPPS, [EXPLICIT]))
    ended = wait_until(lambda: len(lines := gateway.lines("association_ended")) == 2 and lines, "both have ended")
    assert {(line["calling_ae_title"], line["called_ae_title"]) for line in ended} == {("NEW", "ChRIS")}
    (line,) = gateway.lines("contexts_refused")
    assert line["level"] == "INFO"
    assert line["association"] == ended[1]["association"]
