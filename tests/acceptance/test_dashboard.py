"""The dashboard and docs/observability.md speak only of metrics that exist, and of all of them."""

import json
import re
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.gateway import free_port

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/observability/grafana/dashboards/oxidicom.json"


def queries():
    return [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]


def families_of(make_gateway):
    port = free_port()
    make_gateway(CHRIS_HTTP_PORT=str(port))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        return list(text_string_to_metric_families(response.read().decode()))


def samples_of(family):
    """Return the names under which a family is queried; a labelled one may have no sample yet."""
    if family.type == "counter":
        return {f"{family.name}_total"}
    if family.type == "histogram":
        return {f"{family.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return {family.name}


def test_every_query_names_a_metric_that_exists(make_gateway):
    families = families_of(make_gateway)
    known = set().union(*map(samples_of, families))
    used = {name for query in queries() for name in re.findall(r"oxidicom_\w+", query)}
    assert used <= known, used - known
    untold = {family.name for family in families if not samples_of(family) & used}
    assert not untold, f"not on the dashboard: {untold}"


def test_the_document_has_every_metric(make_gateway):
    text = (ROOT / "docs/observability.md").read_text()
    documented = {name.replace(".", "_") for name in re.findall(r"^\| `(oxidicom\.[\w.]+)` \|", text, re.MULTILINE)}
    existing = {re.sub("_(seconds|bytes)$", "", family.name) for family in families_of(make_gateway)}
    assert documented == existing
