"""Delivers what nobody has heard yet: in order for each incident, once, and visibly dead if it cannot be."""

from riskloop.delivery.pacing import PATIENCE_SECONDS
from riskloop.delivery.packing import GRACE
from riskloop.delivery.postman import MAXIMUM_ATTEMPTS, ROUND, Delivered, Postman

__all__ = ["GRACE", "MAXIMUM_ATTEMPTS", "PATIENCE_SECONDS", "ROUND", "Delivered", "Postman"]
