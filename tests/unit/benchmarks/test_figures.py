"""Percentiles, medians and ranges."""

import pytest

from benchmarks.figures import Figure, Measurement, Results, Spread, percentile, spread

RATE = Figure.INSTANCES_PER_SECOND


def test_a_percentile_is_a_value_that_was_measured():
    hundred = [float(value) for value in range(1, 101)]
    assert [percentile(hundred, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert percentile([7.0], 99) == 7
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_spread_is_median_and_range():
    assert spread([5, 1, 3]) == Spread(3, 1, 5)
    assert spread([]) is None


def test_results_are_found_by_workload_server_and_round():
    results = Results()
    results.add(Measurement(0, "10k", "dcmtk", {}, {"storescp": 8}))
    results.add(Measurement(1, "10k", "dcmtk", {RATE: 100}))
    results.add(Measurement(2, "10k", "dcmtk", {RATE: 300}))
    results.add(Measurement(1, "512k", "dcmtk", {RATE: 7}))
    assert results.by_round("10k", "dcmtk", RATE) == {1: 100, 2: 300}
    assert results.spread_of("10k", "dcmtk", RATE) == Spread(200, 100, 300)
    assert results.spread_of("10k", "oxidicom", RATE) is None
    assert results.uss_bytes("10k", "dcmtk") == {"storescp": 8}
    assert results.names() == [("10k", "dcmtk"), ("512k", "dcmtk")]
    assert results.rounds == 2
