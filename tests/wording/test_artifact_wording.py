"""A mitigation's page in the Prefect UI says how it stands, and lets nothing it quotes act."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from riskloop.measurements import Evidence, Look, Measurement, Observation
from riskloop.proposals import Proposal
from riskloop.receipts import Receipt
from riskloop.thresholds import assess_look
from riskloop.wording.artifact import page, undelivered
from tests.toys import MITIGATION

LOOK = Look(
    mitigation=MITIGATION.id,
    at=datetime(2026, 3, 1, 2, 20, tzinfo=UTC),
    observation=Observation(
        measurements=(Measurement("leaks", 2.0),), evidence=Evidence(summary="Two things got out.")
    ),
)
BREACHED = assess_look(LOOK, MITIGATION.kind.metrics, MITIGATION.thresholds)


def test_a_page_says_the_verdict_the_numbers_what_changed_and_where_it_is_told() -> None:
    written = page(
        MITIGATION,
        LOOK,
        BREACHED,
        changes=("breach opened: leaks passed the threshold",),
        told=("https://github.com/acme/sdk/issues/7", "slack/C0123456789/toys.toy.json"),
        run_url="http://127.0.0.1:4200/runs/flow-run/1",
    )
    assert written.startswith("# Toys break: warning\n")
    assert (
        "Looked at on 1 March 2026, 02:20 UTC in [this run](<http://127.0.0.1:4200/runs/flow-run/1>)."
        in written
    )
    assert "- breach opened: leaks passed the threshold\n" in written
    assert "- told in <https://github.com/acme/sdk/issues/7>\n" in written
    assert "- told in `slack/C0123456789/toys.toy.json`\n" in written
    assert "| leaks | 2 leaks |" in written
    assert "Two things got out." in written


def test_a_page_of_a_look_that_failed_says_the_reason_and_links_nowhere_without_an_address() -> None:
    blind = replace(LOOK, observation=None, reason="the toy is broken; mend it")
    written = page(MITIGATION, blind, assess_look(blind, MITIGATION.kind.metrics, MITIGATION.thresholds))
    assert written.startswith("# Toys break: unknown\n")
    assert "Looked at on 1 March 2026, 02:20 UTC.\n" in written
    assert "the toy is broken; mend it" in written
    assert "told in" not in written


def test_what_could_not_be_delivered_says_what_where_and_why_and_what_to_do() -> None:
    letter = {
        "id": "ab12",
        "subject": "toys.toy",
        "change": "opened",
        "where": "github acme/sdk",
        "why": "it is archived | <b>@octo-lead</b>\nname another",
    }
    written = undelivered([letter], dead=9, circuits=[("slack:acme", "nothing is sent: no such token")])
    assert "**slack:acme**: nothing is sent: no such token.\n" in written
    assert "Dead letters, which nothing sends again by itself: 9, the newest 1 of them here.\n" in written
    (row,) = [line for line in written.splitlines() if line.startswith("| `ab12`")]
    assert row.replace("\\|", "").count("|") == 6
    assert "<b>" not in written
    assert "@octo-lead" not in written
    assert "riskloop deliveries retry --all" in written
    assert "Dead letters" not in undelivered([], dead=0, circuits=[("github", "nothing is sent")])


def test_what_a_page_quotes_can_neither_link_nor_break_out() -> None:
    written = page(
        MITIGATION,
        LOOK,
        BREACHED,
        changes=("<script>alert(1)</script> @octo-lead",),
        told=("javascript:alert(1)", "`evil`"),
        run_url="javascript:alert(1)",
    )
    assert "<script" not in written
    assert "@octo-lead" not in written
    assert "[this run]" not in written
    assert "- told in `javascript:alert(1)`\n" in written
    assert "- told in `` `evil` ``\n" in written


def test_a_page_says_what_was_proposed_what_would_be_and_what_could_not_be() -> None:
    assert LOOK.observation is not None
    proposal = Proposal(
        branch="riskloop/toys.toy",
        repository=Path("mirror"),
        commit="c",
        title="Bump the toy",
        reason="two patches conflict",
    )

    def written(receipt: Receipt | None, proposal: Proposal | None = proposal) -> str:
        observation = replace(LOOK.observation, proposal=proposal) if LOOK.observation else None
        look = replace(LOOK, observation=observation, receipt=receipt)
        return page(MITIGATION, look, BREACHED)

    assert "- 'Bump the toy' would be proposed, as a draft: two patches conflict\n" in written(None)
    assert "- 'Bump the toy' would be proposed\n" in written(None, replace(proposal, ready=True))
    assert "- nothing would be proposed: it is new\n" in written(
        None, replace(proposal, commit="", reason="it is new")
    )
    url = "https://github.com/acme/sdk/pull/12"
    assert f"- opened: <{url}>\n" in written(Receipt(says="opened", url=url))
    assert "- it could not be proposed: no\n" in written(Receipt(says="no", failed=True))
    assert "proposed" not in written(None, None)
