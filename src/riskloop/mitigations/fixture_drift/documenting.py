"""Documents an adopted difference, on the project's own form for it if the project has one."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from riskloop.errors import Unmeasurable
from riskloop.files import Sort, list_tree, read_file
from riskloop.mitigations.fixture_drift.adopting import Adoption, FileChange
from riskloop.mitigations.fixture_drift.differing import visible
from riskloop.mitigations.fixture_drift.settings import Settings
from riskloop.risks import Site

_FORMS = ".github/ISSUE_TEMPLATE"
_LARGEST_FORM = 64 * 1024
_LONGEST = 40_000
_ABOUT = re.compile(r"fixture|golden", re.IGNORECASE)
# What a question on somebody else's form is about, by the words in it; the first that fits answers it.
_QUESTIONS = (
    (re.compile(r"\b(why|reason|rationale|motivation|justif\w*|cause)\b", re.IGNORECASE), "why"),
    (re.compile(r"\b(who|by whom|author|owner|requester|approver|name|contact)\b", re.IGNORECASE), "who"),
    (re.compile(r"\b(when|date)\b", re.IGNORECASE), "when"),
    (re.compile(r"\b(hash\w*|sha\w*|checksum\w*|manifest|digest\w*)\b", re.IGNORECASE), "hashes"),
    (re.compile(r"\b(command|regenerat\w*|steps?|reproduc\w*|how)\b", re.IGNORECASE), "how"),
    (re.compile(r"\b(diff\w*|chang\w*|what|details?|drift|impact)\b", re.IGNORECASE), "difference"),
    (re.compile(r"\b(which|files?|paths?|fixtures?|golden|affected|list)\b", re.IGNORECASE), "files"),
    (re.compile(r"\b(summary|description|overview|title)\b", re.IGNORECASE), "summary"),
)
_OURS = {
    "summary": "What was found",
    "why": "Why",
    "who": "Decided by",
    "when": "When",
    "files": "Files",
    "hashes": "Hashes before and after (SHA-256)",
    "how": "How to make them again",
    "difference": "Difference",
}


def document(settings: Settings, site: Site, adoption: Adoption, *, who: str, reason: str) -> str:
    """Write Markdown that says what was adopted, by whom and why, with the difference.

    A form of the project, in `.github/ISSUE_TEMPLATE/`, is used if its name or its words are about fixtures;
    what it asks and we cannot tell is left open, visibly.

    Args:
        settings: the mitigation's settings.
        site: where the project is.
        adoption: what was done.
        who: who decided it, as they gave their name.
        reason: why.
    """
    answers = _answers(settings, site, adoption, who=who, reason=reason)
    for name, content in _forms(site):
        filled = _fill_form(content, answers) if name.endswith((".yml", ".yaml")) else _fill(content, answers)
        if filled:
            return filled
    return "\n\n".join(f"### {title}\n\n{answers[about]}" for about, title in _OURS.items()) + "\n"


def _answers(
    settings: Settings, site: Site, adoption: Adoption, *, who: str, reason: str
) -> Mapping[str, str]:
    files = [f"- {_code(change.path)} ({_verb(change)})" for change in adoption.files]
    files += [f"- {_code(path)} (differs between two runs, not adopted)" for path in adoption.not_adopted]
    rows = [
        f"| {_code(change.path)} | {change.before or 'none'} | {change.after or 'none'} |"
        for change in (*adoption.files, adoption.manifest)
    ]
    sections = [
        f"{_plain(part.title)}\n\n{_fenced(part.body, part.language)}" for part in adoption.evidence.sections
    ]
    return {
        "summary": _plain(adoption.evidence.summary),
        "why": _fenced(reason) if reason else "_not given_",
        "who": _plain(who) or "_not given_",
        "when": f"{site.now:%Y-%m-%d %H:%M %Z}",
        "files": _cut("\n".join(files) or "_none_"),
        "hashes": _cut("\n".join(("| file | before | after |", "| --- | --- | --- |", *rows))),
        "how": _fenced(" ".join(settings.regenerate)),
        "difference": _cut("\n\n".join(sections)) or "_none_",
    }


def _verb(change: FileChange) -> str:
    if change.before is None:
        return "new"
    return "removed" if change.after is None else "changed"


def _forms(site: Site) -> list[tuple[str, str]]:
    """Read the project's forms that are about fixtures, those that say so in their name first."""
    found = []
    with suppress(Unmeasurable):
        for entry in list_tree(site.project / _FORMS):
            if entry.sort is not Sort.FILE or not entry.path.endswith((".yml", ".yaml", ".md")):
                continue
            with suppress(Unmeasurable, UnicodeDecodeError):
                content = read_file(site.project, f"{_FORMS}/{entry.path}", limit=_LARGEST_FORM).decode()
                if _ABOUT.search(entry.path) or _ABOUT.search(content):
                    found.append((entry.path, content))
    return sorted(found, key=lambda form: _ABOUT.search(form[0]) is None)


