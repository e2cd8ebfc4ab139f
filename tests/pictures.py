"""The pictures of the README, of a real gateway at work: `make pictures` runs this, `make test` does not.

A PACS tells the size of its series, DCMTK's storescu sends them, Chromium shows the page, and rich draws the terminal.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.dicom import make_instance
from tests.fixtures.gateway import free_port
from tests.fixtures.pacs import answer
from tests.processes import freeze
from tests.waiting import wait_until

pytestmark = [pytest.mark.chromium, pytest.mark.dcmtk]

PICTURES = Path(__file__).parents[1] / "docs/pictures"
SERIES = 240
COLUMNS = 140
IMAGE = {"Rows": 512, "Columns": 512, "PixelData": bytes(512 * 512 * 2)}


@pytest.fixture
def hospital(make_gateway, pacs, tmp_path):
    """A gateway with the address of its page, and a function that starts a sender of whole series."""
    asked = pacs(lambda event: [(0xFF00, answer(event.identifier, SERIES))])
    port = free_port()
    addresses = ",".join(f"{title}=127.0.0.1:{asked['port']}" for title in ("CT1", "MR2", "PACS"))
    gateway = make_gateway(CHRIS_HTTP_PORT=str(port), CHRIS_PACS_ADDRESS=addresses)
    image = make_instance(tmp_path / "image.dcm", **IMAGE)

    def sender(ae_title, instances, path=image):
        invent = ["+II", "+IR", str(SERIES), "+IS", "1000000", "--repeat", str(instances)]
        return subprocess.Popen(
            ["storescu", "-aet", ae_title, "-aec", "ChRIS", *invent, "127.0.0.1", str(gateway.port), path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return gateway, f"http://127.0.0.1:{port}/", sender


def test_page_and_terminal(hospital, open_page, tmp_path):
    gateway, url, sender = hospital
    sender("CT1", 2 * SERIES).wait(120)
    sender("MR2", SERIES - 3).wait(120)
    page = open_page(url, viewport={"width": 1200, "height": 1000}, color_scheme="light")
    lag = page.locator("dt:text-is('Lag') + dd")
    wait_until(lambda: lag.inner_text().endswith("ms"), "the lag of the last 10 s")
    coming = sender("PACS", 100 * SERIES)
    newest = page.get_by_role("progressbar").first
    try:
        newest.wait_for()
        draw("status", gateway, ["status"])
        page.get_by_role("progressbar").nth(1).wait_for()
        wait_until(lambda: 0.4 < share_of(newest) < 0.8, "half of a series has come")
        freeze(coming.pid)  # a picture takes its time
        below = page.get_by_role("heading", name="The last hour").bounding_box()
        page.screenshot(path=PICTURES / "page.png", clip={"x": 0, "y": 0, "width": 1200, "height": below["y"] - 12})
    finally:
        coming.kill()
        coming.wait()
    sender("MR2", 1, make_instance(tmp_path / "undated.dcm", StudyDate=None)).wait(120)
    wait_until(lambda: is_settled(gateway), "all is registered")
    draw("log", gateway, ["log"], ["log", "--refused"])


def share_of(bar):
    return int(bar.get_attribute("aria-valuenow")) / int(bar.get_attribute("aria-valuemax"))


def is_settled(gateway):
    records = [json.loads(line) for line in gateway.run("log", "--json").stdout.splitlines()]
    return len(records) == 4 and all(record["settled"] for record in records)


def draw(name, gateway, *commands):
    """Run commands of the operator, and draw what they print as a terminal shows it."""
    variables = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    printed = "".join(
        f"$ oxidicom {' '.join(command)}\n{gateway.run(*command, **variables).stdout}" for command in commands
    )
    # the storage and the database of a test have names that would mislead
    printed = printed.replace(str(gateway.files_root), "/mnt/chris")
    printed = re.sub(r"(database  ).*?: reachable", r"\1postgresql://chris@database/chris: reachable", printed)
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(printed))
        svg = console.export_svg(title="", theme=MONOKAI, unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # nothing comes from elsewhere
    (PICTURES / f"{name}.svg").write_text(svg)
