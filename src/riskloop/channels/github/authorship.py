"""Who we are on GitHub, now and before; and what there is ours, by its author and its signed marker."""

import logging
from collections.abc import Mapping
from typing import Any

from riskloop.channels.github.api import Api
from riskloop.channels.markers import Marker, read_marker
from riskloop.errors import Refused
from riskloop.identity import Accounts

_log = logging.getLogger(__name__)
_USERS = "github"
_APPS = "github-app"


class Authorship:
    """The accounts we have written as, and the key that signs our markers."""

    def __init__(self, api: Api, accounts: Accounts, key: bytes) -> None:
        self._api = api
        self._accounts = accounts
        self._key = key
        self._logins: dict[str, str] = {}
        self._proven = False
        self._nameless = False

    def prove(self) -> None:
        """Make sure that the token works, and remember whose it is where it can say so.

        The tokens of Apps and of workflows cannot: theirs is learnt from the answers to what they write.

        Raises:
            TryAgain, Ambiguous, GaveUp: it does not work, or that could not be found out.
        """
        answer = self._api.ask("GET", "/user", doing="asking whose token it is", expect="id")
        if answer.row == "403":
            self._api.ask("GET", "/rate_limit", doing="trying the token").need()
            self._nameless = True
        else:
            self.learn({"user": answer.need()})
        self._proven = True

    def learn(self, posted: Mapping[str, Any]) -> None:
        """Remember the author of what we have just written."""
        author = posted.get("user") or {}
        if "id" not in author:
            return
        account = str(author["id"])
        is_app = author.get("type") == "Bot"
        if author.get("login") and not is_app:
            self._logins[account] = author["login"]
        try:
            self._accounts.remember(_USERS, account)
            if is_app:
                self._accounts.remember(_APPS, account)
        except Refused as error:
            # What was written stands; it is only less easily known again.
            _log.warning("%s", error)

    def logins(self) -> tuple[str, ...]:
        """List the names of all our accounts; none if one of them is an App, or not known by its name."""
        self._ask_once()
        known = self._accounts.known(_USERS)
        return tuple(sorted(self._logins.values())) if known and known <= self._logins.keys() else ()

    def marker(self, posted: Mapping[str, Any]) -> Marker | None:
        """Read the marker in the first line of what we have written; None if we have not, or it has none."""
        marker = read_marker(_first_line(posted), self._key)
        return marker if marker is not None and self._is_us(posted) else None

    def is_ours(self, posted: Mapping[str, Any]) -> bool:
        """Say whether we have written this, even if people have since taken the marker out of it."""
        known = str((posted.get("user") or {}).get("id")) in self._accounts.known(_USERS)
        return known or read_marker(_first_line(posted), self._key) is not None or self._is_us(posted)

    def _is_us(self, posted: Mapping[str, Any]) -> bool:
        self._ask_once()
        author = posted.get("user") or {}
        if str(author.get("id")) in self._accounts.known(_USERS):
            return True
        # Until the first answer to a write of this App arrives, the signature has to do.
        unknown_app = self._nameless and not self._accounts.known(_APPS)
        return unknown_app and author.get("type") == "Bot"

    def _ask_once(self) -> None:
        if not self._proven:
            self.prove()


def _first_line(posted: Mapping[str, Any]) -> str:
    return str(posted.get("body") or "").partition("\n")[0]
