"""A preview of what would be sent, as files: one per incident, kept current, and one per comment or reply."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from riskloop.channels import Kept, Parcel, Posting, Turn
from riskloop.errors import TryAgain
from riskloop.incidents import Change
from riskloop.wording import github, slack

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LIMIT = 80


class Console:
    """Previews of targets written `github:owner/name` or `slack:C0123`; any other is previewed as an issue.

    Args:
        directory: where the previews go; made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def send(self, parcel: Parcel, *, turn: Turn, found: Posting | None = None) -> Posting:
        """Write the incident's preview, and that of its comment or reply; sent twice, the same files result.

        Raises:
            TryAgain: the directory cannot be written.
        """
        turn()
        try:
            return self._write(parcel, found)
        except OSError as error:
            raise _unwritable(self._directory, error) from error

    def find(self, parcel: Parcel) -> Posting | None:
        """Look for the file that carries this delivery's marker."""
        try:
            if parcel.posting is None:
                file = self._file(parcel)
                return self._posting(file) if _carries(file, parcel.marker) else None
            return parcel.posting if self._apart(parcel, parcel.marker) else None
        except OSError as error:
            raise _unwritable(self._directory, error) from error

    def look_around(self, target: str, *, since: datetime | None) -> Iterable[Kept]:
        """Find nothing: a preview is found by its name, and written anew."""
        del target, since
        return ()

    def prove(self, realm: str) -> None:
        """Need no token."""

    def _write(self, parcel: Parcel, found: Posting | None) -> Posting:
        file = self._file(parcel)
        file.parent.mkdir(parents=True, exist_ok=True)
        opening = parcel.posting is None
        marker = parcel.marker if opening else parcel.opening_marker
        issue = _kind(parcel) == "github"
        if issue:
            _put(file, _issue(parcel, marker))
        else:
            message = slack.message(
                parcel.facts, issue_url=parcel.issue_url, previous_url=parcel.previous_url
            )
            state = slack.state(parcel.facts)
            _put(file.with_suffix(".json"), _payload(parcel, message, marker=marker, state=state))
            _put(file, _readable(parcel, message, marker))
        if not opening and parcel.facts.aloud and found is None:
            apart = self._apart(parcel, parcel.marker) or self._next(parcel)
            if issue:
                _put(apart, github.comment(parcel.facts, marker=parcel.marker) + "\n")
            else:
                message = slack.reply(parcel.facts, issue_url=parcel.issue_url)
                _put(apart.with_suffix(".json"), _payload(parcel, message, marker=parcel.marker))
                _put(apart, _readable(parcel, message, parcel.marker))
        return parcel.posting or self._posting(file)

    def _posting(self, file: Path) -> Posting:
        return Posting(reference=file.relative_to(self._directory).as_posix(), url=file.absolute().as_uri())

    def _file(self, parcel: Parcel) -> Path:
        suffix = ".md" if _kind(parcel) == "github" else ".txt"
        place = (_safe(part) for part in re.split("[:/]", parcel.target))
        return self._directory.joinpath(*place, f"{_safe(parcel.facts.incident)}{suffix}")

    def _all_apart(self, parcel: Parcel) -> list[Path]:
        file = self._file(parcel)
        name = "comment" if file.suffix == ".md" else "reply"
        numbered = re.compile(rf"{re.escape(file.stem)}\.{name}-(\d+)")
        found = [path for path in file.parent.glob(f"*{file.suffix}") if numbered.fullmatch(path.stem)]
        return sorted(found, key=lambda path: int(path.stem.rpartition("-")[2]))

    def _apart(self, parcel: Parcel, marker: str) -> Path | None:
        return next((path for path in self._all_apart(parcel) if _carries(path, marker)), None)

    def _next(self, parcel: Parcel) -> Path:
        file = self._file(parcel)
        name = "comment" if file.suffix == ".md" else "reply"
        last = self._all_apart(parcel)[-1:]
        number = int(last[0].stem.rpartition("-")[2]) + 1 if last else 1
        return file.with_name(f"{file.stem}.{name}-{number}{file.suffix}")


def _kind(parcel: Parcel) -> str:
    return "slack" if parcel.target.startswith("slack:") else "github"


def _issue(parcel: Parcel, marker: str) -> str:
    closed = parcel.facts.change is Change.RESOLVED
    front = _front(
        {
            "to": parcel.target,
            "state": "closed" if closed else "open",
            "title": github.title(parcel.facts),
            "labels": list(github.labels(parcel.facts)),
        }
    )
    body = github.body(parcel.facts, marker=marker, previous_url=parcel.previous_url)
    return f"{front}{body}\n"


def _payload(parcel: Parcel, message: slack.Message, *, marker: str, state: str = "") -> str:
    channel = parcel.target.rpartition("/")[2].removeprefix("slack:")
    payload = slack.payload(channel, message, marker=marker, state=state)
    return json.dumps(payload, indent=2, ensure_ascii=False) + "\n"


def _readable(parcel: Parcel, message: slack.Message, marker: str) -> str:
    closed = parcel.facts.change is Change.RESOLVED
    front = _front({"to": parcel.target, "state": "closed" if closed else "open", "marker": marker})
    return front + "\n" + "\n\n".join(_texts(message.blocks)) + "\n"


def _texts(blocks: Iterable[Mapping[str, Any]]) -> list[str]:
    return [part["text"] for block in blocks for part in block.get("elements", [block.get("text")])]


def _front(fields: Mapping[str, Any]) -> str:
    # JSON is YAML, so that no value can break out of the front matter.
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    return "\n".join(("---", *lines, "---", ""))


def _carries(file: Path, marker: str) -> bool:
    # Only the head of the file: what follows may quote a marker.
    head = file.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0] if file.is_file() else ""
    return marker in head


def _safe(name: str) -> str:
    """Make any text one file name, the same each time; a digest keeps apart what would look the same."""
    plain = _UNSAFE.sub("-", name).strip(".-")
    if plain == name and len(plain) <= _NAME_LIMIT:
        return plain
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{plain[:_NAME_LIMIT]}-{digest}".lstrip(".-")


def _put(file: Path, text: str) -> None:
    """Write a file whole or not at all: a reader sees the old text or the new."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as part:
            part.write(text)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _unwritable(directory: Path, error: OSError) -> TryAgain:
    return TryAgain(
        f"the preview could not be written below {directory} ({error.strerror})",
        remedy="check the directory's permissions and the free space",
    )
