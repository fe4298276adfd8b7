"""What the environment or `.env` may set, checked once and then frozen; nothing is read at import.

To add a setting, add a field to `Settings`. `.env.example` and the README's table are printed from it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from chatplay.errors import ConfigError
from db.server_user import pick_data_dir

ROOT = Path(__file__).resolve().parent.parent
_OWN_NAMES = {
    "data_dir": "CHATPLAY_DATA_DIR",
    "dev": "CHATPLAY_DEV",
    "models_file": "CHATPLAY_MODELS_FILE",
    "pg_bin_dir": "CHATPLAY_PG_BIN_DIR",
}
Network = IPv4Network | IPv6Network


def variable_name(field: str) -> str:
    """The environment variable behind the field `field`."""
    return _OWN_NAMES.get(field, field.upper())


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(values: tuple[Any, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(value, strict=False) for value in values)
    except ValueError:
        raise ValueError("each must be an address or a network, such as 10.0.0.0/8") from None


def _url(value: str) -> str:
    """Where readers of addresses differ, a login could pass for something that is shown: such ones are refused."""
    TypeAdapter(HttpUrl).validate_python(value)
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if not parts.hostname or "@" in parts.path or parts.query or parts.fragment:
        raise ValueError("it must be like http://host:port/path; signs such as / in a password are written as %2F")
    return value.rstrip("/")


def _public_url(value: str) -> str:
    if urlsplit(value).username is not None:
        raise ValueError("it holds a user name or password; people type theirs when they sign in")
    return value


def _postgres_url(value: str) -> str:
    if not value.startswith(("postgres://", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("it must begin with postgresql://")
    return value


def _sendable(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isascii():
        raise ValueError("it holds characters no HTTP header can carry; copy the key again")
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[tuple[Any, ...], BeforeValidator(_split), AfterValidator(_networks)]
Url = Annotated[str, AfterValidator(_url)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseModel):
    """Everything a start can vary. Build it with `load_settings`; `_SEC` values are seconds. What may hold a key or a
    password has `repr=False`: it stands in no text.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=variable_name, populate_by_name=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` lets the team in.")
    port: int = Field(8501, ge=1, le=65_535, description="Port of the page, the routes and the WebSocket.")
    public_url: Annotated[Url, AfterValidator(_public_url)] | None = Field(
        None,
        repr=False,
        description="How people reach the app, such as `https://chat.example.org`; https makes cookies Secure.",
    )
    trusted_proxies: Networks = Field(
        (), description="Comma-separated addresses or networks whose `X-Forwarded-*` headers are believed."
    )
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the database, logs and locks; not set, root in a closed home gets one in "
        "`/var/lib/chatplay`.",
    )
    database_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(
        None, repr=False, description="Your own PostgreSQL 14 or newer; empty starts the embedded one."
    )
    database_pool_size: int = Field(20, ge=1, le=500, description="Database connections one process keeps at most.")
    pg_bin_dir: Path | None = Field(
        None, description="Folder with `initdb` and `pg_ctl` to use instead of the bundled ones."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much the log says.")

    use_openai: bool = Field(False, description="Make the OpenAI-compatible server the default instead of Echo.")
    openai_chat_model: str = Field("gpt-4o-mini", min_length=1, description="Default model of that server.")
    openai_api_key: Annotated[SecretStr, AfterValidator(_sendable)] | None = Field(
        None, repr=False, description="Its key; never shown, never sent to a browser."
    )
    openai_base_url: Url | None = Field(
        None, repr=False, description="Its address up to `/v1`; empty is OpenAI itself."
    )
    openai_allowed_models: Names = Field(
        (), description="Comma-separated models people may choose; empty allows all it offers."
    )
    models_file: Path | None = Field(
        None, description="File that lists more model servers; empty reads `models.toml` where there is one."
    )
    demo_models: bool = Field(True, description="Offer the built-in Demo and Echo models, which need no server.")
    upstream_allow_hosts: Names = Field(
        (), description="Comma-separated link-local or metadata hosts that may be model servers all the same."
    )
    dev: bool = Field(False, description="Development switch: allows `?provider=` in the address.")

    connect_timeout_sec: Seconds = Field(5, description="Longest wait for a model server to accept a connection.")
    first_token_timeout_sec: Seconds = Field(60, description="Longest wait for the first token.")
    silence_timeout_sec: Seconds = Field(30, description="Longest silence in the middle of an answer.")
    generation_timeout_sec: Seconds = Field(600, description="Longest time one answer may take in all.")
    heartbeat_sec: Seconds = Field(2, description="How often a running answer says it is alive.")
    reap_after_sec: Seconds = Field(
        10,
        description="Without a heartbeat for this long, it is marked interrupted; "
        "after two heartbeats when its process has left the database.",
    )
    max_prompt_chars: int = Field(200_000, ge=1, le=10_000_000, description="Longest message a person may send.")

    experiment_worker: bool = Field(True, description="Run experiments in this process, too.")
    experiment_calls: int = Field(16, ge=1, le=1_000, description="Calls of experiments one process makes at once.")
    experiment_upstream_calls: int = Field(
        32, ge=1, le=10_000, description="The same for all processes together at one model server."
    )

    api_requests_per_minute: int = Field(
        600, ge=1, le=1_000_000, description="Requests to the API one person may make in a minute."
    )
    api_address_requests_per_minute: int = Field(
        1_200, ge=1, le=1_000_000, description="The same for one network address, signed in or not."
    )
    api_max_body_kb: int = Field(1_024, ge=1, le=65_536, description="Largest request body the API reads.")
    api_slow_reader_sec: Seconds = Field(
        30, description="A reader of a stream that takes nothing for this long is cut off; the answer goes on."
    )

    api_connections_per_person: int = Field(
        100, ge=1, le=100_000, description="Streams and WebSockets one person may hold open to one process."
    )

    metrics_token: Annotated[SecretStr, Field(min_length=16), AfterValidator(_sendable)] | None = Field(
        None,
        repr=False,
        description="Bearer token that `/metrics` asks for; empty lets only this machine read it, and nobody once "
        "`PUBLIC_URL` or `TRUSTED_PROXIES` is set.",
    )

    sign_in_days: float = Field(14, gt=0, le=366, description="A sign-in ends after this many days.")
    sign_in_idle_hours: float = Field(72, gt=0, le=8_784, description="It ends earlier when unused for this long.")
    sign_in_max_failures: int = Field(5, ge=1, le=1_000, description="Wrong passwords in a row before a lock.")
    sign_in_lock_minutes: float = Field(15, gt=0, le=1_440, description="How long that lock lasts.")

    health_poll_sec: Seconds = Field(15, description="How often each model server is asked whether it is well.")
    health_check_ttl_sec: Seconds = Field(20, description="How long such an answer counts; keep it above the poll.")
    health_check_path: str | None = Field(
        None,
        pattern=r"^/[!-~]*$",
        description="A path that must answer too, such as `/health`; empty asks for models.",
    )
    cb_failure_threshold: int = Field(3, ge=1, le=1_000, description="Failures in a row before a server is left alone.")
    cb_cooldown_sec: Seconds = Field(30, description="How long it is left alone before the next try.")

    @property
    def cookie_secure(self) -> bool:
        """True when people come over https, so that cookies must never travel without it."""
        return self.public_url is not None and self.public_url.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the app."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def warnings(self) -> tuple[str, ...]:
        """Settings that will run, but probably not as meant; each says the cure."""
        found = []
        if self.health_check_ttl_sec <= self.health_poll_sec:
            found.append(
                "HEALTH_CHECK_TTL_SEC is not above HEALTH_POLL_SEC: models will seem to stop between two polls. "
                "Set HEALTH_CHECK_TTL_SEC higher."
            )
        if self.reap_after_sec < 2 * self.heartbeat_sec:
            found.append("REAP_AFTER_SEC is below two heartbeats: running answers may be cut. Set it higher.")
        if self.use_openai and self.openai_api_key is None and self.openai_base_url is None:
            found.append("USE_OPENAI is on without OPENAI_API_KEY: OpenAI will refuse every call. Set the key.")
        if not self.is_loopback and not self.cookie_secure:
            found.append(
                f"HOST is {self.host}, set in the environment or in .env, and lets other machines in without TLS: "
                "passwords travel readable. Put a TLS proxy in front and set PUBLIC_URL to its https address. "
                "If nobody meant to let others in (some shells set HOST by themselves), start with HOST=127.0.0.1."
            )
        return tuple(found)


def load_settings(
    *, env_file: Path | None = ROOT / ".env", environ: Mapping[str, str] = os.environ, root: Path = ROOT
) -> Settings:
    """Settings from `environ` over `env_file` over the defaults; an empty value counts as not set.

    Relative paths are taken from `root`. Raises ConfigError naming every bad variable and its cure.
    """
    given = {**_read(env_file), **environ}
    known = {
        name: given[name].strip() for name in map(variable_name, Settings.model_fields) if given.get(name, "").strip()
    }
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        raise _config_error(error, known) from None
    chosen = root / settings.data_dir.expanduser()
    data_dir = chosen if "CHATPLAY_DATA_DIR" in known else pick_data_dir(chosen)
    return settings.model_copy(update={"data_dir": data_dir, "models_file": _models_file(settings, root)})


def _models_file(settings: Settings, root: Path) -> Path | None:
    """The one that is named, else models.toml where there is one."""
    if settings.models_file is not None:
        return root / settings.models_file.expanduser()
    return root / "models.toml" if (root / "models.toml").is_file() else None


def read_environment(
    *, env_file: Path | None = ROOT / ".env", environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """All variables, `environ` over `env_file`: for keys that models.toml names by their variable."""
    return {**_read(env_file), **environ}


def _read(env_file: Path | None) -> dict[str, str]:
    if env_file is None or not env_file.is_file():
        return {}
    try:
        return {name: value or "" for name, value in dotenv_values(env_file, interpolate=False).items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{env_file.name} cannot be read ({error}).", cure="Mend its permissions or its text."
        ) from None


def _config_error(error: ValidationError, known: Mapping[str, str]) -> ConfigError:
    problems = []
    for item in error.errors(include_url=False, include_context=False):
        name = str(item["loc"][0])
        shown = f" ({known.get(name, '')!r})" if _is_harmless(name, known.get(name, "")) else ""
        reason = item["msg"].removeprefix("Value error, ")
        problems.append(f"{name}{shown}: {_uncapitalised(reason)}.")
    names = ", ".join(dict.fromkeys(str(item["loc"][0]) for item in error.errors()))
    return ConfigError(" ".join(problems), cure=f"Correct {names} in the environment or in .env.")


def _is_harmless(name: str, value: str) -> bool:
    """Whether a wrong value may be shown: in an address that cannot be read nobody knows where a password stands."""
    secret = {variable_name(field) for field, about in Settings.model_fields.items() if not about.repr}
    return name not in secret and "@" not in value and "://" not in value


def _uncapitalised(sentence: str) -> str:
    """To go on after a colon; a word in capitals, such as URL, stays."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def serving_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the two variables Streamlit reads its address and port from."""
    return {**environ, "STREAMLIT_SERVER_ADDRESS": settings.host, "STREAMLIT_SERVER_PORT": str(settings.port)}


def settings_table() -> str:
    """The README's Markdown table, one row per variable."""
    rows = [f"| `{name}` | {f'`{value}`' if value else ''} | {text} |" for name, value, text in _documented()]
    return "\n".join(["| Variable | Default | Meaning |", "|---|---|---|", *rows]) + "\n"


def env_example() -> str:
    """The text of `.env.example`: each variable, commented out, at its default."""
    head = "# Copy to .env and take the # away from what you change. The environment wins over this file.\n"
    return head + "".join(f"\n# {text}\n# {name}={value}\n" for name, value, text in _documented())


def _documented() -> list[tuple[str, str, str]]:
    fields = Settings.model_fields.items()
    return [(variable_name(name), _shown(field.default), field.description or "") for name, field in fields]


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, ()) else str(default)
