"""Checks a register that has been read: its shape, its names, its thresholds, each kind's own settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from riskloop.measurements import Metric, Worse
from riskloop.register.contents import Register
from riskloop.register.mistakes import ENOUGH, Finding, Place, explain, hint, suggestion
from riskloop.register.reading import Document
from riskloop.register.shape import MOST_ROWS, MitigationRow, RegisterRow, RiskRow
from riskloop.register.values import read_bound, shown
from riskloop.risks import Kind, Mitigation, Owner, Risk, SlackChannel
from riskloop.thresholds import Threshold, Verdict

COMMON_KEYS = tuple(MitigationRow.model_fields)
"""What a mitigation can say whatever its kind; every other key is a setting of the kind."""

RESERVED_IDS = ("service",)
"""Incidents of riskloop itself have this subject, so that no mitigation can."""

_Model = TypeVar("_Model", bound=BaseModel)


def check(
    document: Document,
    *,
    path: Path,
    digest: str,
    kinds: Mapping[str, Kind],
    allowed_roots: tuple[Path, ...],
    findings: list[Finding],
) -> Register | None:
    """Check a document and build the register it describes.

    Args:
        document: what was read.
        path: where the register stands, absolute.
        digest: the SHA-256 of its bytes.
        kinds: every kind there is, by name.
        allowed_roots: directories outside the project in which absolute paths may lie.
        findings: what is wrong already; what is found is added.

    Returns:
        the register, or None if there are any findings.
    """
    data = document.data
    if not isinstance(data, dict):
        if not findings:
            findings.append(Finding(place=(), says=_says_whole(data)))
        return None
    for key in ("owners", "risks"):
        if isinstance(rows := data.get(key), dict | list) and len(rows) > MOST_ROWS:
            says = (
                f"{len(rows)} entries stand here; write at most {MOST_ROWS}, in several registers if need be"
            )
            findings.append(Finding(place=(key,), says=says))
            return None
    owners = data.get("owners")
    context = {
        "owners": tuple(owners) if isinstance(owners, dict) else (),
        "kinds": tuple(kinds),
        "project": path.parent,
        "allowed_roots": allowed_roots,
    }
    row = _valid(RegisterRow, data, (), context, findings)
    checked = [
        _checked(raw, kinds, context, findings) for raw in _mitigations(data) if len(findings) < ENOUGH
    ]
    findings.extend(_id_findings(data, document, kinds))
    if row is None or findings:
        return None
    known = _owners(row)
    risks = tuple(_risk(risk, known) for risk in row.risks)
    return Register(
        path=path,
        project=row.project,
        digest=digest,
        owners=known,
        service_owner=known[row.service.owner] if row.service else next(iter(known.values())),
        risks=risks,
        configured=tuple(_mitigation(found, kinds, risks) for found in checked if found),
    )


def _says_whole(data: Any) -> str:
    if data is None:
        return "the file is empty; 'riskloop init' writes a first register"
    return f"{shown(data)} stands here instead of a register; write 'project:', 'owners:' and 'risks:'"


def _valid(
    model: type[_Model],
    data: Mapping[str, Any],
    place: Place,
    context: Mapping[str, Any],
    findings: list[Finding],
    *,
    beside: Mapping[str, Any] | None = None,
) -> _Model | None:
    """Validate against a model, or note what is wrong; `beside` is the mapping the data is a part of."""
    try:
        return model.model_validate(data, context=dict(context))
    except ValidationError as error:
        whole = data if beside is None else beside
        also_known = () if beside is None else COMMON_KEYS
        findings.extend(explain(error, data=whole, model=model, place=place, also_known=also_known))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    place: Place
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    risk: int
    row: MitigationRow
    settings: Any


def _mitigations(data: Mapping[str, Any]) -> Iterator[_Raw]:
    """Find the mitigations even where the risk around them is wrong, so that all is said at once."""
    for number, risk in enumerate(_entries(data.get("risks"))):
        if isinstance(risk, dict):
            for position, mitigation in enumerate(_entries(risk.get("mitigations"))):
                if isinstance(mitigation, dict):
                    yield _Raw(place=("risks", number, "mitigations", position), data=mitigation)


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _checked(
    raw: _Raw,
    kinds: Mapping[str, Kind],
    context: Mapping[str, Any],
    findings: list[Finding],
) -> _Checked | None:
    named = raw.data.get("kind")
    kind = kinds.get(named) if isinstance(named, str) else None
    common = {key: value for key, value in raw.data.items() if key in COMMON_KEYS}
    if common.get("thresholds") is None:
        findings.append(Finding(place=(*raw.place, "thresholds"), says=_says_thresholds(kind)))
        common["thresholds"] = {}
    row = _valid(MitigationRow, common, raw.place, context, findings)
    if kind is None:
        findings.extend(_misspelt_keys(raw))
        return None
    findings.extend(_threshold_findings(raw, kind))
    rest = {key: value for key, value in raw.data.items() if key not in COMMON_KEYS}
    settings = _valid(kind.settings, rest, raw.place, context, findings, beside=raw.data)
    if row is None or settings is None:
        return None
    return _Checked(risk=int(raw.place[1]), row=row, settings=settings)


def _says_thresholds(kind: Kind | None) -> str:
    metric = kind.metrics[0] if kind and kind.metrics else None
    bounds = "{critical: 1}" if metric and metric.worse is Worse.LOWER else "{warning: 1, critical: 10}"
    example = f"{{{metric.name if metric else 'metric'}: {bounds}}}"
    return f"no thresholds are given; write for example thresholds: {example}, or {{}} to measure only"


def _misspelt_keys(raw: _Raw) -> Iterator[Finding]:
    """Without its kind a mitigation's settings are not known; its common keys still are."""
    for key in islice(raw.data, ENOUGH):
        meant = suggestion(key, [name for name in COMMON_KEYS if name not in raw.data])
        if key not in COMMON_KEYS and meant:
            says = f"no key {shown(key)} is known here; did you mean '{meant}'?"
            yield Finding(place=(*raw.place, key), says=says, explains=(*raw.place, meant))


