"""Goals are judged by the rounds in which both sides were measured, and by nothing else."""

import pytest

from benchmarks.figures import Figure, Measurement, Results
from benchmarks.goals import GOALS, Goal, Term, goals_against, judge
from benchmarks.workloads import BASELINE, GATEWAY, GATEWAY_6, IDLE, REGISTRATION, WORKLOADS

RATE, LAG = Figure.INSTANCES_PER_SECOND, Figure.LAG_P99_SECONDS


def measured(*values):
    return Results(
        Measurement(number, workload, server, {figure: value}) for number, workload, server, figure, value in values
    )


def test_a_ratio_is_taken_within_a_round():
    goal = Goal("rate", Term("10k", "oxidicom", RATE), Term("10k", "dcmtk", RATE), at_least=1.5)
    results = measured(
        (1, "10k", "oxidicom", RATE, 200), (1, "10k", "dcmtk", RATE, 100),
        (2, "10k", "oxidicom", RATE, 40), (2, "10k", "dcmtk", RATE, 10),
        (3, "10k", "oxidicom", RATE, 1),
    )  # fmt: skip
    verdict = judge(goal, results)
    assert verdict.values == [2, 4]
    assert verdict.median == 3
    assert verdict.is_met


@pytest.mark.parametrize(("value", "met"), [(1.49, False), (1.5, True), (1.51, True)])
def test_a_least_ratio(value, met):
    goal = Goal("rate", Term("10k", "oxidicom", RATE), Term("10k", "dcmtk", RATE), at_least=1.5)
    verdict = judge(goal, measured((1, "10k", "oxidicom", RATE, value), (1, "10k", "dcmtk", RATE, 1)))
    assert verdict.is_met is met


@pytest.mark.parametrize(("seconds", "met"), [(0.199, True), (0.2, True), (0.201, False)])
def test_a_limit_in_its_own_unit(seconds, met):
    goal = Goal("lag", Term("10k", "oxidicom", LAG), at_most=200, unit="ms", scale=1e-3)
    verdict = judge(goal, measured((1, "10k", "oxidicom", LAG, seconds)))
    assert verdict.values == pytest.approx([seconds * 1000])
    assert verdict.is_met is met


def test_what_was_not_measured_is_neither_met_nor_missed():
    for goal in GOALS:
        assert judge(goal, Results()).is_met is None


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.title)
def test_every_goal_is_measured_by_a_whole_run(goal):
    servers = {workload.name: {GATEWAY, BASELINE, *workload.peers} for workload in WORKLOADS}
    servers |= {IDLE: {GATEWAY}, REGISTRATION: {GATEWAY, GATEWAY_6}}
    for term in filter(None, (goal.measured, goal.against)):
        assert term.server in servers[term.workload]
    assert (goal.at_least is None) != (goal.at_most is None)


def test_the_goals_of_cube_6():
    goals = {goal.title.removeprefix("CUBE 6, "): goal for goal in GOALS if goal.title.startswith("CUBE 6, ")}
    bounds = {title: goal.bound for title, goal in goals.items()}
    assert sorted(bounds.values()) == ["≤ 1.15 ×"] * 2 + ["≤ 1.6 ×"] * 3 + ["≤ 300 ms", "≥ 10000 /s"]
    cpu = Figure.TOTAL_CPU_SECONDS
    results = measured((1, "10k", GATEWAY, cpu, 200e-6), (1, "10k", GATEWAY_6, cpu, 330e-6))
    (verdict,) = [verdict for goal in goals.values() if (verdict := judge(goal, results)).values]
    assert list(verdict.values) == pytest.approx([1.65])
    assert not verdict.is_met


def test_the_goals_against_another_gateway_are_of_its_rate_until_the_last_row():
    goals = goals_against("rust")
    assert {goal.measured.workload: goal.bound for goal in goals} == {
        "10k": "≥ 1.5 ×",
        "10k-8": "≥ 1.3 ×",
        "512k": "≥ 2 ×",
    }
    until_last_row = Figure.ROWS_PER_SECOND
    results = measured(
        (1, "10k", GATEWAY, until_last_row, 6000), (1, "10k", "rust", until_last_row, 3000),
        (1, "10k", GATEWAY, RATE, 1), (1, "10k", "rust", RATE, 9000),
    )  # fmt: skip
    (verdict,) = [verdict for goal in goals if (verdict := judge(goal, results)).values]
    assert (verdict.values, verdict.is_met) == ([2], True)
    assert verdict.goal.title == "10 KB, until the last row: rate against rust"
