"""The databases that mitigations look after: where one is, and how it is opened."""

from riskloop.databases.places import DatabasePlace
from riskloop.databases.sqlite import SQLiteFile
from riskloop.databases.where import Database, locate

__all__ = ["Database", "DatabasePlace", "SQLiteFile", "locate"]
