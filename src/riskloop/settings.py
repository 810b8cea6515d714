"""What the service is told through its environment: addresses, tokens, directories."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from riskloop.errors import Refused

PREFIX = "RISKLOOP_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; each is the environment variable `RISKLOOP_<NAME>`, and an empty one is not given.

    A secret may be given as `RISKLOOP_<NAME>_FILE` instead: a file whose content is the secret.

    Args:
        register: the register's file; `riskloop.yaml` in the working directory if not given.
        state: our own directory; `.riskloop` beside the register if not given.
        store_url: a SQLAlchemy URL of the store (secret); SQLite in the state directory if not given.
        github_token: a token with metadata read and issues write (secret).
        github_url: the API's base address; another for GitHub Enterprise.
        github_git_url: where git of those repositories is, https or an absolute path; derived from
            `github_url` if not given.
        slack_tokens: bot tokens by workspace (secret): `RISKLOOP_SLACK_TOKEN` is the workspace "",
            `RISKLOOP_SLACK_TOKEN_ACME` the workspace "acme".
        slack_webhook_url: an incoming webhook (secret), for workspaces without a bot token.
        slack_url: the API's base address.
        heartbeat_url: what is pinged after each round of `follow_up` (secret), as healthchecks.io has it.
        ui_url: where people reach the Prefect UI, for links.
        prefect_api_url: a Prefect server shared with others, `http://host:4200/api`; our own if not given.
        allowed_roots: absolute directories outside the project that settings may name (`:` between them).
        settle_seconds: how long after an attempt of unknown outcome to wait before looking for it.
        write_interval_seconds: the least time between two writes to GitHub, or to one Slack channel; at
            most 60, so that whoever waits for it still holds the delivery when it is over.
    """

    register: Path
    state: Path
    store_url: SecretStr
    github_token: SecretStr | None = None
    github_url: str = "https://api.github.com"
    github_git_url: str = ""
    slack_tokens: Mapping[str, SecretStr] = field(default_factory=dict)
    slack_webhook_url: SecretStr | None = None
    slack_url: str = "https://slack.com/api/"
    heartbeat_url: SecretStr | None = None
    ui_url: str = ""
    prefect_api_url: str = ""
    allowed_roots: tuple[Path, ...] = ()
    settle_seconds: float = 90.0
    write_interval_seconds: float = 1.0

    @property
    def outbox(self) -> Path:
        """Where the console channel writes previews."""
        return self.state / "outbox"


def read_settings(
    environment: Mapping[str, str] = os.environ,
    *,
    register: Path | None = None,
    state: Path | None = None,
) -> Settings:
    """Read every setting from the environment; the arguments, from the command line, come first.

    Raises:
        Refused: a value cannot be used, or the file of a secret cannot be read.
    """
    environment = {name: value for name, value in environment.items() if value.strip()}
    register = (register or Path(environment.get("RISKLOOP_REGISTER", "riskloop.yaml"))).absolute()
    state = (state or Path(environment.get("RISKLOOP_STATE", register.parent / ".riskloop"))).absolute()
    store_url = _secret(environment, "STORE_URL") or SecretStr(f"sqlite:///{state / 'riskloop.sqlite'}")
    tokens = {}
    for name in environment:
        variable = name.removeprefix(PREFIX).removesuffix("_FILE")
        if name.startswith(PREFIX) and f"{variable}_".startswith("SLACK_TOKEN_"):
            token = _token(environment, variable)
            if token:
                tokens[variable.removeprefix("SLACK_TOKEN").removeprefix("_").lower()] = token
    roots = environment.get("RISKLOOP_ALLOWED_ROOTS", "")
    return Settings(
        register=register,
        state=state,
        store_url=store_url,
        github_token=_token(environment, "GITHUB_TOKEN"),
        github_url=_address(environment, "GITHUB_URL", "https://api.github.com"),
        github_git_url=_git_address(environment),
        slack_tokens=tokens,
        slack_webhook_url=_secret_address(environment, "SLACK_WEBHOOK_URL"),
        slack_url=_address(environment, "SLACK_URL", "https://slack.com/api") + "/",
        heartbeat_url=_secret_address(environment, "HEARTBEAT_URL"),
        ui_url=_address(environment, "UI_URL"),
        prefect_api_url=_address(environment, "PREFECT_API_URL"),
        allowed_roots=tuple(Path(root) for root in roots.split(":") if root),
        settle_seconds=_seconds(environment, "SETTLE_SECONDS", 90.0, most=86_400),
        write_interval_seconds=_seconds(environment, "WRITE_INTERVAL_SECONDS", 1.0, most=60),
    )


def _secret(environment: Mapping[str, str], name: str) -> SecretStr | None:
    value = environment.get(PREFIX + name, "")
    file = environment.get(f"{PREFIX}{name}_FILE")
    if file and not value:
        try:
            value = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise Refused(
                f"{PREFIX}{name}_FILE names {file}, which cannot be read ({why})",
                rule="secret-file",
                remedy="correct the path or its permissions",
            ) from error
    value = value.strip()
    return SecretStr(value) if value else None


def _token(environment: Mapping[str, str], name: str) -> SecretStr | None:
    token = _secret(environment, name)
    # What cannot stand in an HTTP header is quoted whole in the error of whoever is asked to send it.
    if token and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise Refused(
            f"{PREFIX}{name} is no token: it holds a space, a line end or a letter no token has",
            rule="setting",
            remedy="copy it again, whole and alone",
        )
    return token


def _secret_address(environment: Mapping[str, str], name: str) -> SecretStr | None:
    url = _token(environment, name)
    if url:
        _address({PREFIX + name: url.get_secret_value()}, name)
    return url


def _address(environment: Mapping[str, str], name: str, default: str = "") -> str:
    value = environment.get(PREFIX + name, default).rstrip("/")
    try:
        parts = urlsplit(value)
        good = not value or (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
        )
    except ValueError:
        good = False
    if not good:
        raise Refused(
            f"{PREFIX}{name} is no address",
            rule="setting",
            remedy="write it as https://host or http://host:4200",
        )
    return value


def _git_address(environment: Mapping[str, str]) -> str:
    """Read where git is; a directory of repositories will do as well."""
    place = environment.get(f"{PREFIX}GITHUB_GIT_URL", "")
    return place.rstrip("/") if place.startswith("/") else _address(environment, "GITHUB_GIT_URL")


def _seconds(environment: Mapping[str, str], name: str, default: float, *, most: int) -> float:
    value = environment.get(PREFIX + name)
    if value is None:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        raise Refused(
            f"{PREFIX}{name} is {value!r}",
            rule="setting",
            remedy=f"give a number of seconds from 0 to {most}",
        )
    return seconds
