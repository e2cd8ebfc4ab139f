"""What somebody does to the private directory under a running gateway: told with its name, and it costs what it is."""

import os
import shutil

import pytest

from tests.acceptance.drills.account import nothing_lost, settled
from tests.dicom import contexts_of, make_series, open_association, send
from tests.waiting import wait_until


def send_series(gateway, directory, series_uid, count=2):
    paths = make_series(directory / series_uid, count, series_uid)
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    return {f"{series_uid}.{number}": path for number, path in enumerate(paths, 1)}


@pytest.mark.parametrize("plant", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", ["versions", "clock"])
def test_a_file_that_is_none_any_more_is_waited_for_and_named(gateway, rows, tmp_path, name, plant):
    sent = send_series(gateway, tmp_path / "in", "1.2.3")
    settled(gateway)
    planted = gateway.files_root / ".oxidicom" / name
    planted.unlink(missing_ok=True)
    plant(planted)
    for pid in gateway.pids_of("storage"):  # what is open stays open
        os.kill(pid, 9)
    sent |= send_series(gateway, tmp_path / "in", "1.2.4")
    again = make_series(tmp_path / "again", 2, "1.2.3", ImageComments="again")
    assert {status.Status for status in send(gateway.port, again)} == {0}
    wait_until(
        lambda: [line for line in gateway.lines() if f"{name} is not a regular file" in line["message"]], "it is named"
    )
    if name == "versions":
        wait_until(lambda: len(gateway.find(".oxidicom/0*/spool/*/*.received")) == 2, "what came again waits")
    shutil.rmtree(planted) if planted.is_dir() else planted.unlink()
    settled(gateway, 90)
    sent |= {f"1.2.3.{number}": path for number, path in enumerate(again, 1)}
    nothing_lost(gateway, rows, sent)
    assert not gateway.find(".oxidicom/set-aside/*")


def test_an_association_that_is_moved_away_takes_nothing_more(gateway, rows, tmp_path):
    paths = make_series(tmp_path / "in", 2, "1.2.3")
    association = open_association(gateway.port, contexts_of(paths))
    assert association.send_c_store(os.fspath(paths[0])).Status == 0
    (directory,) = gateway.find(".oxidicom/0*/spool/0*")
    os.rename(directory, tmp_path / "moved")

    def is_refused():
        return association.send_c_store(os.fspath(paths[1])).Status == 0xA700

    wait_until(is_refused, "what would land elsewhere is refused")
    os.rename(tmp_path / "moved", directory)
    assert association.send_c_store(os.fspath(paths[1])).Status == 0
    association.release()
    settled(gateway)
    nothing_lost(gateway, rows, {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})


def test_a_link_at_the_final_path_is_replaced_and_nothing_loops(make_gateway, proxied, proxy, rows, tmp_path):
    gateway = make_gateway(db=proxied)
    proxy.refuse()
    sent = send_series(gateway, tmp_path / "in", "1.2.3")
    wait_until(lambda: len(gateway.find(".oxidicom/0*/spool/*/0*.stored")) == 2, "both are stored")
    path = gateway.files_root / gateway.stored()[0]
    path.unlink()
    path.symlink_to("nowhere")
    proxy.accept()
    settled(gateway)
    nothing_lost(gateway, rows, sent)
    assert len(gateway.lines("files_gone")) <= 2
