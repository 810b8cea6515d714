"""Puts the parts together: settings in; the register, the store and who we are out."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from riskloop.errors import RegisterError
from riskloop.identity import Identity, read_identity
from riskloop.mitigations import kinds
from riskloop.notifications import Reach
from riskloop.redaction import clean_errors, install
from riskloop.register import Register, last_good
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


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open the store and say who we are; the store is brought up to date where it is our own SQLite file.

    From here on nothing this process logs, and no error that leaves the block, holds one of our secrets.

    Raises:
        StoreError: the store cannot be used.
        Refused: the state directory cannot be used.
    """
    identity = read_identity(settings.state)
    install(settings)
    with clean_errors(), closing(open_store(settings.store_url.get_secret_value())) as store:
        if store.on_sqlite:
            store.upgrade()
        else:
            store.require_current()
        yield Services(settings=settings, store=store, identity=identity)
