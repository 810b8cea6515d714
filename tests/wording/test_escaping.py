"""Text from anywhere: it shows what it says, and does nothing."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from riskloop.wording import escaping
from riskloop.wording.escaping import INERT

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})

# How long an example takes says nothing on a machine shared with others.
UNHURRIED = settings(deadline=None)

# Every character that means something somewhere, often, among ordinary ones.
TROUBLE = st.text(st.one_of(st.sampled_from("`*_[]<>()#+-.!|~\\&@/:$= \n\t\"'0123abc"), st.characters()))


def shown(markdown: str) -> str:
    """Render Markdown and give the text a reader sees, or a word for whatever is no plain text."""
    (opening, inline, closing) = MARKDOWN.parse(markdown)
    assert (opening.type, closing.type) == ("paragraph_open", "paragraph_close")
    kinds = {child.type for child in inline.children or []}
    assert kinds <= {"text", "text_special"}, kinds
    return "".join(child.content for child in inline.children or [])


@UNHURRIED
@given(TROUBLE)
def test_prose_shows_exactly_the_text_whatever_is_in_it(text: str) -> None:
    line = " ".join(text.split())
    prose = escaping.prose(text)
    assert "\n" not in prose
    expected = escaping.visible(line).replace("\n", " ").strip()
    if not expected:
        assert prose == ""
        return
    # The zero-width space before a command is no space to Markdown.
    assert shown(prose).replace(INERT, "") == expected


@UNHURRIED
@given(TROUBLE, st.sampled_from(["", "diff", "json", "```\nx", "a`b"]))
def test_a_fence_holds_whatever_is_in_it(text: str, language: str) -> None:
    (token,) = MARKDOWN.parse(escaping.fenced(text, language=language))
    assert token.type == "fence"
    expected = escaping.visible(text).strip("\n")
    assert token.content.replace(INERT, "").removesuffix("\n") == expected


@UNHURRIED
@given(TROUBLE)
def test_a_code_span_holds_whatever_is_in_it(text: str) -> None:
    span = escaping.code(f"x{text}x")
    (_, inline, _) = MARKDOWN.parse(span)
    assert [child.type for child in inline.children or []] == ["code_inline"]


@UNHURRIED
@given(TROUBLE, st.integers(10, 200))
def test_what_slack_gets_is_never_longer_than_asked_and_has_no_bare_brackets(text: str, limit: int) -> None:
    escaped = escaping.slack(text, limit=limit)
    assert len(escaped) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", escaped)
    block = escaping.slack_block(text, limit=limit)
    assert len(block) <= max(limit, 20)
    assert block.count("```") == 2


@UNHURRIED
@given(TROUBLE, st.integers(100, 400))
def test_cut_markdown_is_short_enough_and_its_fences_are_closed(text: str, limit: int) -> None:
    markdown = "\n\n".join(escaping.fenced(text) for _ in range(5)) + "\n" + "line\n" * 200
    short = escaping.cut(markdown, limit, word="*cut here*")
    assert len(short) <= limit
    assert short.endswith("*cut here*")
    last = MARKDOWN.parse(short)[-1]
    assert last.type == "paragraph_close"


@pytest.mark.parametrize(
    ("text", "inert"),
    [
        ("@@ -1 +1,2 @@ @@octocat", f"@@ -1 +1,2 @@ @@{INERT}octocat"),
        ("thanks @octocat and @acme/qa", f"thanks @{INERT}octocat and @{INERT}acme/qa"),
        ("fixes #12", f"f{INERT}ixes #{INERT}12"),
        ("Closes: acme/sdk#7", f"C{INERT}loses: acme/sdk#{INERT}7"),
        ("resolved GH-3", f"r{INERT}esolved GH{INERT}-3"),
        (
            "close https://github.com/a/b/issues/1",
            f"c{INERT}lose https://github.com/a/b/issues/{INERT}1",
        ),
        ("see github.com/a/b/pull/12/files", f"see github.com/a/b/pull/{INERT}12/files"),
        ("it fixes nothing", "it fixes nothing"),
        ("/close\n  /approve\n> /lgtm\na/b", f"{INERT}/close\n  {INERT}/approve\n> {INERT}/lgtm\na/b"),
        ("<!-- riskloop:1 -->", f"<{INERT}!-- riskloop:1 -->"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x00\x1b[31m\u202eevil\u2066", "⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩evil⟨U+2066⟩"),
        (f"@{INERT}octocat", f"@{INERT}⟨U+200B⟩octocat"),
        ("\ud800", "⟨U+D800⟩"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_nothing_in_a_text_acts(text: str, inert: str) -> None:
    assert escaping.inert(text) == inert


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://example.com/a?b=c&d=%7B%7D", "https://example.com/a?b=c&d=%7B%7D"),
        ("https://example.com/a b>c|d", "https://example.com/a%20b%3Ec%7Cd"),
        ("https://example.com/ü", "https://example.com/%C3%BC"),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("docs/runbook.md", ""),
        ("https://", ""),
        ("", ""),
    ],
)
def test_an_address_cannot_break_out_of_its_link(url: str, link: str) -> None:
    assert escaping.link(url) == link


def test_ten_million_characters_are_cut_and_said_to_be() -> None:
    fence = escaping.fenced("x\n" * 5_000_000, limit=1_000)
    assert len(fence) < 1_100
    assert fence.endswith("… cut here …\n```")
    assert len(escaping.prose("@" * 10_000_000)) < 5_000
