"""Reads what a repository lists of itself: where its branch stands, and its tags."""

from dataclasses import dataclass

_PEELED = "^{}"
_TAGS, _HEADS = "refs/tags/", "refs/heads/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    r"""Where the followed branch stands.

    Args:
        head: its newest commit.
        branch: its name; `HEAD` where upstream's HEAD is on no branch.
        tags: the commit of each tag, by the tag's name; of a few tags it is no commit, and it may be one that
            is not on the branch, and not here. What of a name is not UTF-8 stands in it as `\xff`.
    """

    head: str
    branch: str
    tags: dict[str, str]


def read_listing(listed: bytes, branch: str) -> Followed | None:
    """Read what `git ls-remote --symref` says; None if there is no such branch.

    Args:
        listed: its output, with HEAD, the branch and the tags in it.
        branch: the branch that is followed; HEAD if empty.
    """
    found: dict[str, str] = {}
    at = "HEAD"
    # Not `splitlines`: a name may hold what Unicode calls a line's end.
    for line in listed.decode("utf-8", "backslashreplace").split("\n"):
        what, _, name = line.partition("\t")
        if not what.startswith("ref: "):
            found[name] = what
        elif name == "HEAD":
            at = what.removeprefix("ref: ").removeprefix(_HEADS)
    head = found.get(f"{_HEADS}{branch}" if branch else "HEAD")
    if not head:
        return None
    return Followed(
        head=head,
        branch=branch or at,
        # An annotated tag is listed twice: itself, and then the commit it is of.
        tags={
            name.removeprefix(_TAGS): found.get(name + _PEELED, what)
            for name, what in found.items()
            if name.startswith(_TAGS) and not name.endswith(_PEELED)
        },
    )


def branch_names(listed: bytes) -> list[str]:
    """Read the names of branches from what `git ls-remote` says of them."""
    lines = listed.decode("utf-8", "backslashreplace").split("\n")
    names = (line.partition("\t")[2] for line in lines)
    return [name.removeprefix(_HEADS) for name in names if name.startswith(_HEADS)]
