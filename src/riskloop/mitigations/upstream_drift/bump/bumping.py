"""Makes the commit that brings vendored code up to date, with our patches and local changes on top."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from riskloop.files import scratch
from riskloop.git import Upstream
from riskloop.mitigations.upstream_drift.addresses import is_remote
from riskloop.mitigations.upstream_drift.bump.carrying import carry
from riskloop.mitigations.upstream_drift.bump.changelog import add_entry
from riskloop.mitigations.upstream_drift.bump.drafting import Draft, list_entries
from riskloop.mitigations.upstream_drift.patches.refreshing import refresh
from riskloop.mitigations.upstream_drift.patches.series import SERIES, Series
from riskloop.mitigations.upstream_drift.patches.verdicts import Applied, Verdict
from riskloop.mitigations.upstream_drift.project.disk import SUBMODULE, Entry, read_entry
from riskloop.mitigations.upstream_drift.project.hacks import Hacks, shown
from riskloop.mitigations.upstream_drift.project.vendored import PIN, Vendored
from riskloop.mitigations.upstream_drift.settings import Settings
from riskloop.mitigations.upstream_drift.standing import count_commits
from riskloop.risks import Site
from riskloop.wording.escaping import inert

_NAMED = 5
_SHORT = 12
_NONE_LEFT = b"# No patches are left.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """The commit that brings an upstream commit into the project, or the reason why there is none.

    Args:
        candidate: the upstream commit.
        commit: ours, in our mirror of the project; empty if none could be made.
        base: the project's commit it follows.
        branch: its branch there, `riskloop/<mitigation>`.
        problem: why there is none, one sentence without a full stop; empty if there is one.
        refreshed: the patches that were written anew, as they apply with an offset or a merge only.
        dropped: the patches that were taken away, as upstream has them.
        lost: the files whose local changes do not merge and are not in it, fit to be shown.
        changelog: it has its changelog entry, or none is asked for.
    """

    candidate: str
    commit: str = ""
    base: str = ""
    branch: str = ""
    problem: str = ""
    refreshed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    changelog: bool = True


def make_bump(
    vendored: Vendored,
    upstream: Upstream,
    settings: Settings,
    site: Site,
    *,
    applied: Applied,
    hacks: Hacks,
    series: Series,
    candidate: str,
    pin_tree: str,
    patched: str,
) -> Bump:
    """Make the commit in our mirror of the project; the same again gives the same commit.

    Args:
        vendored: what stands in the project.
        upstream: the mirror, which has the candidate.
        settings: what the register says.
        site: where our state is.
        applied: what became of the patches on the candidate.
        hacks: what was changed by hand.
        series: the patches.
        candidate: the upstream commit to bring.
        pin_tree: the tree that upstream has at the pin.
        patched: that tree with our patches.

    Returns:
        The bump, or the problem because of which there is no commit.

    Raises:
        Unmeasurable: files cannot be fetched, or a mirror cannot be read.
    """
    bump = Bump(candidate=candidate, base=vendored.commit, branch=branch_of(site.mitigation))
    project = vendored.project
    if project is None:
        return replace(bump, problem="the project is in no git repository")
    if not vendored.commit:
        return replace(bump, problem="the project's repository has no commit yet")
    with scratch(site.state, "bump") as room:
        own = [path for path in (vendored.pin_file, _changelog(vendored, settings)) if path]
        own += [path] if (path := _patches(vendored, settings)) else []
        entries = list_entries(project, vendored.commit, own)
        problem = _stands_in_the_way(vendored, upstream, hacks, candidate) or _uncommitted(
            vendored, settings, hacks, series, entries
        )
        if problem:
            return replace(bump, problem=problem)
        draft = Draft.begin(project, upstream, room, parent=vendored.commit, entries=entries)
        if vendored.submodule:
            draft.put({vendored.path: Entry(SUBMODULE, candidate)})
            lost: tuple[str, ...] = ()
        else:
            onto = applied.tree if hacks.patched else upstream.folder(candidate, settings.strip)
            carried = carry(
                vendored, project, upstream, room, hacks=hacks, pin=pin_tree, patched=patched, onto=onto
            )
            nested = tuple(f"{path}/" for path in carried.nested)
            draft.replace_folder(
                vendored.path,
                hacks.tree,
                carried.tree,
                stays=lambda path: vendored.is_own(path) or f"{path}/".startswith(nested),
            )
            lost = carried.lost
        refreshed, dropped = _write_patches(draft, vendored, settings, applied, series)
        if vendored.pin_file:
            content = draft.content(vendored.pin_file) or b""
            draft.write(vendored.pin_file, PIN.sub(candidate.encode(), content))
        commits = count_commits(upstream, settings, since=vendored.pin, until=candidate)
        bump = replace(
            bump,
            refreshed=refreshed,
            dropped=dropped,
            lost=lost,
            changelog=_write_changelog(draft, vendored, settings, candidate, commits),
        )
        commit = draft.commit(_message(vendored, bump, commits), branch=bump.branch)
        return replace(bump, commit=commit)


def branch_of(mitigation: str) -> str:
    """Give the branch of a mitigation's pull request, another one for each.

    What a branch may not be called is written otherwise: https://git-scm.com/docs/git-check-ref-format.
    """
    name = re.sub(r"[^A-Za-z0-9._-]|\.(?=\.|$)|^[.-]|\.(?=lock$)", "-", mitigation)
    if name != mitigation:
        name = f"{name}-{hashlib.sha256(mitigation.encode()).hexdigest()[:6]}"
    return f"riskloop/{name or 'upstream'}"


def _placed(vendored: Vendored, path: Path) -> str:
    return (PurePosixPath(vendored.below) / path).as_posix()


def _patches(vendored: Vendored, settings: Settings) -> str:
    return _placed(vendored, settings.patches) if settings.patches is not None else ""


def _changelog(vendored: Vendored, settings: Settings) -> str:
    return _placed(vendored, settings.changelog) if settings.changelog is not None else ""


def _stands_in_the_way(vendored: Vendored, upstream: Upstream, hacks: Hacks, candidate: str) -> str:
    """Say why the vendored code cannot be moved by a commit; empty if it can."""
    if vendored.submodule:
        own = int(upstream.git("rev-list", "--count", vendored.pin, f"^{candidate}").text())
        if own:
            commits, them = ("1 commit", "it") if own == 1 else (f"{own} commits", "them")
            return (
                f"the submodule is pinned to {vendored.pin[:_SHORT]}, which has {commits} that "
                f"{candidate[:_SHORT]} lacks: a bump would drop {them}"
            )
    elif not hacks.tree:
        return f"{vendored.path} is not in the project's last commit; commit it first"
    return ""


def _uncommitted(
    vendored: Vendored, settings: Settings, hacks: Hacks, series: Series, entries: dict[str, Entry]
) -> str:
    """Say which files that a bump rests on are not as the project's last commit has them; empty if none."""
    wanted = {vendored.pin_file, _changelog(vendored, settings), *entries} - {""}
    if folder := _patches(vendored, settings):
        wanted |= {f"{folder}/{patch.name}" for patch in series.patches if patch.content}
    changed = [path for path in sorted(wanted) if read_entry(vendored.top, path).entry != entries.get(path)]
    names = [*map(shown, changed), *(f"{vendored.path}/{path}" for path in hacks.uncommitted)]
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} differs from the project's last commit; commit it first"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} differ from the project's last commit; commit them first"


