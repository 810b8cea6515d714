"""Looks at mitigations, and changes nothing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import cast
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed

from riskloop.looking import look
from riskloop.measurements import Look
from riskloop.project import site
from riskloop.receipts import Receipt
from riskloop.register import Register
from riskloop.remembering import remembered
from riskloop.risks import Mitigation
from riskloop.settings import read_settings

CHUNKS = 10
"""Task runs for one measuring, at most: each costs Prefect's server 20 ms and 20 KB."""

PATIENCE_SECONDS = 10.0
"""Work that takes longer than this shows its progress."""


def measure(
    register: Register, mitigations: Sequence[Mitigation], *, after: Sequence[Look] | None = None
) -> list[Look]:
    """Look once at each mitigation; one that fails never hides another.

    Args:
        register: where the mitigations come from: its directory is where they look.
        mitigations: at which to look, each once.
        after: the looks that were acted on, one for each mitigation: only where something was changed is it
            worth looking again, whether it helped; the others are given back as they are.
    """
    if after is not None:
        return _look_again(register, mitigations, after)
    return _look(register, mitigations, {})


def _look_again(register: Register, mitigations: Sequence[Mitigation], after: Sequence[Look]) -> list[Look]:
    pairs = list(zip(mitigations, after, strict=True))
    receipts = {look.mitigation: look.receipt for look in after if look.receipt and look.receipt.changed}
    changed = [mitigation for mitigation, _ in pairs if mitigation.id in receipts]
    again = {look.mitigation: look for look in _look(register, changed, receipts)}
    return [again.get(mitigation.id, look) for mitigation, look in pairs]


def _look(
    register: Register, mitigations: Sequence[Mitigation], receipts: Mapping[str, Receipt]
) -> list[Look]:
    size = max(1, ceil(len(mitigations) / CHUNKS))
    chunks = [tuple(mitigations[start : start + size]) for start in range(0, len(mitigations), size)]
    futures = [measure_some.submit(register, chunk, receipts) for chunk in chunks]
    progress = None if _done_in_time(futures) else _show_progress(len(mitigations))
    found: dict[str, Look] = {}
    for future in as_completed(futures):
        found |= {seen.mitigation: seen for seen in future.result()}
        if progress:
            update_progress_artifact(progress, 100.0 * len(found) / len(mitigations))
    return [found[mitigation.id] for mitigation in mitigations]


@task(
    name="measure",
    task_run_name="measure-{mitigations[0].id}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=0,
)
def measure_some(
    register: Register, mitigations: Sequence[Mitigation], receipts: Mapping[str, Receipt]
) -> list[Look]:
    """Look at some mitigations, one after the other.

    Args:
        receipts: what was done a moment ago, by mitigation; empty where nobody acted.

    Raises:
        StoreError: what is known of them already cannot be read.
    """
    log = get_run_logger()
    settings = read_settings()
    known = remembered(settings, mitigations)
    looks = []
    for mitigation in mitigations:
        memory, receipt = known[mitigation.id], receipts.get(mitigation.id)
        place = memory.at(site(register, settings))
        seen = replace(look(mitigation, replace(place, receipt=receipt)), receipt=receipt)
        if seen.observation is None:
            log.warning("%s: could not look: %s", mitigation.id, seen.reason)
        else:
            log.info("%s: %s", mitigation.id, seen.observation.evidence.summary)
        looks.append(seen)
    return looks


def _done_in_time(futures: Sequence[PrefectFuture[list[Look]]]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    for future in futures:
        future.wait(timeout=max(0.0, deadline - time.monotonic()))
    return time.monotonic() < deadline


def _show_progress(of: int) -> UUID:
    things = "1 mitigation" if of == 1 else f"{of} mitigations"
    # Called from a synchronous flow it returns the id; its type allows for an awaitable.
    return cast("UUID", create_progress_artifact(0.0, description=f"{things} to look at"))
