"""Text from anywhere made safe to show: it may mention, close, hide or break out of nothing.

On GitHub a mention (`@name`), a closing keyword (`fixes #1`), a reference (`#1`, an issue's address), an HTML
comment and a bot's command (`/close` at the start of a line) act wherever they stand, some even inside a
code block. Each is kept readable and made inert by a zero-width space. Characters that hide or reorder what
is read are spelled out.
"""

import re

INERT = "\u200b"
"""The zero-width space that makes a word inert."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]",
)
# Not before a space or another one: the `@@` of a diff names nobody, and is coloured only as it is.
_MENTION = re.compile(r"@(?![@\s]|$)")
_CLOSING = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(?=[\s:]+(?:#|GH-\d|https?://|[\w.-]+/[\w.-]+#))",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"#(?=\d)|\bGH(?=-\d)", re.IGNORECASE)
_ADDRESSED = re.compile(r"/(?:issues|pull|discussions)/(?=\d)", re.IGNORECASE)
_COMMAND = re.compile(r"^([ \t>]*)/", re.MULTILINE)
# Copied out of an issue's source it is signed as ours are, and would be taken for one.
_MARKER = re.compile(r"riskloop:(?=\d+ installation=)")
_MARKDOWN = re.compile(r"([\\`*\[\]$~])|(?<!\w)(_)|(_)(?!\w)")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_BLOCK_START = re.compile(r"^(\d+)?([-+=#>.):])")
_FENCE = 3
_LONGEST_RUN = 40
_RUN = re.compile(f"`{{{_LONGEST_RUN - 1}}}(?=`)")
_BACKTICKS = re.compile(r"`+")
_SLACK_FENCE = re.compile(r"`(?=``)")
_HALF_ENTITY = re.compile(r"&[a-z]{0,3}$")


def visible(text: str) -> str:
    r"""Spell out control characters, bidirectional overrides, invisible ones and lone surrogates as ⟨U+202E⟩.

    Line ends become `\n`. The zero-width joiners stay: emoji and several scripts need them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def inert(text: str) -> str:
    """Let nothing in a text act on GitHub: mentions, closing keywords, references, commands, our markers."""
    text = _MENTION.sub(f"@{INERT}", visible(text)).replace("<!--", f"<{INERT}!--")
    text = _CLOSING.sub(lambda match: f"{match[0][0]}{INERT}{match[0][1:]}", text)
    text = _REFERENCE.sub(lambda match: f"{match[0]}{INERT}", text)
    text = _ADDRESSED.sub(lambda match: f"{match[0]}{INERT}", text)
    text = _MARKER.sub(lambda match: f"{match[0]}{INERT}", text)
    return _COMMAND.sub(rf"\1{INERT}/", text)


def prose(text: str, *, limit: int = 2_000) -> str:
    """Write text from anywhere as one line of GitHub Markdown that shows exactly that text.

    Args:
        text: from anywhere; line ends become spaces.
        limit: the most characters taken of it.
    """
    line = inert(shortened(" ".join(text[: limit * 2].split()), limit))
    line = _ENTITY.sub("&amp;", line).replace("<", "&lt;")
    line = _MARKDOWN.sub(lambda match: f"\\{match[0]}", line)
    line = line.replace("|", "\\|")
    return _BLOCK_START.sub(lambda match: f"{match[1] or ''}\\{match[2]}", line)


def plain(text: str, *, limit: int) -> str:
    """Write text from anywhere as one line where Markdown is not read: a title, a label."""
    return shortened(inert(" ".join(text[: limit * 2].split())), limit)


def code(text: str, *, limit: int = 500) -> str:
    """Write one line as a code span, in more backticks than it contains in a row.

    Line ends become spaces; a `|` stays as it is, so this is not for tables.
    """
    line = inert(shortened(" ".join(text[: limit * 2].split()), limit))
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}" if line else ""


def fenced(text: str, *, language: str = "", limit: int = 60_000) -> str:
    """Write text as a fenced block, in a fence longer than any run of backticks in it.

    Args:
        text: from anywhere.
        language: how to colour it; anything but letters, digits, `+` and `-` is dropped.
        limit: the most characters kept; what is cut is said in a last line.
    """
    # Runs of backticks are kept apart where they are longer than any fence should be.
    body = _RUN.sub(f"\\g<0>{INERT}", inert(text[: limit * 2]))
    if len(body) > limit:
        body = f"{_whole_lines(body, limit)}\n… cut here …"
    body = body.strip("\n")
    fence = "`" * max(_FENCE, _longest_run(body) + 1)
    return f"{fence}{re.sub(r'[^a-zA-Z0-9+-]', '', language)}\n{body}\n{fence}"


def link(url: str) -> str:
    """Write an address so that it cannot break out of Markdown's `<…>`; empty unless it is http or https."""
    if not re.match(r"https?://[^\s/]", url):
        return ""
    return re.sub(
        r"[\x00-\x20<>\\`|\x7f-\U0010ffff]",
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode(errors="replace")),
        url,
    )


def shortened(text: str, limit: int) -> str:
    """Keep at most `limit` characters of one line, the last of them `…` if something was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def cut(text: str, limit: int, *, word: str) -> str:
    """Keep at most `limit` characters of Markdown, cut at the end of a line, open fences closed.

    Args:
        text: Markdown or plain text.
        limit: the most characters of the result, the closing fence and the word included; at least 100.
        word: what is said where something was cut.
    """
    if len(text) <= limit:
        return text
    # The fence that is open where it is cut is known only afterwards: room is kept for the longest.
    kept = _whole_lines(text, limit - len(word) - _LONGEST_RUN - 3)
    fence = _open_fence(kept)
    return "\n".join(part for part in (kept, fence, word) if part)


def slack(text: str, *, limit: int) -> str:
    """Escape text from anywhere for Slack: `&`, `<` and `>` only, as its documentation asks.

    Three backticks are kept apart by zero-width spaces, so that no code block begins or ends with them.

    Args:
        text: from anywhere.
        limit: the most characters of the result, counted as Slack does, after escaping.
    """
    escaped = visible(text[: limit * 2]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = _SLACK_FENCE.sub(f"`{INERT}", escaped)
    if len(escaped) <= limit:
        return escaped
    return _HALF_ENTITY.sub("", _whole_lines(escaped, limit - 1)).rstrip() + "…"


def slack_block(text: str, *, limit: int) -> str:
    """Write text as a Slack code block, which nothing in it can end."""
    inside = slack(text, limit=max(1, limit - len("```\n\n```")))
    return "```\n" + inside.strip("\n") + "\n```"


def _whole_lines(text: str, room: int) -> str:
    kept = text[:room]
    # A single long line is cut where it stands: half of the room is too much to lose.
    return kept[: kept.rindex("\n")] if "\n" in kept[room // 2 :] else kept


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)


def _open_fence(text: str) -> str:
    fence = ""
    for line in text.split("\n"):
        ticks = _BACKTICKS.match(line.lstrip(" "))
        if ticks is None:
            continue
        run = ticks[0]
        if not fence and len(run) >= _FENCE:
            fence = run
        elif fence and len(run) >= len(fence) and line.strip() == run:
            fence = ""
    return fence
