"""The import rules: each heavy dependency has one owner, and the protocol knows no sockets."""

import ast
import re
import subprocess
import sys
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
            assert node.module is not None, f"{path}: `from . import`"
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


def test_only_serving_knows_the_processes():
    assert {user for user in users_of("workers") if user.startswith("oxidicom/")} == {"oxidicom/serving.py"}


def test_nats_belongs_to_lonk():
    assert users_of("nats") == {"oxidicom/lonk/connection.py", "oxidicom/lonk/publisher.py"}


@pytest.mark.parametrize("module", ["socket", "time", "threading", "asyncio", "logging", "loguru", "select"])
@pytest.mark.parametrize("name", ["address", "messages", "progress"])
def test_what_lonk_says_is_pure(module, name):
    assert f"oxidicom/lonk/{name}.py" not in users_of(module)


@pytest.mark.parametrize("module", ["socket", "time", "threading", "logging", "loguru", "select"])
@pytest.mark.parametrize(
    "package", ["oxidicom/association/", "oxidicom/dataset/", "oxidicom/judgement/", "oxidicom/paths/"]
)
def test_pure_rooms_do_no_input_or_output(module, package):
    assert not [user for user in users_of(module) if user.startswith(package)]


def test_the_web_libraries_belong_to_the_page():
    users = users_of("uvicorn", "starlette", "jinja2", "h11", "asyncio")
    assert users
    assert all(user.startswith(("workers/page/", "oxidicom/lonk/")) for user in users)


def test_the_processes_are_forked_from_one_that_has_not_imported_the_web_libraries():
    code = (
        "import sys, workers.supervisor.supervisor; "
        "print([name for name in ('uvicorn', 'starlette', 'jinja2', 'h11', 'http.server') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_nothing_depends_on_the_benchmarks():
    assert not users_of("benchmarks")


def test_the_processes_know_no_dicom_library():
    assert not [user for user in users_of("pydicom", "pynetdicom") if user.startswith("workers/")]


def test_only_the_command_line_reads_the_environment():
    readers = [path for path in FILES if "os.environ" in path.read_text().replace("`os.environ`", "")]
    assert [str(path.relative_to(ROOT)) for path in readers] == ["oxidicom/cli.py"]


# -- rooms -------------------------------------------------------------------------------------------------------------

FLOORS = [
    {
        "wording",
        "errors",
        "former_variables",
        "moments",
        "port",
        "processes",
        "records",
        "statuses",
        "stencil",
        "variables",
        "wanted_tags",
    },
    {"files", "judgement", "outage", "paths", "setting_faults", "setting_values"},
    {"association", "dataset", "telemetry", "log_stream"},
    {"storage", "tree", "pacs", "logs", "lonk"},
    {"settings", "spool"},
    {"history"},
    {"cube", "embedded", "tls", "service_manager"},
    {"announcement", "configuration", "setting_groups"},
    {"operations"},
    {"serving"},
    {"cli"},
    {"__main__", "manual"},
]
"""The rooms of the library, from the ground up: each imports only what is on a floor below, and itself."""
ROLES = {"listener", "storage", "registration", "inquiry", "observer", "page", "steward"}


def room_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1]


def rooms_of(package, path):
    """Return the rooms of a package that a file imports from."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith(f"{package}.")}


def test_nothing_in_the_library_points_upward():
    floor_of = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    arrows = [
        (str(path.relative_to(ROOT)), room)
        for path in FILES
        if path.is_relative_to(ROOT / "oxidicom") and path.name != "__init__.py"
        for room in rooms_of("oxidicom", path)
        if room != room_of(path) and floor_of[room] >= floor_of[room_of(path)]
    ]
    assert arrows == []


def test_a_role_imports_the_channels_and_the_library_and_no_other_role():
    arrows = [
        (str(path.relative_to(ROOT)), room)
        for path in ROOT.glob("workers/*/*.py")
        for room in rooms_of("workers", path)
        if (room_of(path) in ROLES and room not in {room_of(path), "channels"})
        or (room_of(path) == "channels" and room != "channels")
    ]
    assert arrows == []


def test_a_role_is_handed_what_it_uses_and_not_all_that_is_shared():
    assert not [user for user in users_of("workers.channels.shared") if user.split("/")[1] in ROLES]


@pytest.mark.parametrize("package", ["workers", "oxidicom"])
def test_each_room_says_what_lives_there_and_which_file_to_open_first(package):
    rooms = [path for path in ROOT.glob(f"{package}/**/__init__.py") if path.parent != ROOT / package]
    assert rooms
    for path in rooms:
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        named = re.findall(r"`([a-z0-9_/]+\.py)`", said)
        assert named, f"{path}: which file is to be opened first?"
        assert all((path.parent / name).exists() or (ROOT / name).exists() for name in named), path


def test_commands_print_through_one_place_so_that_nothing_from_elsewhere_is_markup():
    printing = {"oxidicom/operations/printing.py"}
    assert users_of("rich.table", "rich.markup") == printing
    ours = [path for path in FILES if "console.print(" in path.read_text()]
    assert {str(path.relative_to(ROOT)) for path in ours} == printing | {"oxidicom/operations/top.py"}
