"""Opens the channels that can be spoken to with the tokens at hand, and makes the postman for them."""

import os
import socket
import time
from collections.abc import Mapping
from datetime import timedelta

from riskloop.channels import Channel
from riskloop.channels.console import Console
from riskloop.channels.github import GitHub
from riskloop.channels.slack import Slack, SlackWebhook
from riskloop.delivery import Postman
from riskloop.project import now
from riskloop.services import Services


def open_github(services: Services) -> GitHub | None:
    """Open the GitHub channel; None without a token."""
    settings = services.settings
    if settings.github_token is None:
        return None
    token = settings.github_token.get_secret_value()
    return GitHub(token=token, url=settings.github_url, key=services.identity.key)


def open_slack(services: Services) -> Slack | None:
    """Open the Slack channel for every workspace with a bot token; None without any."""
    settings = services.settings
    if not settings.slack_tokens:
        return None
    tokens = {name: token.get_secret_value() for name, token in settings.slack_tokens.items()}
    return Slack(tokens=tokens, url=settings.slack_url, key=services.identity.key)


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


def postman(services: Services, more: Mapping[str, Channel]) -> Postman:
    """Make the one who delivers, to all channels and `more` of them."""
    settings = services.settings
    return Postman(
        store=services.store,
        channels={**open_channels(services), **more},
        identity=services.identity,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        settle=timedelta(seconds=settings.settle_seconds),
        interval=timedelta(seconds=settings.write_interval_seconds),
        clock=now,
        sleep=time.sleep,
    )
