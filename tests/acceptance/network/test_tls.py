"""TLS on the wire: the profile, certificates, their reload, and whoever mistook the port."""

import contextlib
import os
import signal
import ssl
import subprocess
import time

import pytest

from tests.acceptance.network.connections import open_connections
from tests.acceptance.network.wire import ABORTED, ACCEPTED, REJECTED, RELEASED, SecureWire, Wire, client_context
from tests.dicom import contexts_of, dataset_bytes, make_instance, make_series, open_association, send
from tests.processes import descriptors, own_bytes
from tests.unit.association.association_peer import RELEASE_RQ, associate_rq
from tests.waiting import wait_until


@pytest.fixture
def tls_gateway(make_tls_gateway):
    return make_tls_gateway()


def presented_certificate(gateway, authority):
    with SecureWire(gateway.port, client_context(authority)) as wire:
        return wire.socket.getpeercert()["serialNumber"]


def ended(gateway, action="no_association"):
    return wait_until(lambda: gateway.lines(action), "the closing line")[-1]


# -- what works ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_instances_are_received_within_tls(tls_gateway, authority, rows, tmp_path, version):
    paths = make_series(tmp_path / "in", 20)
    paths.append(make_instance(tmp_path / "large.dcm", 21, "1.2.3.4", PixelData=bytes(range(256)) * 20_000))
    tls = (client_context(authority, version=version), "localhost")
    association = open_association(tls_gateway.port, contexts_of(paths), tls_args=tls)
    assert {association.send_c_store(os.fspath(path)).Status for path in paths} == {0}
    association.release()
    wait_until(lambda: len(rows()) == 21, "the rows")
    assert ended(tls_gateway, "association_ended")["tls"] == version.name.replace("_", ".")
    sent = {dataset_bytes(path) for path in paths}
    assert {dataset_bytes(tls_gateway.files_root / path) for path in tls_gateway.stored()} == sent


@pytest.mark.dcmtk
def test_storescu_sends_within_tls(tls_gateway, authority, rows, tmp_path):
    paths = make_series(tmp_path / "in", 5)
    certificate, key = authority.issue("client")
    command = ["storescu", "+tls", key, certificate, "+cf", authority.path, "-aet", "SCU", "-aec", "ChRIS"]
    run([*command, "127.0.0.1", tls_gateway.port, *paths])
    wait_until(lambda: len(rows()) == 5, "the rows")


@pytest.mark.dcmtk
def test_storescu_needs_a_certificate_when_the_gateway_asks_for_it(make_tls_gateway, authority, rows, tmp_path):
    gateway = make_tls_gateway(CHRIS_TLS_CLIENT_CA=str(authority.path))
    paths = make_series(tmp_path / "in", 2)
    target = ["+cf", authority.path, "-aet", "SCU", "-aec", "ChRIS", "127.0.0.1", gateway.port, *paths]
    assert run(["storescu", "+tla", *target], check=False).returncode != 0
    certificate, key = authority.issue("client")
    run(["storescu", "+tls", key, certificate, *target])
    wait_until(lambda: len(rows()) == 2, "the rows")


