"""Writes a first register for a project: what can be found in it, and comments for what cannot."""

import json
import re
from collections.abc import Container, Iterator
from pathlib import Path

from riskloop.errors import Refused
from riskloop.register.schema import ADDRESS
from riskloop.surroundings import RUN_BY, Found, Remote, look_around, makes

REGISTER_NAME = "riskloop.yaml"

_MOST_LISTED = 5
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_YAML_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def write_first_register(project: Path, kinds: Container[str]) -> Path:
    """Write `riskloop.yaml` into a project and return its path.

    Raises:
        Refused: there is one already, or it cannot be written.
    """
    path = project / REGISTER_NAME
    content = first_register(project, kinds)
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(content)
                file.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise Refused(
            f"{path} is there already, and is never overwritten",
            rule="register-exists",
            remedy="check it with 'riskloop register check', or move it away first",
        ) from None
    except OSError as error:
        raise Refused(
            f"{path} cannot be written ({error.strerror})",
            rule="register-unwritable",
            remedy="correct the permissions of the directory, or free some space",
        ) from error
    return path


def first_register(project: Path, kinds: Container[str]) -> str:
    """Write a commented register for a project; it has no mistakes as it stands.

    Args:
        project: the directory to look through; nothing in it is run, and git is not asked.
        kinds: the names of the kinds there are: only these are written.
    """
    found = look_around(project)
    lines = [*_head(project.absolute().name), *_github(found.remotes), *_people(), *_risks(found, kinds)]
    return "\n".join(lines) + "\n"


def _head(name: str) -> Iterator[str]:
    shown = name if name.isprintable() and name.strip() else "project"
    yield f"# yaml-language-server: $schema={ADDRESS}"
    yield "# A first risk register, written by 'riskloop init'. It is yours from here on."
    yield "# 'riskloop register check' says what is wrong with it, line by line."
    yield from ("", f"project: {_yaml(shown[:200])}", "")


def _github(remotes: tuple[Remote, ...]) -> Iterator[str]:
    ordered = sorted(remotes, key=lambda remote: remote.name != "origin")
    chosen = next((remote for remote in ordered if "github" in remote.host.split(".")), None)
    yield "# Where issues go."
    if chosen is not None:
        if chosen.host != "github.com":
            yield f"# It is not on github.com: the service needs RISKLOOP_GITHUB_URL=https://{chosen.host}/api/v3"
        yield f"github: {{repository: {_yaml(chosen.repository)}}}"
    elif ordered:
        yield f"# If {ordered[0].host} is a GitHub Enterprise server, this is the repository:"
        yield f"# github: {{repository: {_yaml(ordered[0].repository)}}}"
    else:
        yield "# github: {repository: acme/codex-sdk}"
    yield ""


def _people() -> Iterator[str]:
    yield "# Where messages go: the channel's ID, from the end of its details in Slack."
    yield "# slack: {channel: C0123456789}"
    yield ""
    yield "# Who owns risks, and how to mention them: a GitHub login or team, a Slack ID."
    yield "owners:"
    yield "  Maintainers: {}  # for example {github: octo-lead, slack: U024BE7LH}"
    yield ""
    yield "# Who hears when riskloop itself is unwell."
    yield "service: {owner: Maintainers}"
    yield ""


def _risks(found: Found, kinds: Container[str]) -> Iterator[str]:
    active = "fixture_drift" in kinds and found.fixtures
    yield "risks:" if active else "risks: []"
    if active:
        yield from _fixture_risk(found)
    else:
        yield "# A risk looks like this; remove the [] above with the first one:"
        yield "#   - id: stale-documentation"
        yield "#     title: The documentation describes an older release"
        yield "#     likelihood: medium   # low, medium, high"
        yield "#     impact: high         # low, medium, high, critical"
        yield "#     owner: Maintainers"
    watched = ", which the kind upstream_drift can watch" if "upstream_drift" in kinds else ""
    yield from _mentioned(f"Submodules found here{watched}:", found.submodules)
    kept_small = ", which the kind database_vacuum can keep small" if "database_vacuum" in kinds else ""
    yield from _mentioned(f"SQLite databases found here{kept_small}:", found.databases)


def _fixture_risk(found: Found) -> Iterator[str]:
    yield "  - id: stale-golden-fixtures"
    yield "    title: Golden fixtures no longer match what they imitate"
    yield "    category: technical"
    yield "    likelihood: medium   # low, medium, high"
    yield "    impact: high         # low, medium, high, critical"
    yield "    owner: Maintainers"
    yield "    mitigations:"
    for number, folder in enumerate(found.fixtures[:_MOST_LISTED], start=1):
        yield "      - kind: fixture_drift"
        if number > 1:
            yield f"        id: stale-golden-fixtures.{number}"
        yield f"        directory: {_yaml(folder)}"
        yield from _command(found.generators)
        yield "        thresholds:"
        yield "          fixtures_changed: {warning: 1, critical: 10}"
        yield "          fixtures_removed: {warning: 1}"
        yield "          manifest_mismatches: {critical: 1}"
    yield from _mentioned("More folders of fixtures:", found.fixtures[_MOST_LISTED:])
    yield from _mentioned("Other scripts that may make fixtures:", found.generators[1:])


def _command(generators: tuple[str, ...]) -> Iterator[str]:
    script = generators[0] if generators else "tools/make_fixtures.py"
    command = f"        regenerate: [{RUN_BY[Path(script).suffix]}, {_yaml(script)}]"
    if generators and makes(script):
        yield "        # Guessed by its name: what makes these files anew. It runs in a copy of the project."
        yield command
    else:
        yield "        # Write the command that makes these files anew, then remove 'enabled: false'."
        yield command
        yield "        enabled: false"


def _mentioned(says: str, paths: tuple[str, ...]) -> Iterator[str]:
    if paths:
        yield f"# {says}"
        yield from (f"#   {path}" for path in paths[:_MOST_LISTED])
        if len(paths) > _MOST_LISTED:
            yield f"#   and {len(paths) - _MOST_LISTED} more"


def _yaml(text: str) -> str:
    """Write text so that YAML reads it as text: as it is where that is safe, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.isascii() and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
