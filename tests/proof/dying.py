"""A process that is killed while it sends, played within the test's own."""

from typing import Any

from riskloop.channels import Channel, Posting


class Killed(BaseException):
    """The process is gone: nothing that would handle an error gets to see it."""


class Dying:
    """A channel whose process is killed at its next send: before it, or when it has been applied."""

    def __init__(self, channel: Channel, *, sent: bool) -> None:
        self._channel, self._sent = channel, sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, *given: Any, **named: Any) -> Posting:
        if self._sent:
            self._channel.send(*given, **named)
        raise Killed
