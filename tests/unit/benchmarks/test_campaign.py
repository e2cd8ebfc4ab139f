"""Rounds alternate, so that no server is always first."""

from benchmarks.campaign import Campaign, _pace
from benchmarks.figures import Figure, Measurement, Results
from benchmarks.floors import FLOORS, Floor
from benchmarks.workloads import FLOOR_DISCARD, FLOOR_WRITE, GATEWAY, WORKLOADS, shortened

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
