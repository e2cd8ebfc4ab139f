"""The alerting rules are what Prometheus takes, ask only for metrics that exist, and each fires when it should."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.acceptance.deploy.test_files import passes
from tests.acceptance.test_dashboard import families_of, samples_of

DIRECTORY = Path(__file__).parents[3] / "deploy/observability"
RULES = [rule for group in yaml.safe_load((DIRECTORY / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]

STEPS = 30 * 12
"""Of five minutes: 30 hours, since one rule looks at a day."""
GIBIBYTE = 1024**3


def gauge(name, value):
    return name, f"{value}+0x{STEPS}"


def rising(name, steps=STEPS):
    """A counter that rises at so many steps, and then stands still."""
    return name, f"0+5x{steps} {5 * steps}+0x{STEPS - steps}"


LEFT = "oxidicom_certificate_left_seconds"
FREE = "oxidicom_storage_free_bytes"
INSTANCES = "oxidicom_instance_committed_total"
REFUSED = 'oxidicom_instance_refused_total{status="%s"}'
SERIES = 'oxidicom_series_ended_total{verdict="%s"}'
RESPAWNS = 'oxidicom_process_respawns_total{role="listener"}'
JUDGEMENT = "oxidicom_judgement"

CASES = [
    # what a Prometheus has seen, and which alerts fire in the end; what a case does not name is well
    ([gauge("oxidicom_set_aside_now", 0), gauge("oxidicom_database_up", 1), gauge(FREE, 50 * GIBIBYTE)], set()),
    ([rising(SERIES % "complete"), rising(SERIES % "unknown"), gauge(LEFT, 40 * 86400)], set()),
    ([gauge(JUDGEMENT, 2)], {"OxidicomCritical", "OxidicomWarning"}),
    ([gauge(JUDGEMENT, 1)], {"OxidicomWarning"}),
    ([(JUDGEMENT, f"_x{STEPS}")], {"OxidicomDown"}),
    ([gauge('up{job="oxidicom"}', 0)], {"OxidicomDown"}),
    ([rising(REFUSED % "A700")], {"OxidicomRefusesForResources"}),
    ([rising(REFUSED % "C000")], {"OxidicomRefusesInstances"}),
    ([rising(REFUSED % "C000", steps=STEPS // 2)], set()),
    ([gauge(FREE, 9 * GIBIBYTE)], {"OxidicomStorageNearlyFull"}),
    ([gauge(FREE, 0)], set()),  # it is away, which the judgement says
    ([(FREE, f"{100 * GIBIBYTE}-{GIBIBYTE // 6}x{STEPS}")], {"OxidicomStorageFillsUp"}),
    ([gauge("oxidicom_database_up", 0)], {"OxidicomDatabaseDown"}),
    ([gauge("oxidicom_spool_age_seconds", 1000)], {"OxidicomBacklogOld"}),
    ([gauge("oxidicom_set_aside_now", 3)], {"OxidicomSetAside"}),
    ([rising("oxidicom_row_set_aside_total"), gauge("oxidicom_instance_set_aside_total", 0)],
     {"OxidicomSetAsideRising"}),
    ([rising(RESPAWNS)], {"OxidicomProcessesDie"}),
    ([gauge(LEFT, 29 * 86400)], {"OxidicomCertificateExpiresInAMonth"}),
    ([gauge(LEFT, 6 * 86400)], {"OxidicomCertificateExpiresInAWeek"}),
    ([gauge(LEFT, -1)], {"OxidicomCertificateExpired"}),
    ([rising(SERIES % "incomplete")], {"OxidicomSeriesIncomplete"}),
    ([rising("oxidicom_lonk_dropped_total")], {"OxidicomLiveProgressLost"}),
    ([rising("oxidicom_fact_dropped_total")], {"OxidicomFactsDropped"}),
    ([rising(INSTANCES, steps=12)], {"OxidicomNoInstances"}),
]  # fmt: skip


def of_promtool(series, firing):
    """Return a case as `promtool test rules` has it: in the end exactly these alerts fire."""
    well = [gauge(JUDGEMENT, 0), gauge('up{job="oxidicom"}', 1), rising(INSTANCES)]
    present = {name for name, _ in series}
    return {
        "interval": "5m",
        "input_series": [
            {"series": name, "values": values}
            for name, values in [*series, *(one for one in well if one[0] not in present)]
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{STEPS * 5}m",
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(firing)],
            }
        ],
    }


def test_each_rule_is_whole():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert "$labels" not in str(rule), "whoever is told must not need them"


def test_the_observability_profile_has_them():
    compose = yaml.safe_load((DIRECTORY.parents[1] / "compose.yaml").read_text())
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["prometheus"]["volumes"])
    assert mounted["./deploy/observability/alerts.yaml"] == "/etc/prometheus/alerts.yaml"
    prometheus = yaml.safe_load((DIRECTORY / "prometheus.yaml").read_text())
    assert prometheus["rule_files"] == ["alerts.yaml"]
    assert [job["job_name"] for job in prometheus["scrape_configs"]] == ["oxidicom"], "as the rule for `up` has it"


def test_every_rule_names_a_metric_that_exists(make_gateway):
    known = set().union(*map(samples_of, families_of(make_gateway)))
    used = {name for rule in RULES for name in re.findall(r"oxidicom_\w+", rule["expr"])}
    assert used <= known, used - known


def test_every_rule_fires_in_a_case():
    assert set().union(*(firing for _, firing in CASES)) == {rule["alert"] for rule in RULES}


@pytest.mark.promtool
def test_promtool_takes_them():
    output = passes("promtool", "check", "config", "deploy/observability/prometheus.yaml")
    assert f"{len(RULES)} rules found" in output


@pytest.mark.promtool
def test_each_fires_when_it_should_and_only_then(tmp_path):
    cases = {"rule_files": [str(DIRECTORY / "alerts.yaml")], "evaluation_interval": "5m"}
    cases["tests"] = [of_promtool(*case) for case in CASES]
    path = tmp_path / "cases.yaml"
    path.write_text(json.dumps(cases))
    passes("promtool", "test", "rules", str(path))
