"""Puts the parts together: settings in; the register, the store and the channels out."""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from riskloop.channels import Channel
from riskloop.channels.console import Console
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack, SlackWebhook
from riskloop.delivery import Postman
from riskloop.errors import RegisterError
from riskloop.identity import Identity, read_identity
from riskloop.mitigations import kinds
from riskloop.notifications import Reach
from riskloop.register import Register, last_good, load
from riskloop.risks import Site
from riskloop.settings import Settings
from riskloop.store import Store, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a verb works with."""

    settings: Settings
    store: Store
    identity: Identity

    def register(self) -> tuple[Register, RegisterError | None]:
        """Read the register; after a broken edit the last good one, with what is wrong with the new one.

        Raises:
            RegisterError: it is broken and there never was a good one.
        """
        return last_good(
            self.settings.register,
            kinds(),
            keep=self.settings.state / "register.last-good.yaml",
            allowed_roots=self.settings.allowed_roots,
        )

    def reach(self, *, events: bool) -> Reach:
        """Say which channels can be spoken to for real.

        Args:
            events: whether we are inside a Prefect run, where events can be emitted.
        """
        return Reach(
            github=self.settings.github_token is not None,
            slack=frozenset(self.settings.slack_tokens),
            webhook=self.settings.slack_webhook_url is not None,
            events=events,
        )

    def github(self) -> GitHub | None:
        """Open the GitHub channel; None without a token."""
        token = self.settings.github_token
        if token is None:
            return None
        return GitHub(token=token.get_secret_value(), url=self.settings.github_url, key=self.identity.key)

    def slack(self) -> Slack | None:
        """Open the Slack channel for every workspace with a bot token; None without any."""
        if not self.settings.slack_tokens:
            return None
        tokens = {name: token.get_secret_value() for name, token in self.settings.slack_tokens.items()}
        return Slack(tokens=tokens, url=self.settings.slack_url, key=self.identity.key)

    def channels(self) -> dict[str, Channel]:
        """Every channel that can be spoken to now, by name; the console always can."""
        found: dict[str, Channel] = {"console": Console(self.settings.outbox)}
        if github := self.github():
            found["github"] = github
        if slack := self.slack():
            found["slack"] = slack
        if self.settings.slack_webhook_url:
            found["slack_webhook"] = SlackWebhook(url=self.settings.slack_webhook_url.get_secret_value())
        return found

    def postman(self, more: Mapping[str, Channel]) -> Postman:
        """Make the one who delivers, to all channels and `more` of them."""
        return Postman(
            store=self.store,
            channels={**self.channels(), **more},
            identity=self.identity,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            settle=timedelta(seconds=self.settings.settle_seconds),
            interval=timedelta(seconds=self.settings.write_interval_seconds),
            clock=now,
            sleep=time.sleep,
        )


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open the store and say who we are; the store is brought up to date where it is our own SQLite file.

    Raises:
        StoreError: the store cannot be used.
        Refused: the state directory cannot be used.
    """
    identity = read_identity(settings.state)
    store = open_store(settings.store_url.get_secret_value())
    try:
        if store.on_sqlite:
            store.upgrade()
        else:
            store.require_current()
        yield Services(settings=settings, store=store, identity=identity)
    finally:
        store.close()


def read_register(settings: Settings) -> Register:
    """Read the register as it stands, for whoever must not go on with a broken one.

    Raises:
        RegisterError: with every mistake in it.
    """
    return load(settings.register, kinds(), allowed_roots=settings.allowed_roots)


def site(register: Register, settings: Settings) -> Site:
    """Say where the kinds work."""
    return Site(project=register.project_directory, state=settings.state, now=now())
