"""Every command, option, setting, file and metric that the pages name exists."""

import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError
from pydantic import SecretStr

from deployments.offers import read_offers
from deployments.server import FIRST_PORT
from riskloop.cli import app
from riskloop.incidents import Change
from riskloop.mitigations import kinds
from riskloop.register import load
from riskloop.settings import PREFIX, Settings, read_settings

TOP = Path(__file__).parents[1]
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])
OURS = [TOP / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operating.md")]
"""Those whose code is all about riskloop, so that every word in it can be looked up."""

WRITTEN = [page for page in PAGES if page.parent.name != "kinds" and page.name != "register.md"]
"""Those that are not generated."""

THEIRS = {
    "manifest.json",
    "riskloop.yaml",
    "page.yaml",
    "register.last-good.yaml",
    "service.json",
    "riskloop-automations.json",
}
"""Files that are in a user's project or in the state directory, which has a test of its own."""

TESTS_ONLY = {"RISKLOOP_SEED"}
"""Variables that only the tests read."""

OTHERS = {"pg_dump"}
"""Words of that shape that are no words of a register: other programs."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)<>\s]+)\)")
_SETTING = re.compile(rf"{PREFIX}[A-Z][A-Z_]*(?:<WORKSPACE>)?")
_SUFFIXES = (".py", ".md", ".toml", ".lock", ".yaml", ".json")
_SNAKE = re.compile(r"(?<![\w./-])[a-z]+(?:_[a-z]+)+(?![\w./*-])")


def fences(page: Path, *languages: str) -> list[str]:
    """Give the fenced blocks of a page in these languages."""
    return [body for _, language, body in _FENCE.findall(page.read_text("utf-8")) if language in languages]


def spans(page: Path) -> list[str]:
    """Give what stands between backticks in the running text."""
    return _SPAN.findall(_FENCE.sub("", page.read_text("utf-8")))


def shell_lines(page: Path) -> Iterator[list[str]]:
    """Give the words of each command line in a page's shell blocks, without comments."""
    for block in fences(page, "sh"):
        for line in block.splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def descend(words: list[str]) -> tuple[App, list[str]]:
    """Follow the names of commands as far as they go; give the last one and the words that are left."""
    found, rest = app, words
    while rest and re.fullmatch("[a-z]+", rest[0]) and rest[0] in list(found):
        found, rest = found[rest[0]], rest[1:]
    return found, rest


def options(found: App) -> set[str]:
    if found.default_command is None:
        return {"--help", "--version", "--install-completion"}
    return {name for argument in found.assemble_argument_collection() for name in argument.names} | {"--help"}


def every_option() -> set[str]:
    groups = [app[name] for name in app if not name.startswith("-")]
    leaves = [group[name] for group in groups for name in group if not name.startswith("-")]
    return set().union(*(options(found) for found in (app, *groups, *leaves)))


def variables() -> dict[str, bool]:
    """Name every environment variable there is, and say whether it is a secret."""
    found: dict[str, bool] = {}
    for field in fields(Settings):
        name = PREFIX + field.name.upper()
        if field.name == "slack_tokens":
            found |= {f"{PREFIX}SLACK_TOKEN": True, f"{PREFIX}SLACK_TOKEN_<WORKSPACE>": True}
        else:
            found[name] = SecretStr.__name__ in str(field.type)
    return found


def named(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(TOP)) for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_command_in_a_shell_block_can_be_parsed(page: Path) -> None:
    for words in shell_lines(page):
        if words[0].rpartition("/")[2] == "riskloop":
            given = [word.replace("<risk>", "risk") for word in words[1:]]
            try:
                app.parse_args(given, exit_on_error=False, print_error=False)
            except CycloptsError as error:
                pytest.fail(f"{page.name}: {' '.join(words)}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_command_and_option_named_in_a_sentence_exists(page: Path) -> None:
    known = every_option() | {"--check"}  # that of riskloop.publishing
    for span in spans(page):
        words = span.split()
        if words[0] == "riskloop" and len(words) > 1 and not words[1].startswith("<"):
            found, rest = descend(words[1:])
            assert found is not app or rest[0].startswith("--"), span
            assert {word for word in rest if word.startswith("--")} <= options(found), span
        elif words[0].startswith("--") and "=" not in span:
            assert words[0] in known, f"{page.name}: {span}"


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_setting_named_exists(page: Path) -> None:
    known = variables()
    files = {f"{name}_FILE" for name, secret in known.items() if secret}
    examples = {f"{PREFIX}SLACK_TOKEN_ACME"}
    for name in _SETTING.findall(page.read_text("utf-8")):
        if not name.endswith("_"):
            assert name in {*known, *files, *examples, *TESTS_ONLY}, f"{page.name}: {name}"


def test_every_variable_is_read() -> None:
    samples = {"SECONDS": "7", "URL": "https://host.example/path"}
    before = read_settings({})
    for name in variables():
        variable = name.replace("<WORKSPACE>", "ACME")
        value = samples.get(variable.rpartition("_")[2], "/somewhere")
        if variable == f"{PREFIX}STORE_URL":
            value = "sqlite:///elsewhere"
        assert read_settings({variable: value}) != before, variable


def test_the_table_of_settings_is_complete_and_right() -> None:
    rows = re.findall(
        r"^\| `(RISKLOOP_[^`]+)`( \(secret\))? \| (?:`([^`]*)`)? *\|",
        (TOP / "docs/operating.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert {name: bool(secret) for name, secret, _ in rows} == variables()
    default = read_settings({}, register=Path("/project/riskloop.yaml"))
    for name, _, written in rows:
        if "<" in name or name == f"{PREFIX}SLACK_TOKEN":
            continue
        value = getattr(default, name.removeprefix(PREFIX).lower())
        shown = str(value.name if isinstance(value, Path) else value)
        computed = name == f"{PREFIX}STORE_URL" or not value
        assert written == ("" if computed else shown.removesuffix(".0")), name


@pytest.mark.parametrize("page", WRITTEN, ids=named(WRITTEN))
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    top = {path.name for path in TOP.iterdir()} - {".riskloop", ".venv", ".cache"}
    for span in spans(page):
        # Where a name is left open, its folder must be there; tests/test_wiring.py knows the rest.
        path = span.partition("<")[0].rpartition("/")[0] if "<" in span else span
        is_ours = path.split("/")[0] in top or path.endswith(_SUFFIXES)
        is_ours = is_ours and not path.startswith(".riskloop/")
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", path) and is_ours and path not in THEIRS:
            assert (TOP / path).exists() or (page.parent / path).exists(), f"{page.name}: {span}"


@pytest.mark.parametrize("page", PAGES, ids=named(PAGES))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in _LINK.findall(_FENCE.sub("", text)):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name}: {link}"


@pytest.mark.parametrize("page", OURS, ids=named(OURS))
def test_every_word_of_a_register_or_a_metric_that_is_named_exists(page: Path) -> None:
    # The schema holds every key, kind, metric and value of a register.
    known = set(re.findall(r"\w+", (TOP / "docs/riskloop.schema.json").read_text("utf-8")))
    known |= {path.stem for path in (TOP / "flows").glob("*.py")} | OTHERS
    code = [*spans(page), *fences(page, "yaml", "text")]
    words = {word for piece in code for word in _SNAKE.findall(re.sub(r"https?:\S+|\w+://\S+", "", piece))}
    assert words - known == set(), page.name


@pytest.mark.parametrize("page", OURS, ids=named(OURS))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefile = (TOP / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    targets = set(phony.split())
    text = "\n".join([*spans(page), *fences(page, "sh")])
    found = set(re.findall(r"^make (?:[A-Z]+=\S+ )?([a-z-]+)", text, re.MULTILINE))
    assert found <= targets
    if page.name == "CONTRIBUTING.md":
        assert found == targets


def test_every_module_that_contributing_names_can_be_imported() -> None:
    for span in spans(TOP / "CONTRIBUTING.md"):
        if re.fullmatch(r"riskloop(\.\w+)+", span):
            module, _, name = span.rpartition(".")
            if not hasattr(importlib.import_module(module), name):
                importlib.import_module(span)


def test_a_kind_has_what_contributing_says_and_no_kind_can_do_without_it() -> None:
    text = (TOP / "CONTRIBUTING.md").read_text("utf-8")
    _, _, table = text.partition("as `riskloop.mitigations.kinds` reads it:")
    names = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    read = re.findall(r"\bmodule\.(\w+)", (TOP / "src/riskloop/mitigations/__init__.py").read_text("utf-8"))
    assert set(names) == set(read)


def test_the_register_in_the_readme_has_no_mistakes(tmp_path: Path) -> None:
    (block,) = fences(TOP / "README.md", "yaml")
    register = tmp_path / "riskloop.yaml"
    register.write_text(block, encoding="utf-8")
    assert load(register, kinds()).configured


def test_the_deployments_in_the_operating_page_are_those_there_are() -> None:
    text = (TOP / "docs/operating.md").read_text("utf-8")
    _, _, table = text.partition("| deployment | when |")
    rows = re.findall(r"^\| `([\w-]+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert set(rows) == {offer.name for offer in read_offers(TOP / "prefect.yaml")}


def test_what_the_state_directory_is_said_to_hold_is_put_there_by_us() -> None:
    text = (TOP / "docs/operating.md").read_text("utf-8")
    _, _, table = text.partition("| in it | what it is |")
    cells = re.findall(r"^\| (`.+?) \|", table.partition("\n\n")[0], re.MULTILINE)
    names = {name for cell in cells for name in _SPAN.findall(cell)}
    sources = [*(TOP / "src").rglob("*.py"), *(TOP / "deployments").glob("*.py")]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    for name in names:
        assert re.search(rf"['\"/]{re.escape(name.removesuffix('/'))}['\"/}}]", code), name


def test_the_first_port_is_as_the_pages_say() -> None:
    assert f"from {FIRST_PORT} to " in (TOP / "docs/operating.md").read_text("utf-8")
    assert f"http://127.0.0.1:{FIRST_PORT}\n" in (TOP / "README.md").read_text("utf-8")


def test_every_event_that_is_named_is_emitted() -> None:
    text = (TOP / "docs/automations.md").read_text("utf-8")
    named_there = set(re.findall(r"riskloop\.incident\.([a-z]+)", text))
    # What people did to an issue or a message is answered there, and nowhere else.
    assert named_there == {change.value for change in Change} - {Change.DISMISSED, Change.REOPENED}


def test_every_proof_is_in_the_readme_with_a_command_that_runs_it() -> None:
    text = (TOP / "README.md").read_text("utf-8")
    _, _, table = text.partition("| what is done | what must come of it |")
    commands = re.findall(r"\| `([^`]+)` \|$", table.partition("\n\n")[0], re.MULTILINE)
    files = {word.removeprefix("ARGS=") for command in commands for word in command.split()}
    files = {word for word in files if word.startswith("tests/")}
    assert {file for file in files if not (TOP / file).exists()} == set()
    assert {f"tests/proof/{path.name}" for path in (TOP / "tests/proof").glob("test_*.py")} <= files
    for command in commands:
        start, _, file = command.partition("tests/")
        assert start in {"make soak ARGS=", ".venv/bin/pytest "}, command
        if start.startswith("make soak"):
            assert "pytest.mark.soak" in (TOP / "tests" / file).read_text("utf-8"), command


def test_the_seed_that_the_pages_name_is_the_one_that_is_read() -> None:
    (seed,) = TESTS_ONLY
    assert f'"{seed}"' in (TOP / "tests/proof/seeding.py").read_text("utf-8")
