"""The settings: one frozen object, read once from a mapping of environment variables.

Every field's alias is the name of its variable; how its value is written stands in `setting_values.py`. Faults are
collected and raised together, so that a user mends a configuration in one go; `setting_faults.py` has their words.
Only the command line reads `os.environ`.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from oxidicom.association.access import AllowedPeer, Network, parse_allowed_peers, parse_networks
from oxidicom.association.pdu_reader import MAX_REQUEST_BYTES
from oxidicom.errors import ConfigurationError
from oxidicom.lonk.address import parse_addresses, shown
from oxidicom.pacs.address_book import PacsAddress, parse_address_book
from oxidicom.paths.seahash import seahash
from oxidicom.setting_faults import Fault, fault_of
from oxidicom.setting_values import (
    parse_ae_title,
    parse_interval,
    parse_size,
    parse_umask,
    require_certificate,
    require_nats,
    require_pdu_length,
    require_readable,
    require_subject,
    show_interval,
)
from oxidicom.variables import canonical

EMBEDDED = "embedded"
"""The value of CHRIS_DB_CONNECTION that asks for a private PostgreSQL."""
_MAX_BYTES = 1 << 62
"""What is larger fits no field of the scoreboard."""
_MAX_SECONDS = 1_000_000.0
"""What is longer fits no deadline of the kernel, which counts in milliseconds."""
_Bytes = Annotated[int, BeforeValidator(parse_size), Field(le=_MAX_BYTES)]
_Seconds = Annotated[float, Field(le=_MAX_SECONDS, allow_inf_nan=False)]
_Interval = Annotated[float, BeforeValidator(parse_interval), PlainSerializer(show_interval)]


def _default_storage_workers() -> int:
    return min(os.cpu_count() or 1, 4)


class Settings(pydantic.BaseModel):
    """All settings of the gateway. `Settings.from_environment` is the way to make one."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", populate_by_name=False)

    db_connection: str = Field(
        alias="CHRIS_DB_CONNECTION",
        min_length=1,
        description="libpq connection string or URL of CUBE's database, or `embedded`: a private PostgreSQL",
    )
    db_pool: int = Field(
        10,
        alias="CHRIS_DB_POOL",
        ge=1,
        le=1000,
        description="maximum number of database connections, in total",
    )
    embedded_schema: Literal["flat", "folders"] = Field(
        "flat",
        alias="CHRIS_EMBEDDED_SCHEMA",
        description="tables of the private PostgreSQL: `flat`, as of CUBE up to 5.2, or `folders`, as of CUBE 6 and 7",
    )
    files_root: Annotated[str, AfterValidator(os.path.abspath)] = Field(
        alias="CHRIS_FILES_ROOT", min_length=1, description="where CUBE's storage is mounted"
    )
    ae_title: Annotated[str, AfterValidator(parse_ae_title)] = Field(
        "ChRIS", alias="CHRIS_SCP_AET", description="our AE title"
    )
    check_called_ae_title: bool = Field(
        False,
        alias="CHRIS_SCP_CHECK_CALLED_AET",
        description="reject associations that call another AE title than ours",
    )
    allowed_peers: Annotated[
        tuple[AllowedPeer, ...],
        BeforeValidator(parse_allowed_peers),
        PlainSerializer(lambda peers: ",".join(map(str, peers))),
    ] = Field(
        (),
        alias="CHRIS_SCP_ALLOWED_AETS",
        description="calling AE titles that are accepted, or `AET@network` (`PACS@10.1.2.0/24`), comma-separated; "
        "empty: all",
    )
    proxy_protocol: bool = Field(
        False,
        alias="CHRIS_PROXY_PROTOCOL",
        description="connections come from a balancer that sends the PROXY protocol, version 2, so that the address of "
        "the PACS is known",
    )
    trusted_proxies: Annotated[
        tuple[Network, ...],
        BeforeValidator(parse_networks),
        PlainSerializer(lambda networks: ",".join(map(str, networks))),
    ] = Field(
        parse_networks("127.0.0.0/8,::1"),
        alias="CHRIS_PROXY_TRUSTED",
        description="addresses or networks of the balancers that are trusted, comma-separated; connections "
        "from others are closed",
    )
    max_associations_per_ae: int | None = Field(
        None,
        alias="CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE",
        ge=1,
        description="maximum concurrent associations of one calling AE title, so that one PACS cannot starve the rest",
    )
    busy_seconds: _Seconds = Field(
        10.0,
        alias="CHRIS_SCP_BUSY_SECONDS",
        ge=1,
        description="how long a connection waits for a free listener before it is rejected "
        "(transient: local limit exceeded)",
    )
    strict: bool = Field(
        False,
        alias="CHRIS_SCP_STRICT",
        description="a PDU longer than the announced maximum aborts the association",
    )
    max_pdu_length_bytes: Annotated[_Bytes, AfterValidator(require_pdu_length)] = Field(
        131072,
        alias="CHRIS_SCP_MAX_PDU_LENGTH",
        ge=0,
        le=64 * 1024 * 1024,
        description="maximum PDU length that we announce, in bytes; 0: no limit announced",
    )
    sync_before_success: bool = Field(
        False,
        alias="CHRIS_SCP_SYNC",
        description="answer Success only after the instance is synced to the disk, so that not even a power failure "
        "loses it; costs throughput",
    )
    uncompressed_only: bool = Field(
        False,
        alias="CHRIS_SCP_UNCOMPRESSED_ONLY",
        description="accept only native (uncompressed) transfer syntaxes",
    )
    pacs_addresses: Annotated[
        dict[str, PacsAddress],
        BeforeValidator(parse_address_book),
        PlainSerializer(lambda book: ",".join(str(address) for address in book.values())),
    ] = Field(
        default_factory=dict,
        alias="CHRIS_PACS_ADDRESS",
        description="`AET=host:port` pairs, comma-separated: which PACS to ask how many instances a series has",
    )
    pacs_timeout_seconds: _Seconds = Field(
        10.0,
        alias="CHRIS_PACS_TIMEOUT_SECONDS",
        gt=0,
        le=600,
        description="how long to wait, in total, until the PACS says how many instances a series has",
    )
    listeners: int = Field(
        16,
        alias="CHRIS_LISTENER_THREADS",
        ge=1,
        le=1024,
        description="number of listener processes, and so of concurrent associations",
    )
    storage_workers: int = Field(
        default_factory=_default_storage_workers,
        alias="TOKIO_WORKER_THREADS",
        ge=1,
        le=64,
        description="number of storage workers; by default the number of CPUs, at most 4",
    )
    storage_reserve_bytes: _Bytes | None = Field(
        None,
        alias="CHRIS_STORAGE_RESERVE_BYTES",
        ge=0,
        description="free space below which instances are refused (A700), in bytes; by default 1 GiB, or 1 % of "
        "the filesystem if that is less",
    )
    verbose: bool = Field(False, alias="CHRIS_VERBOSE", description="log debugging messages")
    port: int = Field(11111, alias="PORT", ge=1, le=65535, description="TCP port")
    bind_address: str = Field(
        "::", alias="CHRIS_BIND_ADDRESS", description="address to listen on; `::` is IPv6 and IPv4"
    )
    tls_certificate: str = Field(
        "",
        alias="CHRIS_TLS_CERTIFICATE",
        description="PEM file with the certificate of the gateway, followed by those of its issuers; if set, the port "
        "speaks only TLS",
    )
    tls_key: Annotated[str, AfterValidator(require_certificate)] = Field(
        "",
        alias="CHRIS_TLS_KEY",
        description="PEM file with the private key, not encrypted; by default the certificate file",
    )
    tls_client_ca: Annotated[str, AfterValidator(require_certificate)] = Field(
        "",
        alias="CHRIS_TLS_CLIENT_CA",
        description="PEM file with the issuers of client certificates; if set, every peer needs one",
    )
    tls_handshake_seconds: _Seconds = Field(
        10.0, alias="CHRIS_TLS_HANDSHAKE_SECONDS", gt=0, description="deadline for the TLS handshake"
    )
    drain_seconds: _Seconds = Field(
        30.0,
        alias="CHRIS_DRAIN_SECONDS",
        ge=0,
        le=3600,
        description="how long running associations may continue after SIGTERM; systemd waits for that, but whatever "
        "else ends the gateway must wait 15 s longer (`stop_grace_period` of compose, "
        "`terminationGracePeriodSeconds` of Kubernetes)",
    )
    max_request_bytes: _Bytes = Field(
        MAX_REQUEST_BYTES,
        alias="CHRIS_SCP_MAX_REQUEST_BYTES",
        ge=1024,
        le=MAX_REQUEST_BYTES,
        description="maximum size of an association request",
    )
    max_pdu_bytes: _Bytes = Field(
        64 * 1024 * 1024,
        alias="CHRIS_SCP_MAX_PDU_BYTES",
        ge=4096,
        description="maximum size of a data PDU that is accepted although it exceeds the announced maximum "
        "(without CHRIS_SCP_STRICT)",
    )
    max_command_bytes: _Bytes = Field(
        64 * 1024,
        alias="CHRIS_SCP_MAX_COMMAND_BYTES",
        ge=1024,
        le=1024 * 1024,
        description="maximum size of a command set",
    )
    max_instance_bytes: _Bytes | None = Field(
        None,
        alias="CHRIS_SCP_MAX_INSTANCE_BYTES",
        ge=1,
        description="maximum size of a dataset; a larger one is refused (C000)",
    )
    association_request_seconds: _Seconds = Field(
        30.0,
        alias="CHRIS_SCP_REQUEST_SECONDS",
        gt=0,
        description="deadline for the association request, from the connection on (ARTIM, PS3.8, 9.1.5)",
    )
    idle_seconds: _Seconds = Field(
        600.0, alias="CHRIS_SCP_IDLE_SECONDS", gt=0, description="longest silence between two messages"
    )
    stall_seconds: _Seconds = Field(
        30.0, alias="CHRIS_SCP_STALL_SECONDS", gt=0, description="longest silence inside a message"
    )
    min_bytes_per_second: _Bytes = Field(
        1000,
        alias="CHRIS_SCP_MIN_BYTES_PER_SECOND",
        ge=0,
        description="lowest rate of a message, averaged over CHRIS_SCP_STALL_SECONDS; 0: no limit",
    )
    keep_alive_seconds: int = Field(
        60,
        alias="CHRIS_SCP_KEEP_ALIVE_SECONDS",
        ge=1,
        le=32767,
        description="silence after which TCP keep-alive checks whether the peer is still there",
    )
    umask: Annotated[int, BeforeValidator(parse_umask), PlainSerializer(lambda mask: f"{mask:03o}")] = Field(
        0o022, alias="CHRIS_UMASK", description="umask of stored files and directories, octal"
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto",
        alias="CHRIS_LOG_FORMAT",
        description="`text`, `json`, or `auto`: text on a terminal, JSON lines otherwise",
    )
    state_directory: str = Field(
        "",
        alias="STATE_DIRECTORY",
        description="directory of the history and the embedded database; by default /var/lib/oxidicom for root, "
        "~/.local/state/oxidicom for others (systemd sets it)",
    )
    history_days: int = Field(
        30,
        alias="CHRIS_HISTORY_DAYS",
        ge=0,
        le=3650,
        description="how many days to keep the history of associations that `oxidicom log` shows; 0: none is kept",
    )
    otlp_endpoint: str = Field(
        "",
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OpenTelemetry Collector, OTLP over gRPC, such as `http://collector:4317`; empty: nothing is "
        "exported. The SDK's other `OTEL_…` variables apply too",
    )
    otel_resource_attributes: str = Field(
        "",
        alias="OTEL_RESOURCE_ATTRIBUTES",
        description="attributes of all exported telemetry, for example `service.name=oxidicom-test`",
    )
    metric_export_interval_milliseconds: int = Field(
        60_000,
        alias="OTEL_METRIC_EXPORT_INTERVAL",
        ge=100,
        le=1_000_000_000,
        description="interval between exports of metrics, in milliseconds",
    )
    http_port: int = Field(
        0,
        alias="CHRIS_HTTP_PORT",
        ge=0,
        le=65535,
        description="port of the web page, and of /healthz, /readyz, /metrics, /status.json; 0: none",
    )
    http_address: str = Field(
        "127.0.0.1",
        alias="CHRIS_HTTP_ADDRESS",
        min_length=1,
        description="address of the page; by default only this host can see it",
    )

    nats_addresses: Annotated[
        tuple[str, ...],
        BeforeValidator(parse_addresses),
        PlainSerializer(lambda addresses: ",".join(map(shown, addresses))),
    ] = Field(
        (),
        alias="CHRIS_NATS_ADDRESS",
        repr=False,
        description="NATS servers to which live progress of series is published (LONK), comma-separated: "
        "`nats://host:4222`, or `tls://`, with `user:password@` or `token@` before the host; empty: none is published",
    )
    nats_credentials: Annotated[str, AfterValidator(require_nats), AfterValidator(require_readable)] = Field(
        "", alias="CHRIS_NATS_CREDENTIALS", description="credentials file (`.creds`) for the NATS servers"
    )
    progress_interval_seconds: _Interval = Field(
        0.5,
        alias="CHRIS_PROGRESS_INTERVAL",
        description="minimum time between two counts of one series, with its unit: `500ms`, `2.5s`, `1min`",
    )
    root_subject: Annotated[str, AfterValidator(require_subject)] = Field(
        "oxidicom",
        alias="CHRIS_ROOT_SUBJECT",
        description="first part of the NATS subjects; CUBE subscribes to `oxidicom`",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the settings from `environment`. Raise ConfigurationError with every fault at once.

        An empty value is the same as an absent one.
        """
        settings, faults = cls.examine(environment)
        if faults:
            raise ConfigurationError([fault.sentence for fault in faults])
        return settings

    @classmethod
    def examine(cls, environment: Mapping[str, str]) -> "tuple[Settings, list[Fault]]":
        """Return every fault, and what can be read: in the place of a faulty value stands the default.

        Where there is none stand the embedded database and the root of the file system: nothing is to be done there.
        """
        values, faults = _unalias(environment)
        try:
            settings = cls.model_validate(values)
        except pydantic.ValidationError as error:
            faults += [fault_of(detail, environment) for detail in error.errors()]
            settings = _usable(values)
        return settings, faults

    @property
    def embedded_directory(self) -> str:
        """Where the embedded database lives: one directory for each files root, since its rows speak of those files."""
        return self._state_of_root("postgres")

    @property
    def history_path(self) -> str:
        """The file of the history, of all gateways of this host that have the same files root."""
        return self._state_of_root("history") + ".sqlite"

    def _state_of_root(self, what: str) -> str:
        default = "/var/lib/oxidicom" if os.geteuid() == 0 else os.path.expanduser("~/.local/state/oxidicom")
        root = os.path.realpath(self.files_root)
        return os.path.join(os.path.abspath(self.state_directory or default), f"{what}-{seahash(root.encode()):016x}")


def page_address(settings: Settings) -> str:
    """Return where the page is, as one on this host may type it."""
    address = {"::": "localhost", "0.0.0.0": "localhost"}.get(settings.http_address, settings.http_address)
    return f"http://{f'[{address}]' if ':' in address else address}:{settings.http_port}/"


_STAND_INS = {"CHRIS_DB_CONNECTION": EMBEDDED, "CHRIS_FILES_ROOT": os.sep}


def _usable(values: Mapping[str, str]) -> Settings:
    """Read what can be read, and what is left of it: some values are faulty only for want of others."""
    try:
        return Settings.model_validate({**_STAND_INS, **values})
    except pydantic.ValidationError as error:
        faulty = {detail["loc"][0] for detail in error.errors()}
        return _usable({name: value for name, value in values.items() if name not in faulty})


def known_variables() -> list[str]:
    """Return the name of each setting."""
    return [str(field.alias) for field in Settings.model_fields.values()]


def _unalias(environment: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    values: dict[str, str] = {}
    spelled: dict[str, str] = {}
    faults = []
    for name, value in environment.items():
        setting = canonical(name)
        if not value.strip():
            continue
        if setting in values and values[setting] != value:
            faults.append(
                Fault(setting, f"{name} and {spelled[setting]} are the same setting but differ: set only one")
            )
        values[setting], spelled[setting] = value, name
    return values, faults
