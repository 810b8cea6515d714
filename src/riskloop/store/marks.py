"""Where in a story a page of it begins or ends: at a moment, and at one of the things that happened then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, or_

from riskloop.errors import RiskloopError


class What(StrEnum):
    """What an entry of a story tells of; on the same moment they come in this order."""

    DECISION = "decision"
    LOOK = "look"
    MUTE = "mute"
    TRANSITION = "transition"
    POSTING = "posting"
    DELIVERY = "delivery"


_ORDER = list(What)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The place of one entry in a story; no other has the same, so that pages neither lose nor double one.

    Args:
        number: of the entry among those of its sort, from 1.
        text: the same for those that have no number: the postings.
    """

    at: datetime
    what: What
    number: int = 0
    text: str = ""

    @property
    def key(self) -> tuple[datetime, int, int, str]:
        """What the entries of a story are sorted by."""
        return self.at, _ORDER.index(self.what), self.number, self.text

    def __str__(self) -> str:
        at = self.at.astimezone(UTC).isoformat()
        return f"{at}/{self.what}/{self.text or self.number}"


def read_mark(words: str) -> Mark:
    """Read a mark as it is shown, or a moment alone; without a zone it is UTC.

    Raises:
        RiskloopError: it is neither.
    """
    moment, _, entry = words.partition("/")
    what, _, place = entry.partition("/")
    try:
        at = datetime.fromisoformat(moment)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if not entry:
            # What is first at any moment: before all of them.
            return Mark(at=at, what=_ORDER[0])
        if what == What.POSTING:
            return Mark(at=at, what=What.POSTING, text=place)
        return Mark(at=at, what=What(what), number=int(place))
    except (ValueError, OverflowError):
        raise RiskloopError(
            f"'{words}' is no moment and no place in a story",
            remedy="write 2026-12-01 or 2026-12-01T06:30, or what the page before said",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a story is read.

    Args:
        limit: at most so many entries, the newest; None for all.
        before: only what comes before it; None for no end.
    """

    limit: int | None
    before: Mark | None = None

    def newest(
        self,
        connection: Connection,
        query: Select[Any],
        what: What,
        at: ColumnElement[datetime],
        place: ColumnElement[Any],
    ) -> Sequence[RowMapping]:
        """Read the newest rows before the mark, one more than asked for where there are more; oldest first.

        Args:
            what: what the rows become in a story.
            at: their moment.
            place: as a mark of theirs has it, `number` or `text`.
        """
        query = query.order_by(at.desc(), place.desc())
        if self.before is not None:
            query = query.where(*self._earlier(self.before, what, at, place))
        if self.limit is not None:
            query = query.limit(self.limit + 1)
        return connection.execute(query).mappings().all()[::-1]

    @staticmethod
    def _earlier(
        mark: Mark, what: What, at: ColumnElement[datetime], place: ColumnElement[Any]
    ) -> list[ColumnElement[bool]]:
        if what is not mark.what:
            later = _ORDER.index(what) > _ORDER.index(mark.what)
            return [at < mark.at if later else at <= mark.at]
        named = mark.text if what is What.POSTING else mark.number
        # The first of them is what an index is searched for; the second only parts those of one moment.
        return [at <= mark.at, or_(at < mark.at, place < named)]
