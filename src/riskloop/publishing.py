"""Writes what the documentation generates from the models: the register's JSON Schema and its reference.

`python -m riskloop.publishing` writes `docs/riskloop.schema.json` and `docs/register.md`; with `--check` it
writes nothing, and its exit code 1 says that one of them is not current.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from riskloop.mitigations import kinds
from riskloop.register.reference import reference
from riskloop.register.schema import schema
from riskloop.risks import Kind


def documents(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Give the content of each generated file, by its name in the documentation's directory."""
    return {
        "riskloop.schema.json": json.dumps(schema(kinds), indent=2, ensure_ascii=False) + "\n",
        "register.md": reference(kinds),
    }


def outdated(directory: Path, kinds: Mapping[str, Kind]) -> tuple[Path, ...]:
    """List the generated files in a directory that are missing or not current."""
    return tuple(
        path
        for name, content in documents(kinds).items()
        if not (path := directory / name).is_file() or path.read_text(encoding="utf-8") != content
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the generated files, or check them; 0 if they are current afterwards, else 1."""
    parser = argparse.ArgumentParser(prog="python -m riskloop.publishing", description=__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("docs"))
    parser.add_argument("--check", action="store_true", help="write nothing, say what is not current")
    options = parser.parse_args(arguments)
    stale = outdated(options.directory, kinds())
    for path in stale:
        if options.check:
            sys.stderr.write(f"{path} is not current; run python -m riskloop.publishing\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(documents(kinds())[path.name], encoding="utf-8")
            sys.stderr.write(f"{path} written\n")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
