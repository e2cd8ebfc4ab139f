"""Who meets which workload in a session."""

from benchmarks.campaign import Campaign
from benchmarks.database import DatabaseServer
from benchmarks.invocation import parse_invocation
from benchmarks.session import Session
from benchmarks.workloads import GATEWAY


def session(*workloads):
    return Session(
        workloads=workloads,
        peers=[],
        rounds=1,
        idle_seconds=0.0,
        is_quick=False,
        settings={},
        baseline="",
        guests={"rust": parse_invocation("PORT={port} other")},
        directory="/nowhere",
        name="",
    )


def test_a_guest_meets_every_workload_but_those_with_rows_before():
    made = session("10k", "10k-8", "512k", "10k-rows-1k")
    servers = made._servers(DatabaseServer("/nowhere"))
    order = Campaign(made._workloads({}), servers, rounds=1, idle_seconds=0.0)._order(1)
    met = [(workload.name, server.name) for workload, server in order]
    assert met == [
        ("10k", GATEWAY), ("10k", "rust"), ("512k", GATEWAY), ("512k", "rust"), ("10k-8", GATEWAY), ("10k-8", "rust"),
        ("10k-rows-1k", GATEWAY),
    ]  # fmt: skip


def test_the_results_tell_how_a_guest_was_started():
    assert session("10k")._describe()["guests"] == "rust='PORT={port}' other"
