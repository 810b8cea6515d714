"""Where everything is remembered: one SQLite file, or PostgreSQL where several machines share it."""

from riskloop.store.database import RowsRefused, Store, open_store

__all__ = ["RowsRefused", "Store", "open_store"]
