"""Shows what was changed by hand in vendored code, so that a person can make a patch of it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from riskloop.commands import MEBIBYTE
from riskloop.errors import Unmeasurable
from riskloop.files import scratch
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.project.disk import Entry, read_content
from riskloop.mitigations.upstream_drift.project.vendored import Vendored
from riskloop.risks import Site

LINES = 200
"""Lines of a difference that are shown."""

_LARGEST_SHOWN = 64 * 1024
_LARGEST_FILE = MEBIBYTE
_MOST_SHOWN = 40


def show_changes(
    vendored: Vendored,
    upstream: Upstream,
    site: Site,
    *,
    expected: Mapping[str, Entry | None],
    found: Mapping[str, Entry | None],
) -> tuple[str, tuple[str, ...]]:
    """Give what was changed in a folder as a patch, cut after LINES lines.

    Args:
        expected: of each path that was changed, what it should be; its content is fetched if it is missing.
        found: of the paths of them that may be shown, what is on disk.

    Returns:
        The patch; and notes on what cannot be shown, a sentence each without a full stop.
    """
    contents: dict[str, tuple[str, bytes]] = {}
    chosen = []
    for path, disk in islice(found.items(), _MOST_SHOWN):
        if disk is not None and disk.content:
            content = read_content(vendored.folder, path, limit=_LARGEST_FILE)
            if content is None:
                continue
            contents[path] = (disk.mode, content)
        chosen.append(path)
    if not chosen:
        return _cut("", left=len(expected)), ()
    try:
        upstream.bring_blobs(
            entry.content for path in chosen if (entry := expected[path]) is not None and entry.content
        )
    except Unmeasurable as error:
        return "", (f"what was changed cannot be shown: {error.what}",)
    with scratch(site.state, "hacks") as room:
        (room / "objects").mkdir()
        variables = {"GIT_OBJECT_DIRECTORY": str(room / "objects")}
        beside = (upstream.path,)
        after = dict(zip(contents, _keep(upstream, room, contents.values()), strict=True))
        before = {path: entry for path in chosen if (entry := expected[path]) is not None}
        trees = []
        for number, entries in enumerate((before, after)):
            index = room / f"index-{number}"
            lines = (f"{entry.mode} {entry.content}\t{path}\0" for path, entry in entries.items())
            given = "".join(lines).encode("utf-8", "surrogateescape")
            upstream.git("read-tree", "--empty", index=index, beside=beside, variables=variables)
            upstream.git("update-index", "-z", "--index-info", stdin=given, index=index, variables=variables)
            written = upstream.git(
                "write-tree", "--missing-ok", index=index, beside=beside, variables=variables
            )
            trees.append(written.text().strip())
        how = ("diff-tree", "-r", "-p", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv")
        diff = upstream.git(*how, *trees, beside=beside, variables=variables)
    return _cut(diff.stdout.decode("utf-8", "replace"), left=len(expected) - len(chosen)), ()


def _keep(upstream: Upstream, room: Path, contents: Iterable[tuple[str, bytes]]) -> Sequence[Entry]:
    """Store contents as objects of the scratch folder; give what they are there."""
    modes, names = [], []
    for number, (mode, content) in enumerate(contents):
        file = room / f"content-{number}"
        file.write_bytes(content)
        modes.append(mode)
        names.append(f"{file}\n")
    variables = {"GIT_OBJECT_DIRECTORY": str(room / "objects")}
    given = "".join(names).encode("utf-8", "surrogateescape")
    stored = upstream.git(
        "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=given, variables=variables
    )
    return [Entry(mode, name) for mode, name in zip(modes, stored.text().split(), strict=True)]


def _cut(diff: str, *, left: int) -> str:
    lines = diff.removesuffix("\n").split("\n") if diff else []
    kept = lines[:LINES]
    while sum(map(len, kept)) > _LARGEST_SHOWN:
        kept = kept[: len(kept) // 2]
    if len(kept) < len(lines):
        kept.append(f"... {len(lines) - len(kept)} more lines")
    if left:
        kept.append(f"... {left} more file{'' if left == 1 else 's'}")
    return "\n".join(kept)
