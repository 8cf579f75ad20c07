"""Settings: frozen, typed, defaults = zero-setup mode; the only reader of the environment.

Every field is read from ``DEERFLOW_<NAME>``; those with an established name of their own (``DATABASE_URL``,
``REDIS_URL``, ``PORT``) from that too. A value can also be given as a file: ``DATABASE_URL_FILE=/run/secrets/db``.
"""

import hashlib
import os
import sys
import tempfile
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deerflow.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where app.py, tasks/ and migrations/ are."""

DATABASE_NAMES = ("DATABASE_URL", "DATABASE_URI", "POSTGRES_URI")
REDIS_NAMES = ("REDIS_URL", "REDIS_URI")
"""Names that platforms and the LangGraph Platform's own images use; the first that is set counts."""

ANY_PROXY, UNIX_PROXY = "*", "unix"
"""Words of ``trusted_proxies``: whoever is at the socket, and who comes through a Unix socket."""

# A server that vanished without a word is noticed within seconds: a lease lasts 15 s, and what holds it must not hang
# on a dead connection for the quarter of an hour that TCP would try.
POSTGRES_PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
"""Connection parameters of everything that talks to Postgres."""
POSTGRES_IDLE = "idle_in_transaction_session_timeout = '20s'"
"""Set in the sessions of all processes that serve. One that stops while Postgres waits for the next word of its
transaction (frozen, swapped out, cut off) keeps its locks: whoever takes over its runs would wait for as long."""

