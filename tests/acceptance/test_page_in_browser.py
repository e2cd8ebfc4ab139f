"""The page in a real browser, while DCMTK's storescu pushes: judged by what it says, not by how it looks."""

import re
import subprocess

import pytest

from tests.dicom import make_instance, make_series, send
from tests.fixtures.gateway import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.chromium

TINY = {"Rows": 4, "Columns": 4, "PixelData": bytes(32)}


@pytest.fixture
def site(make_gateway):
    """A function that starts a gateway and returns it with the address of its page."""

    def start(**variables):
        port = free_port()
        return make_gateway(CHRIS_HTTP_PORT=str(port), **variables), f"http://127.0.0.1:{port}/"

    return start


def says(page, text):
    page.get_by_text(text).first.wait_for()


@pytest.mark.dcmtk
def test_bars_move_while_a_series_comes(site, open_page, tmp_path):
    gateway, url = site()
    page = open_page(url)
    says(page, "No association is open")
    path = make_instance(tmp_path / "one.dcm", series_uid="1.2.3.4", **TINY)
    command = ["storescu", "-aet", "PUSHER", "--repeat", "1000000", "+II", "+IR", "10000000"]
    sender = subprocess.Popen(
        [*command, "127.0.0.1", str(gateway.port), path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        bar = page.get_by_role("progressbar").first
        bar.wait_for()
        page.get_by_role("article", name="Association from PUSHER").wait_for()
        seen = set()

        def moves():
            seen.add(int(bar.get_attribute("aria-valuenow")))
            return len(seen) > 2

        wait_until(moves, "the bar moves")
        assert "received" in bar.get_attribute("aria-valuetext")
        assert page.evaluate("document.querySelector('rect.registered').getBoundingClientRect().width") > 0
    finally:
        sender.kill()
        sender.wait()
    says(page, "No association is open")
    row = page.get_by_role("region", name="Last series").get_by_role("row").nth(1)
    row.wait_for()
    assert "PUSHER" in row.inner_text()
    assert "unknown" in row.inner_text(), "no PACS says how many there are"
    pacs = page.get_by_role("region", name="PACS").get_by_role("row").nth(1)
    assert pacs.get_by_role("rowheader").inner_text() == "PUSHER"
    assert int(re.sub(r"\D", "", pacs.get_by_role("cell").nth(1).inner_text())) > max(seen)


def test_a_fault_appears_and_goes(site, open_page, proxied, proxy, tmp_path):
    gateway, url = site(db=proxied)
    page = open_page(url)
    says(page, "All is well")
    proxy.refuse()
    send(gateway.port, make_series(tmp_path / "in", 5, "1.2.3", **TINY))
    says(page, "Needs attention")
    says(page, "the database has been unusable")
    bar = page.get_by_role("progressbar", name="Series 1.2.3")
    bar.wait_for()
    assert (bar.get_attribute("aria-valuenow"), bar.get_attribute("aria-valuemax")) == ("0", "5")
    proxy.accept()
    says(page, "All is well")
    says(page, "No association is open")
    page.get_by_role("row", name="1.2.3").first.wait_for()


def test_without_javascript_it_has_its_numbers_and_plots(site, open_page, tmp_path):
    gateway, url = site()
    send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3", **TINY), "SCANNER")
    page = open_page(url, java_script_enabled=False)

    def numbers():
        page.reload()
        rows = page.get_by_role("row").filter(has_text="SCANNER").all_inner_texts()
        return len(rows) == 2 and rows

    pacs, series = wait_until(numbers, "the totals and the verdict")
    assert pacs.split()[:3] == ["SCANNER", "1", "3"]
    assert "1.2.3" in series
    plots = page.get_by_role("img")
    assert [plots.nth(at).get_attribute("aria-label").split(" of ")[0] for at in range(2)] == ["Throughput", "Lag"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_needs_no_scrolling_sideways(scheme, site, open_page, tmp_path):
    gateway, url = site()
    long_uid = "1.2.840.113619.2.55.3." + "1234567890." * 3 + "12345"
    send(gateway.port, make_series(tmp_path / "in", 3, long_uid, **TINY), "A" * 16)
    page = open_page(url, viewport={"width": 375, "height": 800}, color_scheme=scheme)
    page.get_by_role("row", name=long_uid).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    ink, paper = (
        [int(part) for part in re.findall(r"\d+", page.evaluate(f"getComputedStyle(document.body).{name}"))][:3]
        for name in ("color", "backgroundColor")
    )
    assert (sum(ink) > sum(paper)) == (scheme == "dark")


def test_markup_in_an_ae_title_is_shown_as_text(site, open_page, tmp_path):
    gateway, url = site()
    page = open_page(url)
    for title in ("<img src=x>", "<b>&amp;\"'", "{{7*7}}"):
        send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3", **TINY), title)
        page.get_by_role("region", name="PACS").get_by_text(title, exact=True).wait_for()
    assert page.locator("img").count() == 0


def test_all_that_can_be_used_is_reached_by_keyboard(site, open_page, tmp_path):
    gateway, url = site()
    send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3", **TINY))
    page = open_page(url)
    page.get_by_role("row", name="1.2.3").wait_for()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(at => at.getAttribute('href') ?? at.getAttribute('aria-labelledby'))(document.activeElement)"
            )
        )
    tables = ["pacs-title", "series-title"]
    assert reached[:7] == ["#judgement", *tables, "status.json", "metrics", "healthz", "readyz"]


def test_who_reads_on_keeps_what_he_has_selected(site, open_page, tmp_path):
    gateway, url = site()
    send(gateway.port, make_series(tmp_path / "a", 1, "1.2.3", **TINY), "FIRST")
    page = open_page(url)
    table = page.get_by_role("region", name="PACS")
    table.get_by_role("rowheader", name="FIRST").wait_for()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#pacs tbody th'))")
    send(gateway.port, make_series(tmp_path / "b", 1, "1.2.4", **TINY), "SECOND")
    table.get_by_role("rowheader", name="SECOND").wait_for()
    assert page.evaluate("getSelection().toString()").strip() == "FIRST"
