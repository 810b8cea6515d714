"""What Prefect gets to see of a person's environment."""

from pathlib import Path

import pytest

from deployments.environment import clean_environment, runner_environment, server_environment
from riskloop.settings import read_settings


def test_nothing_of_another_prefect_or_python_is_left_and_ours_is_explicit() -> None:
    hostile = {
        "PATH": "/bin",
        "HOME": "/home/someone",
        "PREFECT_API_URL": "https://cloud",
        "prefect_home": "/home/someone/.prefect",
        "Prefect_Profile": "cloud",
        "PREFECT__FLOW_RUN_ID": "1",
        "PYTHONPATH": ".",
        "NO_PROXY": "corp",
        "HTTPS_PROXY": "http://proxy",
    }
    clean = clean_environment(hostile, state=Path("/state"), api_url="http://127.0.0.1:4210/api")
    ours = {name: value for name, value in clean.items() if name.upper().startswith("PREFECT")}
    assert ours == {
        "PREFECT_API_URL": "http://127.0.0.1:4210/api",
        "PREFECT_HOME": "/state/prefect",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    assert clean["HOME"] == "/home/someone"
    assert clean["HTTPS_PROXY"] == "http://proxy"
    assert clean["NO_PROXY"] == "corp,127.0.0.1,localhost"
    assert clean["DO_NOT_TRACK"] == "1"
    assert "PYTHONPATH" not in clean


def test_the_server_gets_no_secret_of_ours_and_the_runner_gets_our_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RISKLOOP_GITHUB_TOKEN", "ghp_secret")
    assert "ghp_secret" not in server_environment(state=tmp_path, port=4210).values()
    settings = read_settings({}, register=tmp_path / "r.yaml", state=tmp_path / "s")
    runner = runner_environment(settings, api_url="http://h/api", ui_url="http://h")
    assert runner["RISKLOOP_GITHUB_TOKEN"] == "ghp_secret"
    assert runner["RISKLOOP_REGISTER"] == str(tmp_path / "r.yaml")
    assert runner["RISKLOOP_STATE"] == str(tmp_path / "s")
    assert runner["RISKLOOP_UI_URL"] == runner["PREFECT_UI_URL"] == "http://h"