def run(command, check=True, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.mark.openssl
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-tls1_3"], "TLS_AES_256_GCM_SHA384"),
        (["-tls1_2"], "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ],
)
def test_openssl_shakes_hands(tls_gateway, authority, options, expected):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{tls_gateway.port}", "-CAfile", authority.path]
    done = run([*command, "-verify_return_error", *options], input="")
    assert expected in done.stdout
    assert "Verify return code: 0" in done.stdout or "Verification: OK" in done.stdout


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.openssl
@pytest.mark.parametrize(
    "options",
    [
        ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"],
        ["-tls1_2", "-cipher", "AES128-SHA"],
    ],
    ids=["TLS 1.1", "TLS 1.0", "CBC", "no forward secrecy"],
)
def test_openssl_with_old_protocols_and_ciphers_is_refused(tls_gateway, options):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{tls_gateway.port}", *options]
    assert run(command, check=False, input="").returncode != 0
    assert ended(tls_gateway)["how"].startswith("TLS handshake failed: ")


def test_a_peer_without_the_certificate_that_is_asked_for_gets_no_association(make_tls_gateway, authority, tmp_path):
    gateway = make_tls_gateway(CHRIS_TLS_CLIENT_CA=str(authority.path))
    (tmp_path / "strangers").mkdir()
    stranger = type(authority)(tmp_path / "strangers", "stranger").issue("client")
    for client in (None, stranger):
        with contextlib.suppress(OSError), SecureWire(gateway.port, client_context(authority, client)) as wire:
            assert wire.associate() is None
    wait_until(lambda: len(gateway.lines("no_association")) == 2, "two lines")
    with SecureWire(gateway.port, client_context(authority, authority.issue("client"))) as wire:
        assert wire.associate()[0] == ACCEPTED


@pytest.mark.parametrize("data", [associate_rq(), b"GET / HTTP/1.1\r\n\r\n"], ids=["DICOM", "HTTP"])
def test_plain_clients_get_a_quick_end_and_one_line(tls_gateway, data):
    began = time.monotonic()
    with Wire(tls_gateway.port) as wire:
        wire.send(data)
        while wire.socket.recv(1000):
            pass
    assert time.monotonic() - began < 9
    assert ended(tls_gateway)["how"] == "the peer does not speak TLS: this port speaks nothing else"
    assert len(tls_gateway.lines("no_association")) == 1


def test_tls_clients_on_a_plain_port_get_a_quick_end_and_one_line(gateway, authority):
    began = time.monotonic()
    with pytest.raises(OSError):
        SecureWire(gateway.port, client_context(authority))
    assert time.monotonic() - began < 9
    assert ended(gateway)["how"].endswith("the peer seems to speak TLS")
    assert len(gateway.lines("no_association")) == 1


@pytest.mark.parametrize("first", [b"", bytes.fromhex("1603010200010001fc0303")], ids=["silent", "in the middle"])
def test_a_handshake_that_does_not_end_holds_no_listener(make_tls_gateway, first):
    gateway = make_tls_gateway(CHRIS_TLS_HANDSHAKE_SECONDS="2", CHRIS_LISTENER_THREADS="1")
    with Wire(gateway.port) as wire:
        wire.send(first)
        while wire.socket.recv(1000):
            pass
    assert ended(gateway)["how"] == "deadline: no TLS handshake within 2 s"


def test_a_trickled_handshake_is_no_excuse(make_tls_gateway):
    gateway = make_tls_gateway(CHRIS_TLS_HANDSHAKE_SECONDS="2")
    with Wire(gateway.port) as wire:
        assert wire.trickle(bytes.fromhex("1603010200010001fc0303") + bytes(100), 0.2) < 6


def test_a_slow_handshake_holds_up_nobody_else(tls_gateway, authority):
    with Wire(tls_gateway.port), SecureWire(tls_gateway.port, client_context(authority)) as wire:
        assert wire.associate()[0] == ACCEPTED


def test_deadlines_hold_within_tls(make_tls_gateway, authority):
    gateway = make_tls_gateway(CHRIS_SCP_IDLE_SECONDS="2", CHRIS_SCP_REQUEST_SECONDS="2")
    with SecureWire(gateway.port, client_context(authority)) as wire:
        assert wire.receive() is None
    with SecureWire(gateway.port, client_context(authority)) as wire:
        assert wire.associate()[0] == ACCEPTED
        assert wire.receive() == (ABORTED, bytes((0, 0, 2, 0)))


def test_the_doorman_speaks_tls_too(make_tls_gateway, authority):
    gateway = make_tls_gateway(CHRIS_LISTENER_THREADS="1", CHRIS_SCP_BUSY_SECONDS="1")
    context = client_context(authority)
    with SecureWire(gateway.port, context) as held:
        assert held.associate()[0] == ACCEPTED
        with Wire(gateway.port), Wire(gateway.port) as plain:  # a silent one and a plain one before it in the queue
            plain.send(associate_rq())
            with SecureWire(gateway.port, context) as wire:
                assert wire.associate() == (REJECTED, bytes((0, 2, 3, 2)))
                assert wire.receive() is None
        assert held.send(RELEASE_RQ).receive()[0] == RELEASED


@pytest.mark.timeout(1800)
def test_probes_leave_nothing_behind(tls_gateway, authority, long_drill):
    processes = tls_gateway.children()
    probe(tls_gateway, 500)
    wait_until(lambda: not open_connections(tls_gateway.port), "all are worked off")
    held, memory = descriptors(tls_gateway.receivers()), own_bytes(processes)
    probe(tls_gateway, 100_000 if long_drill else 2_000)
    wait_until(lambda: not open_connections(tls_gateway.port), "all are worked off")
    wait_until(lambda: descriptors(tls_gateway.receivers()) <= held, "all descriptors are closed")
    assert own_bytes(processes) - memory < 2 << 20
    assert not tls_gateway.lines("no_association")


def probe(gateway, count):
    for number in range(count):
        with Wire(gateway.port) as wire:
            if number % 2:
                wire.reset()


# -- reload --------------------------------------------------------------------------------------------------------


def test_a_new_certificate_is_used_after_sighup_without_a_restart(tls_gateway, authority):
    old = presented_certificate(tls_gateway, authority)
    with SecureWire(tls_gateway.port, client_context(authority)) as wire:
        assert wire.associate()[0] == ACCEPTED
        authority.issue("gateway")
        processes = tls_gateway.children()
        tls_gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: tls_gateway.lines("tls_reloaded"), "the reload")
        serials = {presented_certificate(tls_gateway, authority) for _ in range(20)}
        assert len(serials) == 1
        assert old not in serials
        assert wire.send(RELEASE_RQ).receive()[0] == RELEASED, "the association before it goes on"
    assert tls_gateway.children() == processes


