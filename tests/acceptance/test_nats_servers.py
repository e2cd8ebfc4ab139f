"""NATS servers with TLS, users and successors; and those that are away, hang or come back: they cost messages only."""

import re
import ssl
import time
import urllib.request

import pytest

from tests.dicom import contexts_of, make_series, open_association, send
from tests.fixtures.gateway import free_port
from tests.fixtures.nats import DONE
from tests.waiting import wait_until

pytestmark = pytest.mark.nats


def send_and_settle(gateway, directory, series_uid, rows, count=3):
    """Send a series and wait until all of it is registered and nothing is left in the spool."""
    before = len(rows())
    assert [status.Status for status in send(gateway.port, make_series(directory, count, series_uid))] == [0] * count
    wait_until(lambda: len(rows()) == before + count and not gateway.spooled(), "all of it is registered", 10)


@pytest.fixture
def make_tls_nats(make_nats, authority):
    certificate, key = authority.issue("nats")
    context = ssl.create_default_context(cafile=str(authority.path))

    def make(**access):
        return make_nats("--tls", "--tlscert", certificate, "--tlskey", key, context=context, **access)

    return make


def test_tls_with_user_and_password(make_gateway, make_tls_nats, authority, tmp_path):
    nats = make_tls_nats(user="gateway", password="p@ss:w/rd")
    subscriber = nats.subscribe()
    address = f"tls://gateway:p%40ss%3Aw%2Frd@127.0.0.1:{nats.port}"
    gateway = make_gateway(CHRIS_NATS_ADDRESS=address, SSL_CERT_FILE=str(authority.path))
    send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3"))
    subscriber.await_done()
    assert subscriber.said()[-2:] == [3, DONE]


def test_a_certificate_that_nobody_trusts_and_a_wrong_password_are_told_without_secrets(
    make_gateway, make_tls_nats, make_nats, rows, tmp_path
):
    for address, reason in (
        (f"tls://me:secret@127.0.0.1:{make_tls_nats().port}", "CERTIFICATE_VERIFY_FAILED"),
        (f"nats://me:secret@127.0.0.1:{make_nats(user='me', password='other').port}", "Authorization Violation"),
    ):
        name = reason.split("_", maxsplit=1)[0].split()[0]
        gateway = make_gateway(CHRIS_NATS_ADDRESS=address, name=name)
        (line,) = wait_until(lambda gateway=gateway: gateway.lines("nats_unavailable"), "it is told")
        assert reason in line["reason"]
        assert address.replace("me:secret@", "") in line["message"]
        send_and_settle(gateway, tmp_path / name, f"1.2.{len(rows())}", rows)
        assert gateway.stop() == 0
        assert "secret" not in gateway.log_path.read_text()


def test_several_addresses(make_gateway, nats, subscriber, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=f"nats://127.0.0.1:{free_port()}, {nats.address}")
    send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3"))
    subscriber.await_done()
    assert not gateway.lines("nats_unavailable")


def test_a_server_that_is_away_at_the_start_and_comes(make_gateway, nats, rows, tmp_path):
    nats.kill()
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    wait_until(lambda: gateway.lines("nats_unavailable"), "it is told")
    for number in range(3):
        send_and_settle(gateway, tmp_path / str(number), f"1.2.{number}", rows)
    nats.start()
    subscriber = nats.subscribe()
    wait_until(lambda: gateway.lines("nats_available"), "it is back")
    send_and_settle(gateway, tmp_path / "heard", "1.2.3", rows)
    subscriber.await_done()
    assert subscriber.said()[-2:] == [3, DONE]
    assert set(subscriber.by_subject()) == {"oxidicom.TEST.1_2_3"}
    assert len(gateway.lines("nats_unavailable")) == len(gateway.lines("nats_available")) == 1


def test_a_server_that_dies_and_comes_back_several_times(make_gateway, nats, rows, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    send_and_settle(gateway, tmp_path / "first", "1.2.1", rows)
    for number in (1, 2):
        nats.kill()
        wait_until(lambda number=number: len(gateway.lines("nats_unavailable")) == number, "it is told")
        send_and_settle(gateway, tmp_path / f"away-{number}", f"1.2.1{number}", rows)
        nats.start()
        subscriber = nats.subscribe()
        wait_until(lambda number=number: len(gateway.lines("nats_available")) == number, "it is back")
        send_and_settle(gateway, tmp_path / f"back-{number}", f"1.2.2{number}", rows)
        subscriber.await_done()
    assert len(gateway.lines("nats_unavailable")) == 2


def test_a_server_that_hangs_delays_nothing(make_gateway, nats, rows, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address, CHRIS_PROGRESS_INTERVAL="0ms")
    paths = make_series(tmp_path / "in", 100, "1.2.3")

    nats.hang()
    association = open_association(gateway.port, contexts_of(paths))
    began = time.monotonic()
    for path in paths:
        assert association.send_c_store(str(path)).Status == 0
    assert time.monotonic() - began < 100, "none of them waits: a second for each would be more"
    association.release()
    wait_until(lambda: gateway.lines("nats_unavailable"), "it is told")
    wait_until(lambda: not gateway.spooled(), "nothing is left in the spool")
    send_and_settle(gateway, tmp_path / "away", "1.2.4", rows)
    nats.go_on()
    wait_until(lambda: gateway.lines("nats_available"), "it is back")
    subscriber = nats.subscribe()
    send_and_settle(gateway, tmp_path / "back", "1.2.5", rows)
    subscriber.await_done()
    assert gateway.stop() == 0
    assert not gateway.lines("unexpected")


def test_what_was_published_reaches_the_server_before_the_gateway_ends(make_gateway, nats, subscriber, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    paths = make_series(tmp_path / "in", 50, "1.2.3")
    for number in range(3):
        send(gateway.port, paths)
        assert gateway.stop() == 0
        assert not gateway.spooled(), "an orderly end leaves nothing"
        subscriber.await_done(number + 1, 1)
        gateway.start()


def test_a_server_that_refuses_what_is_published_is_told_of_once(make_gateway, make_nats, rows, tmp_path):
    configuration = tmp_path / "nats.conf"
    configuration.write_text(
        'authorization { users = [{user: me, password: secret, permissions: {publish: "other.>"}}] }'
    )
    nats = make_nats("-c", configuration)
    gateway = make_gateway(CHRIS_NATS_ADDRESS=f"nats://me:secret@127.0.0.1:{nats.port}")
    for number in range(2):
        send_and_settle(gateway, tmp_path / str(number), f"1.2.{number}", rows)
    (line,) = wait_until(lambda: gateway.lines("nats_refused"), "it is told")
    assert line["reason"].lower() == "permissions violation for publish"
    assert not gateway.lines("nats_unavailable")
    assert "secret" not in gateway.log_path.read_text()


def test_messages_are_counted(make_gateway, nats, subscriber, rows, tmp_path):
    port = free_port()
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address, CHRIS_HTTP_PORT=str(port))

    def counted(what):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
            found = re.search(rf"^oxidicom_lonk_{what}_total (\S+)", response.read().decode(), re.M)
        assert found
        return int(float(found[1]))

    send_and_settle(gateway, tmp_path / "heard", "1.2.3", rows)
    wait_until(lambda: counted("published") == len(subscriber.said()) > 2, "what was heard is counted")
    assert counted("dropped") == 0
    nats.kill()
    wait_until(lambda: gateway.lines("nats_unavailable"), "it is told")
    send_and_settle(gateway, tmp_path / "lost", "1.2.4", rows)
    wait_until(lambda: counted("dropped") >= 3, "what was lost is counted")
