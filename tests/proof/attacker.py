"""Somebody who swaps folders and files for links to what is not theirs, as fast as they can, for a while."""

import ctypes
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from riskloop.mitigations.ttl_cleanup.walking import OURS

FOLDERS = tuple(f"folder-{number}" for number in range(6))
FILES = tuple(f"file-{number}" for number in range(30))
_EXCHANGE = 2  # RENAME_EXCHANGE, renameat2(2)


@dataclass(kw_only=True)
class Attacker:
    """Swaps things in a staging area, and puts each back before the next.

    Args:
        root: the staging area.
        outside: a directory with folders and files of the same names, which nobody may touch.
        aside: where things are meanwhile, in the same file system.
    """

    root: Path
    outside: Path
    aside: Path
    chance: Random
    done: Counter[str] = field(default_factory=Counter)

    def prepare(self) -> None:
        """Make what is outside, by all names that could be looked for there."""
        for folder in ("", *FOLDERS, "doomed", f"{OURS}/quarantine", "quarantine", "files", "files/folder-0"):
            (self.outside / folder).mkdir(parents=True, exist_ok=True)
            for name in (*FILES, "marker", "clock"):
                (self.outside / folder / name).write_text(f"precious: {folder}/{name}")
        (self.aside / "doomed").mkdir(parents=True)
        (self.aside / "doomed/precious").write_text("precious: aside")

    def attack(self, seconds: float) -> str:
        """Attack for so long; say how often what was done."""
        ways: tuple[Callable[[], None], ...] = (
            *(self._swap_folder,) * 6,
            *(self._move_folder_away,) * 3,
            self._swap_file_for_link,
            self._swap_file_for_hard_link,
            self._swap_file_for_fifo,
            self._swap_folder_for_file,
            self._swap_quarantine,
            self._move_quarantine_away,
            self._swap_all,
        )
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            way = self.chance.choice(ways)
            try:
                if self.chance.random() < 1 / 5:
                    self._stage()
                way()
            except OSError:
                self.done["overtaken by a cleanup"] += 1
            else:
                self.done[way.__name__.strip("_")] += 1
        return "; ".join(f"{way}: {count}" for way, count in sorted(self.done.items()))

    def _stage(self) -> None:
        """Put files back that are missing, in one folder."""
        folder, _ = self._somewhere()
        folder.mkdir(exist_ok=True)
        for name in FILES:
            if not os.path.lexists(folder / name):
                (folder / name).write_text(f"staged: {name}")

    def _somewhere(self) -> tuple[Path, str]:
        folder = self.chance.choice(FOLDERS)
        return self.root / folder, folder

    def _swap_folder(self) -> None:
        place, folder = self._somewhere()
        self._swap(place, lambda other: other.symlink_to(self.outside / folder))

    def _move_folder_away(self) -> None:
        place, _ = self._somewhere()
        away = self._unused()
        place.rename(away)
        self._wait()
        away.rename(place)

    def _swap_file_for_link(self) -> None:
        place, folder = self._somewhere()
        name = self.chance.choice(FILES)
        self._swap(place / name, lambda other: other.symlink_to(self.outside / folder / name))

    def _swap_file_for_hard_link(self) -> None:
        place, folder = self._somewhere()
        name = self.chance.choice(FILES)
        self._swap(place / name, lambda other: other.hardlink_to(self.outside / folder / name))

    def _swap_file_for_fifo(self) -> None:
        place, _ = self._somewhere()
        self._swap(place / self.chance.choice(FILES), os.mkfifo)

    def _swap_folder_for_file(self) -> None:
        place, _ = self._somewhere()
        self._swap(place, lambda other: other.hardlink_to(self.outside / FILES[0]))

    def _swap_quarantine(self) -> None:
        place = self._in_quarantine()
        self._swap(place, lambda other: other.symlink_to(self.outside / place.name))

    def _move_quarantine_away(self) -> None:
        place = self._in_quarantine()
        away = self.aside / "files"
        place.rename(away)
        self._wait()
        away.rename(place)

    def _swap_all(self) -> None:
        place = self.chance.choice((self.root, self.root / OURS))
        self._swap(place, lambda other: other.symlink_to(self.outside))

    def _in_quarantine(self) -> Path:
        quarantine = self.root / OURS / "quarantine"
        found = [quarantine, *quarantine.glob("*/files"), *quarantine.glob("*/doomed")]
        found += quarantine.glob("*/files/folder-*")
        return self.chance.choice(found)

    def _swap(self, place: Path, make: Callable[[Path], object]) -> None:
        """Have something else stand in a place for a moment, in one step each way where the system has it."""
        other = self._unused()
        make(other)
        try:
            exchange(place, other)
            self._wait()
            exchange(place, other)
        finally:
            other.unlink()

    def _unused(self) -> Path:
        return self.aside / f"other-{self.done.total()}"

    def _wait(self) -> None:
        """Wait for no time at all, or for a little."""
        until = time.monotonic() + self.chance.choice((0, 0, 0.0002, 0.002))
        while time.monotonic() < until:
            pass


def exchange(one: Path, other: Path) -> None:
    """Exchange two names."""
    found = _renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
    if found:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(one))


_HERE = -100  # AT_FDCWD
_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