def test_a_bad_new_certificate_keeps_the_old_one_even_for_respawned_listeners(make_tls_gateway, authority):
    gateway = make_tls_gateway(CHRIS_LISTENER_THREADS="1")
    old = presented_certificate(gateway, authority)
    (authority.directory / "gateway.pem").write_bytes(b"nonsense")
    gateway.process.send_signal(signal.SIGHUP)
    (line,) = wait_until(lambda: gateway.lines("tls_kept"), "the error")
    assert line["level"] == "ERROR"
    assert "CHRIS_TLS_CERTIFICATE" in line["message"]
    assert presented_certificate(gateway, authority) == old
    (listener,) = gateway.pids_of("listener")
    os.kill(listener, signal.SIGKILL)
    wait_until(lambda: gateway.pids_of("listener") not in ([], [listener]), "its successor")
    assert presented_certificate(gateway, authority) == old
    authority.issue("gateway")
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.lines("tls_reloaded"), "the reload")
    assert presented_certificate(gateway, authority) != old


def test_sighup_without_tls_does_no_harm(gateway, tmp_path):
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.lines("tls_reload_ignored"), "the line")
    assert send(gateway.port, make_series(tmp_path / "in", 1))[0].Status == 0


# -- start and check -----------------------------------------------------------------------------------------------


def test_a_certificate_that_expires_soon_is_warned_about_at_start_and_by_check(make_tls_gateway, authority):
    gateway = make_tls_gateway(authority.issue("gateway", days=20))
    (line,) = gateway.lines("tls_expires")
    assert "expires in 20 days" in line["message"]
    assert "expires in 20 days" in check(gateway, 1)


def test_check_says_whether_certificate_and_key_fit(make_tls_gateway, authority):
    gateway = make_tls_gateway()
    key = authority.directory / "gateway.key"
    key.chmod(0o644)
    assert "certificate and key fit" in check(gateway, 1)
    assert "every user of this machine can read the key" in check(gateway, 1)
    key.chmod(0o600)
    assert "can read the key" not in check(gateway, 0)
    authority.issue("gateway", days=-3)
    assert "the certificate expired" in check(gateway, 2)
    key.write_bytes(b"nonsense")
    assert "CHRIS_TLS_KEY" in check(gateway, 78)


def check(gateway, status):
    import sys

    done = run([sys.executable, "-m", "oxidicom", "check"], check=False, env={**gateway.environment, "COLUMNS": "300"})
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_gateway_does_not_start_with_a_key_that_does_not_fit(make_gateway, authority):
    certificate, _ = authority.issue("gateway")
    _, key = authority.issue("other")
    gateway = make_gateway(start=False, new=True, CHRIS_TLS_CERTIFICATE=str(certificate), CHRIS_TLS_KEY=str(key))
    gateway.start(wait=False)
    assert gateway.process.wait(60) == 78
    assert "the key is not that of the certificate" in gateway.log_path.read_text()
    assert not list(gateway.files_root.iterdir())


def test_a_key_without_a_certificate_is_a_fault_of_the_configuration(make_gateway):
    gateway = make_gateway(start=False, CHRIS_TLS_KEY="/key.pem")
    gateway.start(wait=False)
    assert gateway.process.wait(60) == 78
    assert "CHRIS_TLS_KEY='/key.pem' cannot be used: it has no meaning" in gateway.log_path.read_text()
