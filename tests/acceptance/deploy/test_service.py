"""What `make install-service` puts beside the program, and what `sudo oxidicom …` does with it."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tests.powers import OTHER_PYTHON, need_root

ROOT = Path(__file__).parents[3]
PACKAGES = [path for path in sys.path if path.endswith("site-packages")]
WRAPPER = "usr/local/bin/oxidicom"


def make(target, destination):
    command = ["make", target, f"DESTDIR={destination}", f"SERVICE_PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(directory):
    return {
        str(path.relative_to(directory)): path.stat().st_mode & 0o777 for path in directory.rglob("*") if path.is_file()
    }


INSTALLED = {
    "etc/systemd/system/oxidicom.service": 0o644,
    "etc/oxidicom/oxidicom.env": 0o600,
    WRAPPER: 0o755,
    "usr/local/share/man/man1/oxidicom.1": 0o644,
}


def test_it_may_be_repeated_and_keeps_the_settings(tmp_path):
    for _ in range(2):
        make("service-files", tmp_path)
        assert files(tmp_path) == INSTALLED
        (tmp_path / "etc/oxidicom/oxidicom.env").write_text("PORT=1\n")
    make("service-files", tmp_path)
    assert (tmp_path / "etc/oxidicom/oxidicom.env").read_text() == "PORT=1\n"


def test_it_is_removed_but_for_the_settings(tmp_path):
    need_root()
    make("service-files", tmp_path)
    for _ in range(2):
        make("uninstall-service", tmp_path)
        assert set(files(tmp_path)) == {"etc/oxidicom/oxidicom.env"}


def test_a_program_of_the_same_name_stays(tmp_path):
    other = tmp_path / WRAPPER
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\n")
    assert "is another program and stays" in make("service-files", tmp_path)
    if os.geteuid() == 0:
        make("uninstall-service", tmp_path)
    assert other.read_text() == "#!/bin/sh\n"


AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs"]


@pytest.fixture
def program(public_directory):
    """A program `oxidicom` that every user can run."""
    need_root()
    path = Path(public_directory) / "program"
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        path.write_text(f'#!/bin/sh\nPYTHONPATH={":".join([str(ROOT), *PACKAGES])} exec {python} -m oxidicom "$@"\n')
        path.chmod(0o755)
        if not subprocess.run([*AS_NOBODY, path, "check", "-h"], cwd="/", capture_output=True).returncode:
            return path
    pytest.skip(OTHER_PYTHON)


@pytest.fixture
def installed(public_directory, program):
    """The wrapper as it is installed, for this program, with an environment file for root only, and the user nobody."""
    directory = Path(public_directory)
    make("service-files", directory)
    (directory / "files").mkdir()
    account = pwd.getpwnam("nobody")
    os.chown(directory / "files", account.pw_uid, account.pw_gid)
    settings = directory / "etc/oxidicom/oxidicom.env"
    settings.write_text(
        f"CHRIS_DB_CONNECTION='host=nowhere.invalid password=secret'\nCHRIS_FILES_ROOT={directory}/files\n"
    )
    wrapper = directory / WRAPPER
    text = wrapper.read_text().replace("/opt/oxidicom/bin/oxidicom", str(program))
    wrapper.write_text(
        text.replace("/etc/oxidicom/", f"{settings.parent}/").replace("--user oxidicom", "--user nobody")
    )
    return wrapper


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_as_root_a_command_has_the_settings_of_the_service_and_works_as_its_user(installed):
    shown = run(installed, "settings", env={"PATH": os.environ["PATH"], "COLUMNS": "300", "CHRIS_FILES_ROOT": "/other"})
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "/files" in shown.stdout
    assert "/other" not in shown.stdout
    assert "secret" not in shown.stdout
    checked = run(installed, "check", env={"PATH": os.environ["PATH"], "COLUMNS": "300"})
    assert "read by user nobody" in checked.stdout, checked.stdout + checked.stderr


def test_as_another_user_it_says_that_sudo_is_needed(installed):
    done = run(*AS_NOBODY, installed, "status", env={"PATH": os.environ["PATH"]}, cwd="/")
    assert done.returncode == 78
    assert "with sudo only" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shell_that_asks_how_a_line_goes_on_is_told_nothing_else(installed):
    asked = {"_OXIDICOM_COMPLETE": "complete_bash", "COMP_WORDS": "oxidicom stat", "COMP_CWORD": "1"}
    done = run(*AS_NOBODY, installed, env={"PATH": os.environ["PATH"], **asked}, cwd="/")
    assert (done.stdout.split(), done.stderr) == (["status"], "")


def test_only_root_can_become_another_user(program):
    for user, said in (("root", "only root can become another user"), ("no-such-user", "there is no such user")):
        done = run(*AS_NOBODY, program, "--user", user, "status", cwd="/")
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr


@pytest.mark.shellcheck
@pytest.mark.parametrize("script", ["systemd/oxidicom", "install"])
def test_the_script_is_sound(script):
    subprocess.run(["shellcheck", ROOT / "deploy" / script], check=True, timeout=60)


def test_container_and_service_are_installed_by_the_same_script_which_takes_what_is_locked():
    assert "RUN deploy/install /opt/oxidicom\n" in (ROOT / "Containerfile").read_text()
    assert "\tdeploy/install /opt/oxidicom $(PYTHON)\n" in (ROOT / "Makefile").read_text()
    commands = (ROOT / "deploy/install").read_text().replace("\\\n", "").splitlines()
    installing = [line for line in commands if " -m pip install " in line or " -m pip wheel " in line]
    asking = [line for line in installing if "--no-index" not in line]
    assert asking
    assert all("--require-hashes" in line and "$locks/" in line for line in asking)
