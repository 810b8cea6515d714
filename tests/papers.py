"""The generator of the test projects that hold one fixture, made from `source.txt`."""

MAKE = """
from pathlib import Path

Path("fixtures").mkdir(exist_ok=True)
Path("fixtures/a.txt").write_text(Path("source.txt").read_text())
"""
