"""A connection to a real NATS server: by credentials, and why it cannot be made."""

import base64
import hashlib
import json
import os
import time

import nkeys
import pytest

from oxidicom.lonk.connection import try_server
from tests.fixtures.gateway import free_port
from tests.fixtures.nats import NatsServer

pytestmark = pytest.mark.nats

_CREDENTIALS = """-----BEGIN NATS USER JWT-----
{token}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


def make_key(prefix):
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(issuer, subject, kind, **claims):
    """Return a JWT as the NATS server wants it."""
    body = {
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "sub": subject.public_key.decode(),
        "name": kind,
        "nats": {"type": kind, "version": 2, **claims},
    }
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
    return f"{text}.{encoded(issuer.sign(text.encode()))}"


@pytest.fixture
def secured(tmp_path):
    """A server that knows nobody but by a signed token, and the credentials of a user."""
    operator, account, user = map(
        make_key, (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER)
    )
    unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    preload = signed(operator, account, "account", limits={**unlimited, "wildcards": True})
    configuration = tmp_path / "nats.conf"
    configuration.write_text(
        f"operator: {signed(operator, operator, 'operator')}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {account.public_key.decode()}: {preload} }}\n"
    )
    token = signed(account, user, "user", pub={}, sub={}, subs=-1, data=-1, payload=-1)
    credentials = tmp_path / "user.creds"
    credentials.write_text(_CREDENTIALS.format(token=token, seed=user.seed.decode()))
    server = NatsServer(tmp_path, "-c", configuration)
    yield server, str(credentials)
    server.close()


def test_a_file_of_credentials_opens_the_door(secured):
    server, credentials = secured
    assert try_server(server.address, credentials) == ""


def test_without_credentials_it_is_said_why(secured):
    server, _ = secured
    assert "authorization" in try_server(server.address, "").lower()


def test_a_server_that_is_not_there_is_told():
    assert "refused" in try_server(f"nats://127.0.0.1:{free_port()}", "").lower()


def test_a_server_that_hangs_is_not_waited_for_long(nats):
    nats.hang()
    began = time.monotonic()
    assert try_server(nats.address, "")
    assert time.monotonic() - began < 60
