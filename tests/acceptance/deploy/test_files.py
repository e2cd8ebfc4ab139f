"""The files of deploy/ are valid, as far as tools can tell without running them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.container import copied

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(sys.executable).parent


def passes(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_containerfile():
    passes(SCRIPTS / "hadolint", "Containerfile")


def test_the_builder_of_the_image_is_sent_what_is_copied_and_nothing_else():
    ignored, *others = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    sent = {line.removeprefix("!") for line in others if line.startswith("!")}
    assert ignored == "*"
    assert sent == {*copied()}


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/compose.chris.yaml"])
def test_restart_rules_are_those_of_a_service(name):
    import yaml

    services = yaml.safe_load((ROOT / name).read_text())["services"]
    assert {service.get("restart") for service in services.values()} == {"unless-stopped"}


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/compose.chris.yaml"])
def test_compose(name):
    passes(SCRIPTS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", name)


@pytest.mark.parametrize(
    ("name", "service", "of_the_container"),
    [
        ("compose.yaml", "gateway", {"CHRIS_FILES_ROOT", "PORT", "CHRIS_HTTP_PORT"}),
        ("compose.yaml", "gateway-scaled", {"CHRIS_FILES_ROOT", "PORT", "CHRIS_HTTP_PORT", "CHRIS_PROXY_PROTOCOL"}),
        ("deploy/compose.chris.yaml", "gateway", {"CHRIS_FILES_ROOT", "PORT"}),
    ],
)
def test_what_the_user_writes_into_the_environment_file_reaches_the_gateway(name, service, of_the_container):
    import yaml

    given = yaml.safe_load((ROOT / name).read_text())["services"][service]
    assert given["environment"].keys() == of_the_container, "what wins over the file holds inside the container"


def test_beside_cube_the_environment_file_is_the_only_one_and_required():
    import yaml

    gateway = yaml.safe_load((ROOT / "deploy/compose.chris.yaml").read_text())["services"]["gateway"]
    assert gateway["env_file"] == "${OXIDICOM_ENV_FILE:-oxidicom.env}"


def test_kubernetes():
    passes(SCRIPTS / "kubernetes-validate", "--strict", "deploy/kubernetes/oxidicom.yaml")


@pytest.mark.haproxy
def test_haproxy():
    passes(shutil.which("haproxy"), "-c", "-f", "deploy/haproxy/haproxy.cfg")


@pytest.mark.systemd
def test_systemd_unit_is_clean_and_its_exposure_small(tmp_path):
    unit = tmp_path / "oxidicom.service"
    text = (ROOT / "deploy/systemd/oxidicom.service").read_text()
    unit.write_text(text.replace("/opt/oxidicom/bin/oxidicom", sys.executable))  # it must be there to be verified
    environment = tmp_path / "oxidicom.env"
    unit.write_text(unit.read_text().replace("/etc/oxidicom/oxidicom.env", str(environment)))
    environment.write_text("")
    assert passes("systemd-analyze", "verify", str(unit)) == ""
    report = passes("systemd-analyze", "security", "--offline=yes", str(unit))
    exposure = float(report.split("Overall exposure level for oxidicom.service: ")[1].split()[0])
    assert exposure <= 2.0


def test_systemd_unit_calls_nothing_that_a_minimal_system_lacks():
    """`/bin/kill` is of the package procps, which a minimal Debian has not: `systemctl reload` failed there."""
    text = (ROOT / "deploy/systemd/oxidicom.service").read_text()
    programs = {line.split("=", 1)[1].split()[0] for line in text.splitlines() if line.startswith("Exec")}
    assert programs == {"/opt/oxidicom/bin/oxidicom", "/bin/sh"}


def test_every_setting_in_the_files_exists():
    from oxidicom.settings import Settings

    known = {str(field.alias) for field in Settings.model_fields.values()}
    text = "\n".join(
        path.read_text()
        for path in [ROOT / "compose.yaml", ROOT / "Containerfile", *(ROOT / "deploy").rglob("*")]
        if path.is_file()
    )
    import re

    named = set(re.findall(r"\b(?:CHRIS|TOKIO|OTEL)_[A-Z_]+\b", text)) - {
        "CHRIS_NETWORK",  # of deploy/compose.chris.yaml itself
        "CHRIS_FILES_VOLUME",
        "CHRIS_USER",
    }
    assert named <= known, named - known