def _write_patches(
    draft: Draft, vendored: Vendored, settings: Settings, applied: Applied, series: Series
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write anew what applies elsewhere by now, and take away what upstream has."""
    folder = _patches(vendored, settings)
    refreshed, dropped = [], []
    moved = [one for one in applied.outcomes if one.verdict in (Verdict.OFFSET, Verdict.THREE_WAY)]
    for outcome, content in zip(moved, refresh(draft.upstream, moved, settings), strict=True):
        if content != outcome.patch.content:
            draft.write(f"{folder}/{outcome.patch.name}", content)
            refreshed.append(outcome.patch.name)
    for outcome in applied.outcomes:
        if outcome.verdict is Verdict.UPSTREAMED:
            draft.remove([f"{folder}/{outcome.patch.name}"])
            dropped.append(outcome.patch.name)
    if dropped and series.listed is not None:
        draft.write(f"{folder}/{SERIES}", _without(series.listed, dropped))
    elif dropped and len(dropped) == sum(path.startswith(f"{folder}/") for path in draft.entries):
        # git keeps no empty folder, and without it the next look could not read the patches.
        draft.write(f"{folder}/{SERIES}", _NONE_LEFT)
    return tuple(refreshed), tuple(dropped)


def _without(listed: bytes, names: Iterable[str]) -> bytes:
    """Take the lines of some patches out of a series; comments and order stay."""
    gone = {name.encode("utf-8", "surrogateescape") for name in names}
    bom = b"\xef\xbb\xbf" if listed.startswith(b"\xef\xbb\xbf") else b""
    lines = listed.removeprefix(bom).split(b"\n")
    return bom + b"\n".join(line for line in lines if line.split()[:1] not in [[name] for name in gone])


def _write_changelog(
    draft: Draft, vendored: Vendored, settings: Settings, candidate: str, commits: int
) -> bool:
    """Write the entry; says whether it is there, or none is asked for."""
    path = _changelog(vendored, settings)
    if not path:
        return True
    content = draft.content(path)
    if content is None:
        return False
    name = PurePosixPath(path).name
    try:
        written = add_entry(
            content, name=name, path=vendored.path, old=vendored.pin, new=candidate, commits=commits
        )
    except UnicodeDecodeError:
        return False
    draft.write(path, written)
    return True


def _message(vendored: Vendored, bump: Bump, commits: int) -> str:
    """Write the commit's message: once it is merged, what it mentions and closes is done."""
    old, new = vendored.pin[:_SHORT], bump.candidate[:_SHORT]
    source = f" of {vendored.address}" if is_remote(vendored.address) else ""
    lists = (
        ("Patches that were refreshed", tuple(map(shown, bump.refreshed))),
        ("Patches that upstream has, and that were dropped", tuple(map(shown, bump.dropped))),
        ("Local changes that do not merge, and are lost", bump.lost),
    )
    parts = [
        f"Bump {inert(vendored.path)} from {old} to {new}",
        f"It brings {commits} upstream commit{'' if commits == 1 else 's'}{source}.",
        *(
            "\n".join((f"{title}:", *(f"- {inert(name)}" for name in names)))
            for title, names in lists
            if names
        ),
    ]
    return "\n\n".join(parts) + "\n"
