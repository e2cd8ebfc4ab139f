"""Rounds alternate, so that no server is always first."""

from benchmarks.alone import Alone
from benchmarks.campaign import Campaign, _pace
from benchmarks.database import DatabaseServer
from benchmarks.figures import Figure, Measurement, Results
from benchmarks.floors import FLOORS, Floor
from benchmarks.workloads import FLOOR_DISCARD, FLOOR_WRITE, GATEWAY, GATEWAY_6, REGISTRATION, WORKLOADS, shortened

NAMED = {workload.name: workload for workload in WORKLOADS}
SERVERS = [Floor(GATEWAY, "stands for the gateway", "write"), *FLOORS]


def order(campaign, number):
    return [(workload.name, server.name) for workload, server in campaign._order(number)]


def test_odd_rounds_go_forwards_and_even_ones_backwards():
    campaign = Campaign([NAMED["10k"], NAMED["10k-8"]], SERVERS, rounds=5, idle_seconds=0)
    forwards = [("10k", GATEWAY), ("10k", FLOOR_DISCARD), ("10k", FLOOR_WRITE), ("10k-8", GATEWAY)]
    assert order(campaign, 1) == order(campaign, 3) == forwards
    assert order(campaign, 0) == order(campaign, 2) == forwards[::-1]
    assert campaign.measurements == 6 * 4


def test_a_pace_is_a_share_of_the_latest_rate_of_the_same_server():
    results = Results()
    results.add(Measurement(1, "10k-8", GATEWAY, {Figure.INSTANCES_PER_SECOND: 1000}))
    results.add(Measurement(2, "10k-8", GATEWAY, {Figure.INSTANCES_PER_SECOND: 2000}))
    results.add(Measurement(3, "10k-8", "baseline", {Figure.INSTANCES_PER_SECOND: 5}))
    assert _pace(NAMED["10k-sustained"], SERVERS[0], results) == 1400
    assert _pace(NAMED["10k"], SERVERS[0], results) is None


def test_a_paced_workload_has_no_warm_up_since_no_rate_is_known_yet():
    campaign = Campaign([NAMED["10k-8"], NAMED["10k-sustained"]], SERVERS[:1], rounds=1, idle_seconds=1.0)
    assert order(campaign, 0) == [("10k-8", GATEWAY)]
    assert order(campaign, 1) == [("10k-8", GATEWAY), ("10k-sustained", GATEWAY)]
    assert campaign.measurements == 4


def test_a_paced_workload_comes_behind_the_one_that_gives_the_pace():
    names = list(NAMED)
    for workload in WORKLOADS:
        if workload.pace:
            assert names.index(workload.pace.workload) < names.index(workload.name)


def test_a_quick_look_is_bounded():
    for workload in WORKLOADS:
        quick = shortened(workload)
        assert 1 <= quick.instances <= workload.instances
        assert 0 < quick.seconds < workload.seconds


class Listener:
    """An audience that does not listen."""

    def begins(self, what):
        pass

    def ended(self, measurement):
        pass


def test_registration_alone_is_measured_in_every_counted_round_by_turns(monkeypatch):
    database = DatabaseServer("/nowhere")
    alone = [Alone(GATEWAY, "oxidicom", "flat", database), Alone(GATEWAY_6, "CUBE 6", "folders", database)]
    monkeypatch.setattr(Alone, "measure", lambda self, number: Measurement(number, REGISTRATION, self.name, {}))
    campaign = Campaign([], [], rounds=2, idle_seconds=0, alone=alone)
    results = Results()
    campaign.run("/nowhere", results, Listener())
    assert [(one.round_number, one.server) for one in results.measurements] == [
        (1, GATEWAY), (1, GATEWAY_6), (2, GATEWAY_6), (2, GATEWAY),
    ]  # fmt: skip
    assert campaign.measurements == 4


def test_the_tables_of_cube_6_are_measured_where_they_tell_something():
    met = {name for name, workload in NAMED.items() if GATEWAY_6 in workload.peers}
    assert met == {"10k", "512k", "10k-8", "10k-sustained", "10k-rows-1k", "10k-rows-1m"}
