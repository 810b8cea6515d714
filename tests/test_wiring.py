"""Every kind has its flow, deployment, tests and page; every flow and deployment belongs to one."""

import ast
import re
from pathlib import Path

import pytest

from deployments.offers import read_offers
from riskloop.mitigations import kinds

TOP = Path(__file__).parents[1]
FLOWS = {path.stem: path for path in (TOP / "flows").glob("*.py") if path.stem != "__init__"}
OFFERS = read_offers(TOP / "prefect.yaml")
KINDS = sorted(kinds())
OTHERS = {
    *("accept_incident", "acknowledge_upstream", "adopt_fixtures", "decide_approval", "follow_up"),
    "silence_mitigation",
}
"""The flows that are no kind's."""


def the_flow(name: str) -> ast.FunctionDef:
    """Find the one flow of a module: the function named as the module is."""
    tree = ast.parse(FLOWS[name].read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return found


def keyword(function: ast.FunctionDef, name: str) -> object:
    """Read a keyword of the decorator `@flow(…)`; None if it is not written, or is no constant."""
    (decorator,) = function.decorator_list
    assert isinstance(decorator, ast.Call)
    values = [given.value for given in decorator.keywords if given.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def named(flow: str) -> str:
    return flow.replace("_", "-")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_flow_a_deployment_tests_and_a_page(kind: str) -> None:
    assert kind in FLOWS
    assert named(kind) in {offer.name for offer in OFFERS}
    short = kind.partition("_")[0]
    tests = [path.name for path in (TOP / "tests" / "mitigations").glob("test_*.py")]
    assert [name for name in tests if name.startswith((f"test_{kind}", f"test_{short}_"))], kind
    assert (TOP / "docs" / "kinds" / f"{kind}.md").is_file()


def test_every_flow_is_a_kinds_or_one_of_the_named_others() -> None:
    assert set(FLOWS) == {*KINDS, *OTHERS}


def test_every_deployment_has_a_flow_and_every_flow_a_deployment() -> None:
    assert {offer.name: offer.entrypoint for offer in OFFERS} == {
        named(flow): f"flows.{flow}.{flow}" for flow in FLOWS
    }
    assert len(OFFERS) == len(FLOWS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_deployment_has_a_schedule_its_name_as_a_tag_and_waits_for_its_turn(kind: str) -> None:
    (offer,) = [offer for offer in OFFERS if offer.name == named(kind)]
    assert offer.schedules
    assert {"riskloop", kind} <= set(offer.tags)
    assert (offer.limit, offer.collision) == (1, "ENQUEUE")
    assert offer.description.endswith(".")


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_named_as_its_module_and_has_an_end(name: str) -> None:
    function = the_flow(name)
    assert function.name == name
    assert keyword(function, "name") == named(name)
    (decorator,) = function.decorator_list
    assert isinstance(decorator, ast.Call)
    assert "timeout_seconds" in {given.arg for given in decorator.keywords}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_a_sentence(name: str) -> None:
    function = the_flow(name)
    assert function.end_lineno is not None
    assert function.end_lineno - function.lineno < 25
    assert not [node for node in ast.walk(function) if isinstance(node, ast.Try | ast.TryStar | ast.With)]
    text = ast.unparse(function)
    assert "if kind" not in text
    assert not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE)\b|https?:", text)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_imports_verbs_and_prefect_and_nothing_else(name: str) -> None:
    tree = ast.parse(FLOWS[name].read_text(encoding="utf-8"))
    imported = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    # A day is a field of a form, and so is one of several words.
    assert {module.partition(".")[0] for module in imported} <= {"datetime", "prefect", "tasks", "typing"}


@pytest.mark.parametrize("name", FLOWS)
def test_every_parameter_of_a_flow_is_explained_for_its_form(name: str) -> None:
    function = the_flow(name)
    explained = ast.get_docstring(function) or ""
    for parameter in [*function.args.args, *function.args.kwonlyargs]:
        assert re.search(rf"^    {parameter.arg}: \S", explained, re.MULTILINE), parameter.arg
