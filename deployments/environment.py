"""What our own Prefect gets to see of the environment: nothing of another Prefect's."""

import os
from collections.abc import Mapping
from pathlib import Path

from riskloop.settings import Settings

_ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PYTHONUNBUFFERED": "1",
}


def prefect_home(state: Path) -> Path:
    """Name the directory of our own Prefect: its database, profiles and settings."""
    return state / "prefect"


def clean_environment(environ: Mapping[str, str], *, state: Path, api_url: str) -> dict[str, str]:
    """Drop whatever would lead Prefect, or Python, to somebody else's things, and name ours explicitly.

    Args:
        environ: the person's environment.
        state: our own directory, absolute.
        api_url: the Prefect API every child is to use.
    """
    # PYTHONPATH stands before the installed packages: a project's own tasks.py there would be taken for ours.
    dropped = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")
    kept = {
        name: value
        for name, value in environ.items()
        # Prefect reads its settings in any case, prefect_api_url too.
        if not name.upper().startswith("PREFECT_") and name not in dropped
    }
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, (kept.get(name), "127.0.0.1", "localhost")))
    return {**kept, **_ALWAYS, "PREFECT_HOME": str(prefect_home(state)), "PREFECT_API_URL": api_url}


def server_environment(*, state: Path, port: int) -> dict[str, str]:
    """What the server's process gets: loopback only, its database in our directory, none of our secrets."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RISKLOOP_")}
    return {
        **clean_environment(environ, state=state, api_url=f"http://127.0.0.1:{port}/api"),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        # Not --port: the UI would go on to call 4200.
        "PREFECT_SERVER_API_PORT": str(port),
        # How soon a run that had to wait for another one is tried again; the default is half a minute.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_UI_ENABLED": "true",
    }


def runner_environment(settings: Settings, *, api_url: str, ui_url: str) -> dict[str, str]:
    """What the runner and every flow run gets: our settings, with the register and state made absolute."""
    return {
        **clean_environment(os.environ, state=settings.state, api_url=api_url),
        # Where Prefect's own links lead.
        "PREFECT_UI_URL": settings.ui_url or ui_url,
        "RISKLOOP_REGISTER": str(settings.register),
        "RISKLOOP_STATE": str(settings.state),
        "RISKLOOP_UI_URL": settings.ui_url or ui_url,
    }