def _fill_form(content: str, answers: Mapping[str, str]) -> str:
    """Answer a form in YAML, laid out as GitHub lays out what people submit."""
    try:
        form: Any = YAML(typ="safe", pure=True).load(content)
    except (YAMLError, RecursionError, ValueError):
        return ""
    body = form.get("body") if isinstance(form, dict) else None
    parts = []
    for element in body if isinstance(body, list) else []:
        kind = element.get("type") if isinstance(element, dict) else None
        attributes = element.get("attributes") if kind else None
        label = attributes.get("label") if isinstance(attributes, dict) else None
        if kind == "checkboxes" and isinstance(label, str):
            options = attributes.get("options") if isinstance(attributes, dict) else None
            boxes = [
                f"- [ ] {_plain(str(option.get('label', '')))}"
                for option in (options if isinstance(options, list) else [])
                if isinstance(option, dict)
            ]
            parts.append("\n".join((f"### {_plain(label)}\n", *boxes)))
        elif kind in ("input", "textarea", "dropdown") and isinstance(label, str):
            parts.append(f"### {_plain(label)}\n\n{_answer(label, answers)}")
    return "\n\n".join(parts) + "\n" if parts else ""


def _fill(content: str, answers: Mapping[str, str]) -> str:
    """Answer a form in Markdown: each heading keeps its place and gets its answer."""
    text = re.sub(r"\A---\n.*?\n---\n", "", content, flags=re.DOTALL)
    headings = re.findall(r"^(#{1,6})[ \t]+(.+?)[ \t]*$", text, flags=re.MULTILINE)
    parts = [f"{marks} {_plain(title)}\n\n{_answer(title, answers)}" for marks, title in headings]
    return "\n\n".join(parts) + "\n" if parts else ""


def _answer(question: str, answers: Mapping[str, str]) -> str:
    about = next((about for pattern, about in _QUESTIONS if pattern.search(question)), None)
    return answers[about] if about else "_left open: riskloop cannot tell_"


def _plain(text: str) -> str:
    """Write untrusted words as one line that mentions nobody and opens nothing."""
    line = visible(" ".join(text.split()))
    return _replace(line, {"<": "&lt;", "@": "@\u200b", "`": "'"}.get)


def _replace(text: str, change: Callable[[str], str | None]) -> str:
    return "".join(change(letter) or letter for letter in text)


def _code(path: str) -> str:
    return f"`{visible(path).replace('`', chr(39)).replace('|', '¦')}`"


def _fenced(body: str, language: str = "") -> str:
    """Put text in a fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(visible(line) for line in body.split("\n"))
    return f"{fence}{language}\n{lines}\n{fence}"


def _cut(text: str) -> str:
    """Cut at 40,000 characters, between two lines, and close a fence that was open there."""
    if len(text) <= _LONGEST:
        return text
    kept = text[:_LONGEST].rpartition("\n")[0]
    fence = ""
    for line in kept.split("\n"):
        opened = re.match(r"`{3,}", line)
        if opened and not fence:
            fence = opened[0]
        elif fence and line == fence:
            fence = ""
    return f"{kept}\n{fence}\n… cut for its length" if fence else f"{kept}\n… cut for its length"
