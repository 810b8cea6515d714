"""Shows pull requests with what was pushed to their branches, of which the emulator knows nothing.

A pull request that is over keeps the commit it ended with, as GitHub's do.
"""

import json
import re
import threading

from tests.proxy.traffic import Answer

_PULLS = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/pulls(?:/\d+)?")
_SUCCESS = 300


class Heads:
    """Which commit each pull request has last, by repository and number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heads: dict[tuple[str, int], str] = {}

    def put(self, repository: str, number: int, commit: str) -> None:
        """Have a commit be the last one of a pull request."""
        with self._lock:
            self._heads[repository.lower(), number] = commit

    def shown(self, path: str, answer: Answer) -> Answer:
        """Show them in an answer of the emulator."""
        place = _PULLS.fullmatch(path)
        if place is None or not self._heads or answer.status >= _SUCCESS:
            return answer
        data = json.loads(answer.body)
        with self._lock:
            for pull in data if isinstance(data, list) else [data]:
                known = self._heads.get((place["repository"].lower(), pull["number"]))
                pull["head"]["sha"] = known or pull["head"]["sha"]
        return answer.with_data(data)
