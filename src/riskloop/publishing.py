"""Writes what the documentation generates from the models: the register's schema, its reference, the kinds.

`python -m riskloop.publishing` writes `docs/riskloop.schema.json`, `docs/register.md` and, in `docs/kinds/`,
a page for each kind; with `--check` it writes nothing. Its exit code 1 says that something is not current.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from riskloop.kind_pages import example_rows, page, page_name
from riskloop.mitigations import kinds
from riskloop.register.reference import reference
from riskloop.register.schema import schema
from riskloop.risks import Kind

EXAMPLE = Path(__file__).parents[2] / "examples" / "riskloop.yaml"
"""The register the pages take their rows from; it is part of a checkout, not of an installed package."""

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
"""The pages that people write about a kind, each named as it is; a kind's page leads to its own."""


def documents(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Give the content of each generated file, by its path in the documentation's directory."""
    rows = example_rows(EXAMPLE)
    return {
        "riskloop.schema.json": json.dumps(schema(kinds), indent=2, ensure_ascii=False) + "\n",
        "register.md": reference(kinds),
        **{
            page_name(kind): page(kind, row=rows.get(name, ""), guide=_guide(name))
            for name, kind in sorted(kinds.items())
        },
    }


def _guide(kind: str) -> str:
    """Say where a kind's guide is, seen from its page; empty if nobody wrote one."""
    return f"../guides/{kind}.md" if (GUIDES / f"{kind}.md").is_file() else ""


def outdated(directory: Path, kinds: Mapping[str, Kind]) -> tuple[Path, ...]:
    """List the generated files in a directory that are missing or not current, and the pages of no kind."""
    wanted = {directory / name: content for name, content in documents(kinds).items()}
    stale = [
        path
        for path, content in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    ]
    return (*stale, *sorted(set(directory.glob("kinds/*")) - set(wanted)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the generated files, or check them; 0 if they are current afterwards, else 1.

    A page of no kind is named and left alone: somebody may have written it.
    """
    parser = argparse.ArgumentParser(prog="python -m riskloop.publishing", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("docs"))
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not current")
    options = parser.parse_args(arguments)
    stale = outdated(options.directory, kinds())
    contents = {options.directory / name: content for name, content in documents(kinds()).items()}
    for path in stale:
        if path not in contents:
            says = "is the page of no kind; remove it"
        elif options.check:
            says = "is not current; run python -m riskloop.publishing"
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents[path], encoding="utf-8")
            says = "written"
        sys.stderr.write(f"{path} {says}\n")
    return 1 if any(options.check or path not in contents for path in stale) else 0


if __name__ == "__main__":
    sys.exit(main())
