"""A machine someone lives on: a home, a Prefect profile, and a project with modules named like ours."""

import http.server
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.deployments.launching import TOY_LIST, Machine


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    place = tmp_path_factory.mktemp("machine")
    calls: list[str] = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def _note(self) -> None:
            calls.append(f"{self.command} {self.path}")
            self.send_error(418)

        do_GET = do_POST = do_PATCH = do_CONNECT = _note  # noqa: N815 - the standard library's names

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        recorder = f"http://127.0.0.1:{server.server_address[1]}/api"
        home, project = place / "home", place / "project"
        (home / ".prefect").mkdir(parents=True)
        (home / ".prefect" / "profiles.toml").write_text(
            f'active = "cloud"\n[profiles.cloud]\nPREFECT_API_URL = "{recorder}"\nPREFECT_API_KEY = "pnu_1"\n'
        )
        for name in ("flows/__init__.py", "tasks.py", "toy_flows.py", "prefect/__init__.py"):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text("raise SystemExit('the project shadows what is installed')\n")
        (project / "prefect.toml").write_text(f'[api]\nurl = "{recorder}"\n')
        (project / ".env").write_text(f"PREFECT_API_URL={recorder}\n")
        (project / "riskloop.yaml").write_text("project: Toy Project\n")
        toys = place / "toys.yaml"
        toys.write_text(TOY_LIST)
        made = Machine(home=home, project=project, toys=toys, recorder=recorder, calls=calls)
        yield made
        for launched in made.launched:
            if launched.process.poll() is None:
                launched.end(signal.SIGTERM)
        server.shutdown()
