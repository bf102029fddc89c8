"""All settings, from the environment (`EVERY8D_…`), a `.env` file, and a TOML file named by `EVERY8D_CONFIG`."""

import os
import tempfile
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from config.account import EMULATOR_URL, Account

#: A UNIX socket's path has room for 108 bytes on Linux and 104 on macOS.
SOCKET_PATH_MAX = 100


class SettingsError(Exception):
    """The settings are wrong. `problems` is rows of (setting, what is wrong with it); secrets never stand in it."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        width = max((len(name) for name, _ in problems), default=0)
        lines = [f"  {name.ljust(width)}  {what}" for name, what in problems]
        super().__init__("These settings are wrong:\n" + "\n".join(lines))


class Settings(BaseSettings):
    """One deployment's settings. With none at all: embedded Valkey, SQLite, and the emulator as the gateway."""

    model_config = SettingsConfigDict(
        env_prefix="EVERY8D_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        nested_model_default_partial_update=True,
    )

    #: Where the embedded servers and the default ledger keep their files.
    data_dir: Path = Path(".every8d")
    # The addresses may hold passwords, so no repr shows them.
    #: redis://, rediss://, sentinel:// or amqp://; empty means the embedded Valkey in data_dir.
    broker_url: str = Field("", repr=False)
    #: Redis for session keys, locks, limiter and results; empty means the broker's.
    redis_url: str = Field("", repr=False)
    #: SQLAlchemy address of the ledger; empty means SQLite in data_dir.
    database_url: str = Field("", repr=False)
    #: Connections to the database for each process: as many as threads that use it at once.
    database_pool_size: int = Field(20, ge=1, le=500)
    accounts: dict[str, Account] = {}

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    #: An unsealed request is given up after this; nothing of it is sent.
    staged_timeout_s: float = Field(900.0, gt=0)
    #: The longest run of one dispatch or poll task before it makes way for others.
    slice_s: float = Field(5.0, gt=0, le=60)
    #: How often each worker process looks at its lanes without being told.
    look_interval_s: float = Field(1.0, gt=0, le=60)
    #: How often each account's credit is asked for.
    credit_interval_s: float = Field(600.0, ge=10)

    #: Where `every8d web` listens for the gateway's callbacks.
    web_host: str = "127.0.0.1"
    web_port: int = Field(8022, ge=1, le=65535)

    #: Kept apart so that a printed settings table can say what was defaulted.
    embedded_broker: bool = False
    embedded_gateway: bool = False

    @field_validator("accounts", mode="before")
    @classmethod
    def _aliases_in_lower_case(cls, value: Any) -> Any:
        return (
            {str(alias).lower(): account for alias, account in value.items()}
            if isinstance(value, dict)
            else value
        )

    @model_validator(mode="after")
    def _embedded_defaults(self) -> "Settings":
        self.data_dir = self.data_dir.expanduser().absolute()
        if not self.broker_url:
            self.broker_url = f"redis+socket://{socket_path(self.data_dir)}"
            self.embedded_broker = True
        if not self.redis_url:
            self.redis_url = redis_address(self.broker_url)
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir / 'ledger.db'}"
        if not self.accounts:
            self.accounts = {
                "default": Account(user_id="demo", password=SecretStr("demo"), url=EMULATOR_URL),
            }
            self.embedded_gateway = True
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - passed by name; secrets have files of their own
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First wins: arguments, environment, `.env`, the TOML file."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings, dotenv_settings)
        if file := os.environ.get("EVERY8D_CONFIG"):
            sources += (TomlConfigSettingsSource(settings_cls, Path(file)),)
        return sources

    @property
    def spool_dir(self) -> Path:
        """Where answers of the gateway wait that the ledger could not take."""
        return self.data_dir / "spool"

    @property
    def calls_dir(self) -> Path:
        """Where each worker process keeps which of its calls have begun."""
        return self.data_dir / "calls"

    def account(self, alias: str) -> Account:
        """The settings of an account. Raises KeyError when there is none of that alias."""
        return self.accounts[alias]


def socket_path(data_dir: Path) -> Path:
    """Where the embedded Valkey of a data directory listens; a short path where the directory's is too long."""
    path = data_dir / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        return path
    short = sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"every8d-{os.getuid()}-{short}" / "valkey.sock"


def redis_address(broker_url: str) -> str:
    """The same Redis for redis-py, which names a socket `unix://` where Celery says `redis+socket://`."""
    if broker_url.startswith("redis+socket://"):
        return "unix://" + broker_url.removeprefix("redis+socket://").replace("virtual_host=", "db=")
    return broker_url if broker_url.startswith(("redis://", "rediss://", "unix://")) else ""


def load(**changes: Any) -> Settings:
    """Reads the settings. Raises SettingsError with one row for each thing that is wrong."""
    file = os.environ.get("EVERY8D_CONFIG")
    if file and not Path(file).is_file():
        raise SettingsError([("EVERY8D_CONFIG", f"no such file: {file}")])
    try:
        problems = [(name, "no such setting") for name in _unknown_names(file)]
        settings = Settings(**changes)
        if not settings.redis_url:
            problems.append(("EVERY8D_REDIS_URL", "needed where the broker is not Redis"))
    except ValidationError as error:
        problems += [_row(one["loc"], one["msg"]) for one in error.errors(include_input=False)]
    except ValueError as error:
        raise SettingsError([(file or "EVERY8D_…", f"cannot be read: {error}")]) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _unknown_names(file: str | None) -> list[str]:
    """A misspelt setting would be a default that nobody asked for. Raises ValueError where the file is not TOML."""
    # ABROAD is the command line's own, KILL_AT the tests' (worker.points), of the same environment.
    known = {name.upper() for name in Settings.model_fields} | {"CONFIG", "ABROAD", "KILL_AT"}
    # A `.env` may serve other programs too; the TOML file is ours alone.
    names = {name for name in (*os.environ, *dotenv_values(".env")) if name.upper().startswith("EVERY8D_")}
    if file:
        names |= {f"EVERY8D_{key.upper()}" for key in tomllib.loads(Path(file).read_text(encoding="utf-8"))}
    return sorted(name for name in names if name.upper().removeprefix("EVERY8D_").split("__")[0] not in known)


def _row(place: tuple[int | str, ...], message: str) -> tuple[str, str]:
    name = "EVERY8D_" + "__".join(str(part).upper() for part in place)
    return name, message.removeprefix("Value error, ")