_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes with its terminator; a few spare for Valkey's temporary name


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class Settings(BaseSettings):
    """What this process was told. Seconds and bytes are named in the field."""

    model_config = SettingsConfigDict(env_prefix="DEERFLOW_", frozen=True, extra="ignore", populate_by_name=True)

    data: Path = Path(".deerflow")
    """Folder of everything that zero-setup mode keeps: SQLite files, embedded Valkey, schedule, lock."""
    config: Path | None = None
    """The langgraph.json to serve, or its folder; default: ./langgraph.json, else the example that comes with the
    checkout."""
    host: str = "127.0.0.1"
    """Address that ``serve`` listens on."""
    port: Annotated[int, Field(ge=1, le=65535, validation_alias=_named("DEERFLOW_PORT", "PORT"))] = 8123
    """Port that ``serve`` listens on; 8123 is where the SDKs look when given no URL."""
    database_url: Annotated[str, Field(validation_alias=_named("DEERFLOW_DATABASE_URL", *DATABASE_NAMES))] = ""
    """``postgresql://…``; empty: SQLite files in the data folder."""
    redis_url: Annotated[str, Field(validation_alias=_named("DEERFLOW_REDIS_URL", *REDIS_NAMES))] = ""
    """``redis://…``; empty: the embedded Valkey's socket in the data folder."""
    auth: Literal["accounts", "trusted-header", "none"] = "accounts"
    """Who may call. ``accounts``: who signs in, or sends an API key. ``trusted-header``: whom a proxy names.
    ``none``: every caller on this machine is the principal ``local``."""
    secret: Annotated[str, Field(repr=False)] = ""
    """Signs session cookies and one-time links, at least 32 characters; several separated by spaces while one is
    exchanged, the first one signs. Empty: made once and kept in the data folder when the database is there too."""
    registration: bool = False
    """Whether strangers may make an account of their own."""
    admin_email: str = ""
    """With ``admin_password``: makes the administrator at the first start, without the set-up link."""
    admin_password: Annotated[str, Field(repr=False)] = ""
    """The administrator's first password; it is not looked at again."""
    session_seconds: Annotated[int, Field(ge=60)] = 30 * 86_400
    """How long a session lasts without a request."""
    trusted_proxies: str = ""
    """Addresses or networks, separated by commas, whose forwarded headers are believed; ``unix``: who comes through a
    Unix socket; ``*``: whoever is at the socket."""
    trusted_header: str = "X-Forwarded-User"
    """The header in which the proxy names the user in mode ``trusted-header``."""
    cors_origins: str = ""
    """Origins, separated by commas, whose pages may call from a browser; ``*``: all, ``none``: no other than this
    server's own. Empty: what langgraph.json's ``http.cors`` says, else what the mode allows."""
    metrics: Literal["public", "admin", "off"] = "public"
    """Who may read ``/metrics``: anybody, administrators, nobody. It has numbers, and names nobody."""
    key_requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """Requests that one API key may make in a minute; 0: as many as it likes."""
    auth_cache_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    """How long the answer of langgraph.json's ``authenticate`` stands for the same credential."""
    audit_days: Annotated[int, Field(ge=1)] = 400
    """How long the audit's entries are kept."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level that is logged."""
    worker_name: str = ""
    """Name of this worker on the rows that it holds; empty: made up at its start."""
    graphs_must_import: bool = False
    """Whether a worker ends when a graph cannot be imported, instead of serving the others."""
    worker_runs: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Runs that one worker process executes at once."""
    worker_threads: Annotated[int, Field(ge=1, le=1_000)] = 64
    """Threads of a worker for users' synchronous nodes."""
    lease_seconds: Annotated[float, Field(gt=0)] = 15.0
    """How long a run stays its worker's without a renewal."""
    lease_beat_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often a worker renews its leases and reads cancel marks."""
    reap_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often the clock looks for lapsed leases and unheard rings."""
    crash_limit: Annotated[int, Field(ge=1)] = 3
    """Lapsed leases without a new checkpoint after which a run ends as error."""
    run_timeout_seconds: Annotated[float, Field(ge=0)] = 86_400.0
    """How long a run may take from its first start, whatever worker has it; then it ends as timeout. 0: for ever."""
    thread_queue_limit: Annotated[int, Field(ge=1)] = 1_000
    """Runs that may wait on one thread; a further one is refused with 429."""
    recursion_limit: Annotated[int, Field(ge=1)] = 10_007
    """The most steps that a run may ask for in its ``recursion_limit``."""
    body_bytes: Annotated[int, Field(ge=1_024)] = 32 << 20
    """The largest request body; a larger one is answered with 413."""
    idempotency_seconds: Annotated[int, Field(ge=1)] = 86_400
    """How long an ``Idempotency-Key`` stands for what it has created."""
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Pause between two signs of life on an open stream."""
    drain_seconds: Annotated[float, Field(ge=0)] = 18.0
    """How long a stopping worker lets runs reach a checkpoint before it hands them over; with clean-up below 30 s."""
    keep_log_seconds: Annotated[int, Field(ge=1)] = 3_600
    """How long a finished run's events stay readable."""
    keep_resumable_log_seconds: Annotated[int, Field(ge=1)] = 86_400
    """The same for runs created with ``stream_resumable``."""
    log_bytes: Annotated[int, Field(ge=1 << 16)] = 64 << 20
    """The most bytes of events that are kept of one run; the oldest go first, and readers are told of the gap."""
    event_bytes: Annotated[int, Field(ge=1 << 10)] = 4 << 20
    """The largest event; of a larger one the longest texts are left out. The thread's state has them."""
    webhook_secret: Annotated[str, Field(repr=False)] = ""
    """Signs webhooks: ``whsec_<base64>``, several separated by spaces while one is exchanged. Empty: made once and kept
    in the data folder when the database is there too, else webhooks are not signed."""
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """How long a receiver may take to answer a webhook."""
    webhook_tries: Annotated[int, Field(ge=1, le=1_000)] = 16
    """Tries after which a webhook is given up; with the growing pauses between them about a day."""
    webhook_slots: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Webhooks that one clock sends at once."""
    webhook_allow_http: bool = False
    """Whether webhooks may go over plain ``http://``."""
    webhook_allow_loopback: bool = False
    """Whether webhooks may go to this machine itself."""
    webhook_allow_private: bool = False
    """Whether webhooks may go to private networks (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7)."""

    @field_validator("database_url")
    @classmethod
    def _database_dialect(cls, url: str) -> str:
        """Accept Heroku's ``postgres://`` and name the driver that SQLAlchemy shall use."""
        for prefix in ("postgres://", "postgresql://", "postgresql+psycopg://"):
            if url.startswith(prefix):
                return "postgresql+psycopg://" + url.removeprefix(prefix)
        if url == "" or url.startswith("sqlite:///"):
            return url
        raise ValueError("must start with postgresql:// or sqlite:///")

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, text: str) -> str:
        for word in set(proxies_in(text)) - {ANY_PROXY, UNIX_PROXY}:
            try:
                ip_network(word)
            except ValueError as error:
                raise ValueError(f"{error}; name addresses, networks, {UNIX_PROXY} or {ANY_PROXY}") from error
        return text

    @field_validator("webhook_secret")
    @classmethod
    def _secret_prefix(cls, secrets: str) -> str:
        if all(secret.startswith("whsec_") for secret in secrets.split()):
            return secrets
        raise ValueError("must look like whsec_<base64>")

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: str) -> str:
        if url == "" or url.startswith(("redis://", "rediss://", "unix://")):
            return url
        raise ValueError("must start with redis://, rediss:// or unix://")

    @field_validator("data", "config")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Make paths absolute once, so that a later change of directory means nothing."""
        return path.expanduser().absolute() if path else path

    @classmethod
    def from_env(cls, **overrides: Any) -> "Settings":
        """Read the environment; raises ConfigError that names each wrong value."""
        values = {**_from_files(cls), **{k: v for k, v in overrides.items() if v is not None}}
        try:
            return cls(**values)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"A setting is wrong: {wrong}") from error

    @property
    def address(self) -> str:
        """Host and port that ``serve`` listens on, as URLs name them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def embedded_redis(self) -> bool:
        """Whether zero-setup mode brings its own Valkey."""
        return not self.redis_url

    @cached_property
    def redis_socket(self) -> Path:
        """Socket of the embedded Valkey: in the data folder, or in a short private one when that path is too long."""
        path = self.data / "valkey.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"deerflow-{os.getuid()}-{digest}" / "valkey.sock"

    @property
    def redis(self) -> str:
        """URL for redis-py."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def broker(self) -> str:
        """The same server as a Celery broker URL."""
        return self.redis.replace("unix://", "redis+socket://", 1)

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the app database."""
        return self.database_url or f"sqlite:///{self.data / 'deerflow.db'}"

    @property
    def checkpoints(self) -> str:
        """Where checkpoints live: their own SQLite file beside the app's, or their own schema of its Postgres."""
        if self.database.startswith("sqlite:///"):
            app = Path(self.database.removeprefix("sqlite:///"))
            return f"sqlite:///{app.with_name(app.stem + '-checkpoints.db')}"
        return self.database.replace("postgresql+psycopg://", "postgresql://", 1)

    @property
    def secret_file(self) -> Path | None:
        """Where the secret is kept that nobody has set; None when several machines would have to agree on it."""
        return None if self.database_url else self.data / "secret"

    @property
    def key_file(self) -> Path:
        """Where ``serve`` keeps an API key of the administrator that the environment has made."""
        return self.data / "api-key"

    @property
    def webhook_secret_file(self) -> Path | None:
        """Where the secret is kept that nobody has set; None when several machines would have to agree on it."""
        return None if self.database_url else self.data / "webhook-secret"

    @property
    def project_file(self) -> Path:
        """The langgraph.json in force."""
        if self.config:
            return self.config / "langgraph.json" if self.config.is_dir() else self.config
        here = Path("langgraph.json").absolute()
        return here if here.exists() else ROOT / "examples" / "deerflow" / "langgraph.json"


