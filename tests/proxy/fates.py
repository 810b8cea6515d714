"""Decides what becomes of a request on its way: how long it takes, and whether and how it fails."""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.proxy.faults import Fault, named


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one request.

    Args:
        after_commit: the request is applied first, and only the answer fails.
        there: seconds until the request arrives.
        back: seconds until the answer does.
    """

    fault: Fault | None = None
    after_commit: bool = False
    there: float = 0.0
    back: float = 0.0


@dataclass(slots=True)
class _Rule:
    fault: Fault
    method: str
    path: re.Pattern[str]
    after_commit: bool
    left: int
    passing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """A bad network by chance, the same for the same seed.

    The n-th request with one method and path has the same fate in every run, whatever other threads send
    meanwhile.

    Args:
        latency: the least and the most seconds of one way; each request and each answer takes its own.
        share: of the requests, from 0 to 1, that fails.
        faults: names, one of which is drawn; one without `before` or `after` is as often either.
        method: of the requests it is for; any if empty.
        path: a regular expression for their whole path.
    """

    seed: int
    latency: tuple[float, float] = (0.0, 0.0)
    share: float = 0.0
    faults: Sequence[str] = ("502", "reset", "timeout")
    method: str = ""
    path: str = ".*"

    def fate(self, method: str, path: str, nth: int) -> Fate:
        """Draw the fate of the n-th request with this method and path."""
        if (self.method and self.method != method) or not re.fullmatch(self.path, path):
            return Fate()
        chance = Random(f"{self.seed} {method} {path} {nth}")
        there, back = chance.uniform(*self.latency), chance.uniform(*self.latency)
        if chance.random() >= self.share:
            return Fate(there=there, back=back)
        fault, after = named(chance.choice(self.faults))
        if after is None:
            after = chance.random() < 0.5
        return Fate(fault=fault, after_commit=after, there=there, back=back)


class Fates:
    """The faults that were asked for, one by one or by chance; safe to ask from many threads."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._weather: Weather | None = None
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(
        self, fault: str | Fault, *, method: str, path: str, after_commit: bool, times: int, passing: int
    ) -> None:
        """Have matching requests fail, after so many that pass."""
        chosen, after = named(fault) if isinstance(fault, str) else (fault, None)
        if after is None:
            after = after_commit
        with self._lock:
            self._rules.append(_Rule(chosen, method, re.compile(path), after, times, passing))

    def let(self, weather: Weather) -> None:
        """Begin with the first request of this weather; it replaces any other."""
        for name in weather.faults:
            named(name)
        with self._lock:
            self._weather = weather
            self._seen.clear()

    def clear(self) -> None:
        """Let everything pass again."""
        with self._lock:
            self._rules.clear()
            self._weather = None

    def next(self, method: str, path: str) -> Fate:
        """Say what becomes of a request: what was asked for goes before chance, and takes its time too."""
        with self._lock:
            by_chance = Fate()
            if self._weather:
                self._seen[method, path] += 1
                by_chance = self._weather.fate(method, path, self._seen[method, path])
            for rule in self._rules:
                if rule.left and rule.method in {"", method} and rule.path.fullmatch(path):
                    if rule.passing:
                        rule.passing -= 1
                        continue
                    rule.left -= 1
                    return Fate(
                        fault=rule.fault,
                        after_commit=rule.after_commit,
                        there=by_chance.there,
                        back=by_chance.back,
                    )
            return by_chance
