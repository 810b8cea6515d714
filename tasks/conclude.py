"""Says how a run ended, in Prefect's own words."""

from collections.abc import Sequence

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from riskloop.assessing import Assessed
from riskloop.thresholds import Verdict


def conclude(assessed: Sequence[Assessed], *, done: str = "") -> State[None]:
    """End the run: Completed; Completed and named `Breached`; or Failed where we could not look, or not act.

    A breach fails the run only where the register says so (`fail_run`).

    Args:
        done: what a person decided and the run carried out, to begin the sentence with.

    Raises:
        ExceptionGroup: what failed unexpectedly, all of it, once everyone was assessed and told.
    """
    bugs = [one.look.failure for one in assessed if one.look.failure]
    bugs += [one.look.receipt.failure for one in assessed if one.look.receipt and one.look.receipt.failure]
    if bugs:
        raise ExceptionGroup("some mitigations failed unexpectedly", bugs)
    blind = [one for one in assessed if one.assessment.verdict is Verdict.UNKNOWN]
    undone: dict[str, list[Assessed]] = {}
    for one in assessed:
        if one.look.receipt and one.look.receipt.failed:
            undone.setdefault(one.look.receipt.deed, []).append(one)
    wrong = [_listed("could not look at", blind)] if blind else []
    wrong += [_listed(_undone(deed), those) for deed, those in undone.items()]
    if wrong:
        return Failed(message=_begun(done, "; ".join(wrong)))
    failing = [one for one in assessed if _fails(one)]
    if failing:
        return Failed(name="Breached", message=_begun(done, _listed("over the threshold", failing)))
    breached = [one for one in assessed if one.assessment.verdict is not Verdict.OK]
    if breached:
        return Completed(name="Breached", message=_begun(done, _listed("over the threshold", breached)))
    return Completed(message=_begun(done, f"{len(assessed)} looked at, all within their thresholds"))


def _undone(deed: str) -> str:
    return "could not propose" if deed == "proposed" else f"could not be {deed}"


def _fails(one: Assessed) -> bool:
    bound = one.mitigation.fail_run
    return bound is not None and one.assessment.verdict.rank >= bound.rank


def _listed(words: str, assessed: Sequence[Assessed]) -> str:
    told = ", ".join(one.mitigation.id for one in assessed[:10])
    more = f" and {len(assessed) - 10} more" if len(assessed) > 10 else ""  # noqa: PLR2004
    return f"{words}: {told}{more}"


def _begun(done: str, words: str) -> str:
    return f"{done}; {words}" if done else words