def proxies_in(text: str) -> list[str]:
    """The words of ``trusted_proxies``."""
    return text.replace(",", " ").split()


def flask_command(environment: str = sys.prefix) -> str:
    """How our commands begin for who is in the checkout: ``./serve.sh`` puts flask into ``.venv``."""
    return ".venv/bin/flask --app app" if Path(environment) == ROOT / ".venv" else "flask --app app"


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment for the processes that ``serve`` starts: ours, plus what its options decided."""
    chosen = {
        "DEERFLOW_DATA": str(settings.data),
        "DEERFLOW_CONFIG": str(settings.project_file),
        "DEERFLOW_HOST": settings.host,
        "DEERFLOW_PORT": str(settings.port),
        "FLASK_APP": "app",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **chosen}


def _from_files(cls: type[Settings]) -> dict[str, str]:
    """Values given as ``NAME_FILE=path`` instead of ``NAME=value``."""
    found: dict[str, str] = {}
    for name, field in cls.model_fields.items():
        alias = field.validation_alias
        names = [str(c) for c in alias.choices] if isinstance(alias, AliasChoices) else [f"DEERFLOW_{name.upper()}"]
        for variable in names:
            path = os.environ.get(f"{variable}_FILE")
            if not path or variable in os.environ:
                continue
            try:
                found[name] = Path(path).read_text("utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{variable}_FILE: {error}") from error
            except UnicodeDecodeError as error:  # which would show some of what is in it
                raise ConfigError(f"{variable}_FILE: {path} is no text in UTF-8") from error
    return found


def apply_project_env(env: dict[str, str] | str, folder: Path) -> None:
    """Put a project's ``env`` (a map, or the path of a dotenv file) into the environment of this worker.

    What is set already stays, as do all settings of ours, so a project cannot redirect the server's database.
    """
    ours = {*DATABASE_NAMES, *REDIS_NAMES, "PORT"}
    for name, value in _project_env(env, folder).items():
        if name not in ours and not name.startswith("DEERFLOW_"):
            os.environ.setdefault(name, value)


def project_variables(env: dict[str, str] | str, folder: Path, *, prefix: str) -> dict[str, str]:
    """The variables that begin with *prefix*, of the environment and of a project's ``env``; nothing is set."""
    found = {**_project_env(env, folder), **os.environ}
    return {name: value for name, value in found.items() if name.startswith(prefix)}


def _project_env(env: dict[str, str] | str, folder: Path) -> dict[str, str]:
    if isinstance(env, str):
        path = folder / env
        if not path.exists():
            raise ConfigError(f"{path}, the env file that langgraph.json names, does not exist")
        return {name: value or "" for name, value in dotenv_values(path).items()}
    return {name: str(value) for name, value in env.items()}