def _threshold_findings(raw: _Raw, kind: Kind) -> Iterator[Finding]:
    thresholds = raw.data.get("thresholds")
    metrics = {metric.name: metric for metric in kind.metrics}
    for name, bounds in islice(thresholds.items(), ENOUGH) if isinstance(thresholds, dict) else ():
        place = (*raw.place, "thresholds", name)
        metric = metrics.get(name)
        if metric is None:
            says = f"{kind.name} has no metric {shown(name)}; {hint(name, metrics, otherwise='it has')}"
            yield Finding(place=place, says=says)
        elif isinstance(bounds, dict):
            yield from _bound_findings(metric, bounds, place)


def _bound_findings(metric: Metric, bounds: Mapping[str, Any], place: Place) -> Iterator[Finding]:
    numbers = {}
    for level in ("warning", "critical"):
        written = bounds.get(level)
        bound = read_bound(written)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            numbers[level] = bound
            if isinstance(written, str) and metric.unit != "bytes":
                says = f"{shown(written)} is a size, and {metric.name} counts {metric.unit}; write a number"
                yield Finding(place=(*place, level), says=says)
    for level, bound in numbers.items():
        if metric.worse is Worse.HIGHER and bound <= 0:
            says = f"{bound} is passed even at {bound} {metric.unit}; write the first value that is too many"
            yield Finding(place=(*place, level), says=says)
    warning, critical = numbers.get("warning"), numbers.get("critical")
    if warning is None or critical is None:
        return
    if metric.worse is Worse.HIGHER and warning > critical:
        says = f"higher is worse here, but warning ({warning}) is above critical ({critical}); exchange them"
        yield Finding(place=place, says=says)
    if metric.worse is Worse.LOWER and warning < critical:
        says = f"lower is worse here, but warning ({warning}) is below critical ({critical}); exchange them"
        yield Finding(place=place, says=says)


def _id_findings(data: Mapping[str, Any], document: Document, kinds: Mapping[str, Kind]) -> Iterator[Finding]:
    risks: dict[str, Place] = {}
    twice: set[int] = set()
    for number, risk in enumerate(_entries(data.get("risks"))):
        found = risk.get("id") if isinstance(risk, dict) else None
        place: Place = ("risks", number, "id")
        if isinstance(found, str) and risks.setdefault(found, place) != place:
            twice.add(number)
            line = document.line(risks[found])
            says = f"the id {shown(found)} is taken by the risk in line {line}; choose another"
            yield Finding(place=place, says=says)
    taken: dict[str, Place] = {}
    for raw in _mitigations(data):
        given = raw.data.get("id")
        place = (*raw.place, "id") if isinstance(given, str) else raw.place
        if isinstance(given, str) and (given in RESERVED_IDS or given in kinds):
            what = "the name of a kind" if given in kinds else "riskloop's own name for itself"
            yield Finding(place=place, says=f"the id {shown(given)} is {what}; choose another")
            continue
        found = given if isinstance(given, str) else _default_id(data, raw)
        if found is None or (given is None and raw.place[1] in twice):
            continue
        if taken.setdefault(found, place) != place:
            line = document.line(taken[found])
            says = (
                f"the id {shown(found)} is taken by the mitigation in line {line}; give this one its own id"
            )
            yield Finding(place=place, says=says)


def _default_id(data: Mapping[str, Any], raw: _Raw) -> str | None:
    risk, kind = data["risks"][raw.place[1]].get("id"), raw.data.get("kind")
    return f"{risk}.{kind}" if isinstance(risk, str) and isinstance(kind, str) else None


def _owners(row: RegisterRow) -> dict[str, Owner]:
    repository = row.github.repository if row.github else None
    workspace = row.slack.workspace if row.slack else ""
    default = SlackChannel(channel=row.slack.channel, workspace=workspace) if row.slack else None
    return {
        name: Owner(
            name=name,
            github=owner.github,
            slack=owner.slack,
            repository=owner.repository or repository,
            channel=SlackChannel(channel=owner.channel, workspace=owner.workspace or workspace)
            if owner.channel
            else default,
        )
        for name, owner in row.owners.items()
    }


def _risk(row: RiskRow, owners: Mapping[str, Owner]) -> Risk:
    return Risk(
        id=row.id,
        title=row.title,
        category=row.category,
        likelihood=row.likelihood,
        impact=row.impact,
        owners=tuple(owners[name] for name in row.owner),
        status=row.status,
        contingency=row.contingency,
        runbook=row.runbook,
        sprint=row.sprint,
        deferrable=row.deferrable,
        review=row.review,
    )


def _mitigation(found: _Checked, kinds: Mapping[str, Kind], risks: tuple[Risk, ...]) -> Mitigation:
    row, risk = found.row, risks[found.risk]
    return Mitigation(
        id=row.id or f"{risk.id}.{row.kind}",
        kind=kinds[row.kind],
        risk=risk,
        settings=found.settings,
        thresholds={
            name: Threshold(warning=bounds.warning, critical=bounds.critical)
            for name, bounds in row.thresholds.items()
        },
        after=row.after,
        resolve_after=row.resolve_after,
        fail_run=Verdict(row.fail_run) if row.fail_run else None,
        enabled=row.enabled,
    )
