"""The import rules: each heavy dependency has one owner, and the protocol knows no sockets."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("oxidicom/**/*.py"), *ROOT.glob("workers/**/*.py")])


def imports_of(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


def users_of(*modules):
    return {
        str(path.relative_to(ROOT))
        for path in FILES
        if any(name == module or name.startswith(f"{module}.") for name in imports_of(path) for module in modules)
    }


def test_psycopg_belongs_to_cube():
    assert all(user.startswith(("oxidicom/cube/", "oxidicom/embedded/")) for user in users_of("psycopg"))


def test_only_the_command_line_knows_the_processes():
    assert {user for user in users_of("workers") if user.startswith("oxidicom/")} == {"oxidicom/cli.py"}


@pytest.mark.parametrize("module", ["socket", "time", "threading", "logging", "loguru", "select"])
@pytest.mark.parametrize("package", ["oxidicom/association/", "oxidicom/dataset/"])
def test_the_protocol_and_the_datasets_do_no_input_or_output(module, package):
    assert not [user for user in users_of(module) if user.startswith(package)]


def test_nothing_depends_on_the_benchmarks():
    assert not users_of("benchmarks")


def test_the_processes_know_no_dicom_library():
    assert not [user for user in users_of("pydicom", "pynetdicom") if user.startswith("workers/")]


def test_only_the_command_line_reads_the_environment():
    readers = [path for path in FILES if "os.environ" in path.read_text().replace("`os.environ`", "")]
    assert [str(path.relative_to(ROOT)) for path in readers] == ["oxidicom/cli.py"]
