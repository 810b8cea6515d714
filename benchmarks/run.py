"""Runs every benchmark, and writes what came out into RESULTS.md; whatever that is, it is no failure."""

import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from timing import HEADER, WHY

HERE = Path(__file__).parent
BENCHMARKS = ("hashing.py", "assessing.py", "draining.py", "upstream.py", "paging.py", "overhead.py")
INTRODUCTION = """# Benchmarks

Written by `make bench`. Each row is one piece of work: ours and a peer's in turn, in the same minutes on the
same machine. The ratio is of their wall times, pair by pair: the least, the **median** and the most. A goal
that is missed stays here with its figure.
"""


def main() -> None:
    """Run each benchmark in a process of its own, show its lines as they come, and write them down."""
    began = machine()
    rows: list[str] = []
    reasons: list[str] = []
    print(HEADER)
    for name in BENCHMARKS:
        for line in lines(name):
            print(line, flush=True)
            if line.startswith("| "):
                rows.append(line)
            elif line.startswith(WHY):
                reasons.append(f"- {line.removeprefix(WHY)}")
    parts = [INTRODUCTION, began, "\n".join((HEADER, *rows)) + "\n"]
    if reasons:
        parts += ["## Why a goal is missed\n", "\n".join(reasons) + "\n"]
    (HERE / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")


def lines(name: str) -> Iterator[str]:
    """Run one benchmark and give the lines it prints; if it breaks off, the last line says so."""
    with subprocess.Popen([sys.executable, name], cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.rstrip() not in HEADER.splitlines():
                yield line.rstrip()
    if process.returncode:
        yield f"| {name} broke off with exit code {process.returncode} | | | | | missed |"


def machine() -> str:
    """Say in a line on what this runs, and when; its load shows if it has the machine to itself."""
    git = subprocess.run(["git", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({platform.machine()}), "
        f"load {os.getloadavg()[0]:.1f} before it began, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, Prefect {version('prefect')}, {git.stdout.strip()}.\n"
    )


if __name__ == "__main__":
    main()
