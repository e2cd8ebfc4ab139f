"""The link with a delay: packets take their time, bytes come as they were sent, and nothing of it is left."""

import os
import shutil
import subprocess
import sys

import pytest

ROUND_TRIPS = """
import socket, subprocess, threading, time
from benchmarks.senders.link import delayed_link

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with delayed_link(0.05) as host:
    listening = socket.create_server(("0.0.0.0", 0))
    sent = bytes(range(256)) * 400

    def answer():
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as received:
            connection.sendall(received.read(len(sent)))

    threading.Thread(target=answer, daemon=True).start()
    began = time.monotonic()
    with socket.create_connection((host, listening.getsockname()[1])) as connection:
        opened = time.monotonic() - began
        connection.sendall(sent)
        with connection.makefile("rb") as received:
            same = received.read(len(sent)) == sent
print(same, opened >= 0.1, len(open("/proc/net/dev").readlines()))
"""


def may_make_one():
    return (
        os.geteuid() == 0
        and os.path.exists("/dev/net/tun")
        and shutil.which("ip")
        and not subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode
    )


@pytest.mark.skipif(
    not may_make_one(),
    reason="makes a tunnel in a network of its own: run as root, with /dev/net/tun and ip (apt-get install iproute2)",
)
def test_a_link_delays_each_packet_and_leaves_nothing_behind():
    command = ["unshare", "--net", sys.executable, "-c", ROUND_TRIPS]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    headings_and_loopback = 3
    assert ran.stdout.split() == ["True", "True", str(headings_and_loopback)], ran.stderr


def test_without_the_right_to_make_one_it_says_what_is_needed():
    program = (
        "from benchmarks.senders.link import delayed_link\n"
        "from benchmarks.errors import BenchmarkError\n"
        "import os\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try:\n"
        "    with delayed_link(0.001): print('made')\n"
        "except BenchmarkError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "no link with a delay: " in ran.stdout
    assert "It takes root" in ran.stdout
