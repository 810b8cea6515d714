"""What a pull request of ours says, and what is said on one that we leave alone or close."""

from riskloop.wording import escaping
from riskloop.wording.github import BODY_LIMIT, CUT, TITLE_LIMIT

_COMMIT = 12


def title(text: str) -> str:
    """Write a pull request's title: one line of at most 250 characters in which nothing acts."""
    return escaping.plain(text, limit=TITLE_LIMIT)


def marked(text: str, *, marker: str) -> str:
    """Put a marker, which nobody sees, into the first line of a text."""
    return f"<!-- {marker} -->\n\n{text}"


def marked_anew(old: str, *, marker: str) -> str:
    """Put another marker over a pull request's text, which stays.

    Args:
        old: the text as it is, with or without a marker.
    """
    first, _, rest = old.partition("\n")
    below = rest if first.startswith("<!-- riskloop:") else old
    return marked(below.strip(), marker=marker)


def body(text: str, *, not_ready: str | None = None) -> str:
    """Write a pull request's text.

    Args:
        text: Markdown in which everything foreign is escaped.
        not_ready: why it is not ready for review, if it cannot be a draft; None if it is a draft, or ready.
    """
    # GitHub refuses a text with either, and file names may have both.
    whole = escaping.cut(text.replace("\0", "?").encode("utf-8", "replace").decode(), BODY_LIMIT, word=CUT)
    if not_ready is None:
        return whole
    why = f": {escaping.prose(not_ready)}" if not_ready else ""
    return f"**Not ready for review**{why}.\n\n{whole}"


def theirs(*, commit: str, who: str, subject: str, more: int) -> str:
    """Say of a commit on a branch of ours that it is not ours: a clause for the sentences below.

    Args:
        commit: the newest that is not ours, 40 hexadecimal digits.
        who: its author's name, from anywhere.
        subject: its first line, from anywhere.
        more: how many others are not ours.
    """
    others = f" (and {more} more)" if more else ""
    named = f" “{escaping.prose(subject, limit=120)}”" if subject else ""
    author = escaping.prose(who, limit=80)
    return f"commit {escaping.code(commit[:_COMMIT])}{named} by {author}{others} is not riskloop's"


def left_to_people(*, branch: str, whose: str, newest: str) -> str:
    """Say that a pull request is no longer updated because a person works on its branch.

    Args:
        whose: the clause of `theirs`.
        newest: the title of what would be proposed now.
    """
    return (
        f"riskloop no longer updates this pull request: {whose}, and what a person did on the branch is "
        "never overwritten.\n\n"
        f"What it would propose now: {escaping.prose(newest)}. To have that, delete the branch "
        f"{escaping.code(branch)} or take the commit off it; the next run proposes it."
    )


def left_open(*, reason: str, whose: str) -> str:
    """Say that a pull request is overtaken, and left open because a person works on its branch.

    Args:
        reason: why it is not proposed any more, one sentence without a full stop.
        whose: the clause of `theirs`.
    """
    return (
        f"riskloop proposes this no longer: {escaping.prose(reason)}.\n\n"
        f"It stays open, because {whose}: close it if it is of no more use."
    )


def overtaken(*, reason: str) -> str:
    """Say why we close a pull request.

    Args:
        reason: one sentence without a full stop.
    """
    return f"Closed by riskloop, which proposes this no longer: {escaping.prose(reason)}."
