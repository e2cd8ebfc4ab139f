"""The gateway starts with the very environment that each file of a deployment gives it."""

import re
import urllib.request
from pathlib import Path

import pytest
import yaml

from oxidicom.configuration.env_file import read_env_file
from tests.fixtures.gateway import free_port
from tests.sandbox import container

ROOT = Path(__file__).parents[3]
IN_PLACES_OF_ITS_OWN = {
    "CHRIS_DB_CONNECTION",
    "CHRIS_FILES_ROOT",
    "STATE_DIRECTORY",
    "TMPDIR",
    "PORT",
    "CHRIS_HTTP_PORT",
}
"""What a container has for itself and a test does not: each of these is another one here, but it must be set there."""


def of_compose(service):
    """Return the environment of a service where the user has no file of his own."""
    given = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"][service]
    defaults, of_the_user = given["env_file"]
    assert of_the_user == {"path": "gateway.env", "required": False}, "the last one wins"
    environment = read_env_file(str(ROOT / defaults["path"])).variables | given["environment"]
    return {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in environment.items()}


def in_kubernetes():
    """Return the objects of the manifest by kind and name, and what the Deployment says of a pod."""
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/oxidicom.yaml").read_text()))
    named = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    return named, named["Deployment", "oxidicom"]["spec"]["template"]["spec"]


def of_kubernetes():
    named, pod = in_kubernetes()
    sources = [next(iter(source.items())) for source in pod["containers"][0]["envFrom"]]
    kinds = {"secretRef": ("Secret", "stringData"), "configMapRef": ("ConfigMap", "data")}
    environment = {}
    for reference, target in sources:
        kind, key = kinds[reference]
        environment |= named[kind, target["name"]][key]
    return environment


@pytest.mark.parametrize(
    "given",
    [lambda: of_compose("gateway"), lambda: of_compose("gateway-scaled"), of_kubernetes],
    ids=["compose", "compose, scaled", "kubernetes"],
)
def test_a_gateway_is_ready_with_the_environment_of_its_container(make_gateway, given):
    environment = container.variables() | given()
    assert environment.keys() >= IN_PLACES_OF_ITS_OWN
    port = free_port()
    others = {name: value for name, value in environment.items() if name not in IN_PLACES_OF_ITS_OWN}
    gateway = make_gateway(**others, CHRIS_HTTP_PORT=str(port))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
        assert answer.status == 200
    assert gateway.run("settings").returncode == 0
    assert not gateway.lines("unknown_variable")


def test_a_read_only_root_leaves_a_place_for_temporary_files():
    """An engine makes a volume of each VOLUME of an image; Kubernetes does not, and mounts what the manifest says."""
    place = container.variables()["TMPDIR"]
    (volumes,) = re.findall(r"^VOLUME (.*)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert place in volumes.split()
    _, pod = in_kubernetes()
    (gateway,) = pod["containers"]
    assert gateway["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["mountPath"]: mount["name"] for mount in gateway["volumeMounts"]}
    assert {"name": mounted[place], "emptyDir": {}} in pod["volumes"]


def test_no_image_is_named_that_nobody_has_made():
    """An image of ours is built from the Containerfile; a registry that is named in its place is an example."""
    of_ours = re.findall(r"image: (\S*oxidicom\S*)", (ROOT / "deploy/kubernetes/oxidicom.yaml").read_text())
    assert all(image.split("/")[0].endswith(".example") for image in of_ours)
    assert not re.findall(r"image: (\S*oxidicom\S*)", (ROOT / "compose.yaml").read_text())
