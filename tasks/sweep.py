"""Puts our issues and messages in order, once an hour."""

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from riskloop.redaction import without_secrets
from riskloop.register import Register
from riskloop.services import open_services
from riskloop.settings import read_settings
from riskloop.sweeping import sweep_if_due
from tasks.occasion import occasion


@task(name="sweep", cache_policy=NO_CACHE, persist_result=False, retries=0)
def sweep(register: Register) -> None:
    """Sweep every place our incidents are told of in, if that is due; what was done is the run's artifact.

    Raises:
        StoreError: the store cannot be read or written; the next sweep goes on.
    """
    with open_services(read_settings()) as services:
        said = sweep_if_due(services, register, occasion(services, register))
    for sentence in said:
        get_run_logger().info("%s", sentence)
    if said:
        rows = [{"done": without_secrets(sentence)} for sentence in said]
        create_table_artifact(rows, description="What the sweep put in order")
