"""Opens the channels that can be spoken to with the tokens at hand, and makes the postman for them."""

import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta

from riskloop.channels import Channel, Turn
from riskloop.channels.console import Console
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack
from riskloop.channels.slack_webhook import SlackWebhook
from riskloop.delivery import PATIENCE_SECONDS, Postman
from riskloop.errors import TryAgain
from riskloop.identity import Accounts
from riskloop.project import now
from riskloop.services import Services
from riskloop.settings import Settings
from riskloop.store import budget
from riskloop.store.budget import Budget


def open_github(services: Services) -> GitHub | None:
    """Open the GitHub channel; None without a token."""
    settings = services.settings
    if settings.github_token is None:
        return None
    token = settings.github_token.get_secret_value()
    accounts = Accounts(settings.state)
    return GitHub(token=token, url=settings.github_url, key=services.identity.key, accounts=accounts)


def open_slack(services: Services) -> Slack | None:
    """Open the Slack channel for every workspace with a bot token; None without any."""
    settings = services.settings
    if not settings.slack_tokens:
        return None
    tokens = {name: token.get_secret_value() for name, token in settings.slack_tokens.items()}
    accounts = Accounts(settings.state)
    return Slack(tokens=tokens, url=settings.slack_url, key=services.identity.key, accounts=accounts)


def open_webhook(services: Services) -> SlackWebhook | None:
    """Open the incoming Slack webhook; None if there is none."""
    url = services.settings.slack_webhook_url
    return SlackWebhook(url=url.get_secret_value()) if url else None


def open_channels(services: Services) -> dict[str, Channel]:
    """Open every channel that can be spoken to now, by name; the console always can."""
    found: dict[str, Channel] = {"console": Console(services.settings.outbox)}
    if github := open_github(services):
        found["github"] = github
    if slack := open_slack(services):
        found["slack"] = slack
    if webhook := open_webhook(services):
        found["slack_webhook"] = webhook
    return found


def budgets(settings: Settings) -> dict[str, Budget]:
    """Say how often each channel may be written to.

    GitHub's documentation ("Best practices for using the REST API", "Rate limits") asks for a second between
    writes, and allows 80 in a minute and 500 in an hour; an hour's cap of 400 leaves room for people. Slack
    ("Rate limits") takes about one message a second in a channel.
    """
    gap = timedelta(seconds=settings.write_interval_seconds)
    slack = Budget(gap=gap)
    return {
        "github": Budget(gap=gap, caps=((80, timedelta(minutes=1)), (400, timedelta(hours=1)))),
        "slack": slack,
        "slack_webhook": slack,
    }


def turn_for(services: Services, channel: str, target: str) -> Turn:
    """Make what waits for the budget before a write that is no delivery: a test, a pull request.

    Raises:
        TryAgain: at the write, if the budget has no room for a minute.
    """
    allowed = budgets(services.settings)[channel]
    place = f"{channel}:{target}" if channel == "slack" else channel
    patience = timedelta(seconds=PATIENCE_SECONDS)

    def turn() -> None:
        with services.store.writing() as connection:
            wait = budget.take(connection, place, "", allowed, now=now(), patience=patience)
        if wait > patience:
            seconds = wait.total_seconds()
            raise TryAgain(
                f"the budget of writes to {place} allows no more for {seconds:.0f} s",
                remedy="try again then",
                after=seconds,
            )
        time.sleep(wait.total_seconds())

    return turn


def postman(services: Services, more: Mapping[str, Channel]) -> Postman:
    """Make the one who delivers, to all channels and `more` of them."""
    settings = services.settings
    return Postman(
        store=services.store,
        channels={**open_channels(services), **more},
        identity=services.identity,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        settle=timedelta(seconds=settings.settle_seconds),
        budgets=budgets(settings),
        clock=now,
        sleep=time.sleep,
    )
