"""What the service is told through its environment."""

from pathlib import Path

import pytest

from riskloop.delivery import PATIENCE_SECONDS
from riskloop.errors import Refused
from riskloop.settings import Settings, read_settings
from riskloop.store import outbox


def test_without_anything_the_register_is_here_and_the_state_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({})
    assert settings.register == tmp_path / "riskloop.yaml"
    assert settings.state == tmp_path / ".riskloop"
    assert settings.store_url.get_secret_value() == f"sqlite:///{tmp_path / '.riskloop' / 'riskloop.sqlite'}"
    assert settings.github_token is None
    assert settings.slack_tokens == {}


def test_the_command_line_comes_before_the_environment(tmp_path: Path) -> None:
    environment = {"RISKLOOP_REGISTER": "/elsewhere/register.yaml", "RISKLOOP_STATE": "/elsewhere/state"}
    settings = read_settings(environment, register=tmp_path / "r.yaml")
    assert settings.register == tmp_path / "r.yaml"
    assert settings.state == Path("/elsewhere/state")


def test_each_workspace_has_its_own_slack_token(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("xoxb-from-file\n", encoding="utf-8")
    settings = read_settings(
        {
            "RISKLOOP_SLACK_TOKEN": "xoxb-one",
            "RISKLOOP_SLACK_TOKEN_ACME": "xoxb-acme",
            "RISKLOOP_SLACK_TOKEN_OTHER_CO_FILE": str(secret),
            "RISKLOOP_SLACK_TOKEN_small": "xoxb-small",
            "RISKLOOP_SLACK_TOKENS": "xoxb-misspelt",
        }
    )
    tokens = {name: token.get_secret_value() for name, token in settings.slack_tokens.items()}
    assert tokens == {
        "": "xoxb-one",
        "acme": "xoxb-acme",
        "other_co": "xoxb-from-file",
        "small": "xoxb-small",
    }


def test_a_secret_is_in_no_text_made_of_the_settings(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("ghp_secret", encoding="utf-8")
    settings = read_settings(
        {
            "RISKLOOP_GITHUB_TOKEN_FILE": str(secret),
            "RISKLOOP_SLACK_TOKEN": "xoxb-secret",
            "RISKLOOP_STORE_URL": "postgresql://me:pg-secret@db/riskloop",
        }
    )
    assert settings.github_token is not None
    assert settings.github_token.get_secret_value() == "ghp_secret"
    assert "secret" not in f"{settings!r} {settings}".replace(str(tmp_path), "")


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("REGISTER", "STATE", "STORE_URL", "GITHUB_TOKEN", "GITHUB_URL", "SLACK_URL", "SETTLE_SECONDS")
    assert read_settings({f"RISKLOOP_{name}": " " for name in names}) == read_settings({})


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "GITHUB_URL", "SLACK_URL", "UI_URL"])
@pytest.mark.parametrize(
    "value", ["http://[", "host:4200/api", "ftp://host", "https://", "https://me:s3cret@host"]
)
def test_an_address_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(Refused, match=f"RISKLOOP_{name} is no address"):
        read_settings({f"RISKLOOP_{name}": value})


def test_a_secrets_file_that_is_no_text_says_which(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match=r"RISKLOOP_GITHUB_TOKEN_FILE names .*/token, .*not text"):
        read_settings({"RISKLOOP_GITHUB_TOKEN_FILE": str(tmp_path / "token")})


@pytest.mark.parametrize(
    "name", ["GITHUB_TOKEN", "SLACK_TOKEN", "SLACK_TOKEN_ACME", "SLACK_WEBHOOK_URL", "HEARTBEAT_URL"]
)
@pytest.mark.parametrize("value", ["https://s3\nx", "https://s3\rx", "https://s3 x", "s3cr\u00e9t", "s3\0x"])
def test_what_no_header_takes_is_refused_unrepeated(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(value, encoding="utf-8")
    for environment in (
        {f"RISKLOOP_{name}": value},
        {f"RISKLOOP_{name}_FILE": str(tmp_path / "secret")},
    ):
        with pytest.raises(Refused, match=f"RISKLOOP_{name} is no token") as caught:
            read_settings(environment)
        assert "s3" not in str(caught.value)


@pytest.mark.parametrize("name", ["SLACK_WEBHOOK_URL", "HEARTBEAT_URL"])
@pytest.mark.parametrize("url", ["hooks.example.com/s3cret", "ftp://hooks/s3cret", "http://[s3cret/"])
def test_a_secret_address_that_is_none_is_refused_unrepeated(name: str, url: str) -> None:
    with pytest.raises(Refused, match=f"RISKLOOP_{name} is no address") as caught:
        read_settings({f"RISKLOOP_{name}": url})
    assert "s3cret" not in str(caught.value)


def test_white_space_around_a_secret_is_no_part_of_it() -> None:
    token = read_settings({"RISKLOOP_GITHUB_TOKEN": " ghp_x\r\n"}).github_token
    assert token is not None
    assert token.get_secret_value() == "ghp_x"


def test_whoever_waits_between_two_writes_still_holds_the_delivery() -> None:
    with pytest.raises(Refused, match=r"RISKLOOP_WRITE_INTERVAL_SECONDS is '61'; .* from 0 to 60"):
        read_settings({"RISKLOOP_WRITE_INTERVAL_SECONDS": "61"})
    assert outbox.LEASE.total_seconds() > PATIENCE_SECONDS + 60


def test_a_secrets_file_that_is_missing_says_which() -> None:
    with pytest.raises(Refused, match=r"RISKLOOP_GITHUB_TOKEN_FILE names /nowhere/token, .*No such file"):
        read_settings({"RISKLOOP_GITHUB_TOKEN_FILE": "/nowhere/token"})


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e9"])
def test_a_number_of_seconds_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(Refused, match="RISKLOOP_SETTLE_SECONDS is"):
        read_settings({"RISKLOOP_SETTLE_SECONDS": value})


def test_allowed_roots_are_separated_as_paths_are() -> None:
    settings: Settings = read_settings({"RISKLOOP_ALLOWED_ROOTS": "/data:/srv/files"})
    assert settings.allowed_roots == (Path("/data"), Path("/srv/files"))


def test_git_is_at_an_address_without_credentials_or_in_a_directory() -> None:
    assert read_settings({"RISKLOOP_GITHUB_GIT_URL": "/srv/git/"}).github_git_url == "/srv/git"
    with pytest.raises(Refused) as refused:
        read_settings({"RISKLOOP_GITHUB_GIT_URL": "https://me:hunter2@git.example.org"})
    assert "hunter2" not in str(refused.value)
