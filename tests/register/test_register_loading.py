"""What a register means, and what stays in force when somebody breaks it."""

import hashlib
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from riskloop.errors import RegisterError, RiskloopError
from riskloop.register import Register, check_report, last_good, load, show
from riskloop.risks import Kind, SlackChannel
from riskloop.thresholds import Threshold, Verdict


@pytest.fixture
def register(register_file: Path, toys: Mapping[str, Kind]) -> Register:
    return load(register_file, toys)


def test_it_knows_its_place_and_its_bytes(register: Register, register_file: Path) -> None:
    assert register.path == register_file
    assert register.project_directory == register_file.parent
    assert register.project == "Toy shop"
    assert register.digest == hashlib.sha256(register_file.read_bytes()).hexdigest()


def test_owners_hear_where_the_register_says_unless_they_say_otherwise(
    register_file: Path, good: str, toys: Mapping[str, Kind]
) -> None:
    register_file.write_text(
        good.replace("{channel: C0123456789}", "{channel: C0123456789, workspace: acme}").replace(
            "QA: {github: acme/qa}", "QA: {github: acme/qa, repository: acme/qa-board, channel: C999}"
        )
    )
    owners = load(register_file, toys).owners
    assert owners["Keeper"].repository == "acme/toys"
    assert owners["Keeper"].channel == SlackChannel(channel="C0123456789", workspace="acme")
    assert owners["QA"].repository == "acme/qa-board"
    assert owners["QA"].channel == SlackChannel(channel="C999", workspace="acme")


def test_without_places_to_write_to_owners_hear_nowhere(
    register_file: Path, good: str, toys: Mapping[str, Kind]
) -> None:
    register_file.write_text("".join(good.partition("owners:")[1:]).join(("project: Toys\n", "")))
    owner = load(register_file, toys).owners["Keeper"]
    assert (owner.repository, owner.channel) == (None, None)


def test_the_first_owner_is_accountable_and_short_remarks_may_be_numbers_or_booleans(
    register: Register,
) -> None:
    risk = register.risks[0]
    assert [owner.name for owner in risk.owners] == ["QA", "Keeper"]
    assert (risk.sprint, risk.deferrable, risk.review) == ("14", "yes", date(2026, 3, 31))
    assert risk.score == 6


def test_a_mitigation_has_its_settings_thresholds_and_an_id_of_risk_and_kind(register: Register) -> None:
    mitigation = register.configured[0]
    assert mitigation.id == "broken-toys.toy_drift"
    assert mitigation.risk is register.risks[0]
    assert mitigation.settings.directory == Path("toys")
    assert mitigation.settings.ttl == timedelta(hours=12)
    assert mitigation.settings.budget == 64 * 1024**2
    assert mitigation.thresholds["toys_left"] == Threshold(warning=5, critical=1)
    assert (mitigation.after, mitigation.resolve_after, mitigation.fail_run) == (2, 1, Verdict.CRITICAL)


def test_the_service_belongs_to_the_first_owner_unless_it_says_otherwise(
    register_file: Path, good: str, toys: Mapping[str, Kind]
) -> None:
    register_file.write_text(good.replace("service: {owner: Keeper}", "service: {owner: QA}"))
    assert load(register_file, toys).service_owner.name == "QA"
    register_file.write_text(good.replace("service: {owner: Keeper}\n", ""))
    assert load(register_file, toys).service_owner.name == "Keeper"


def test_mitigations_are_chosen_by_kind_and_id_and_only_when_enabled(register: Register) -> None:
    assert [m.id for m in register.mitigations()] == ["broken-toys.toy_drift", "full-cellar.toy_cleanup"]
    assert [m.id for m in register.mitigations("toy_drift")] == ["broken-toys.toy_drift"]
    assert [m.id for m in register.mitigations(only=["full-cellar.toy_cleanup"])] == [
        "full-cellar.toy_cleanup"
    ]
    assert register.mitigations("toy_drift", only=[]) == register.mitigations("toy_drift")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            "full-cellar.toy_clean",
            "the register has no mitigation 'full-cellar.toy_clean'; did you mean 'full-cellar.toy_cleanup'?",
        ),
        ("attic", "the mitigation 'attic' is not enabled; remove its 'enabled: false' in riskloop.yaml"),
    ],
)
def test_a_mitigation_that_cannot_be_chosen_is_an_error_that_helps(
    register: Register, wanted: str, says: str
) -> None:
    with pytest.raises(RiskloopError) as raised:
        register.mitigations(only=[wanted])
    assert str(raised.value) == says


def test_a_mitigation_of_another_kind_cannot_be_chosen(register: Register) -> None:
    with pytest.raises(RiskloopError, match="is of the kind toy_cleanup, not toy_drift"):
        register.mitigations("toy_drift", only=["full-cellar.toy_cleanup"])


def test_the_report_says_what_was_found(register: Register) -> None:
    assert check_report(register) == (
        """\
riskloop.yaml has no mistakes.
  project      Toy shop
  risks        2
  mitigations  2 (1 toy_cleanup, 1 toy_drift), and 1 not enabled
  owners       Keeper (@octo-lead, U024BE7LH): issues in acme/toys, messages in C0123456789
               QA (@acme/qa): issues in acme/toys, messages in C0123456789
  service      Keeper"""
    )


def test_the_report_notes_owners_nobody_can_reach(register_file: Path, toys: Mapping[str, Kind]) -> None:
    register_file.write_text(
        "project: Toys\nowners: {QA: {}, Idle: {github: idle}}\nrisks:\n"
        "  - {id: a, title: A, likelihood: low, impact: low, owner: QA}\n"
    )
    noted = [line for line in check_report(load(register_file, toys)).splitlines() if "note" in line]
    assert [line.partition(":")[0].strip() for line in noted] == [
        "note         QA is heard nowhere",
        "note         QA cannot be mentioned",
        "note         Idle owns no risk",
    ]


def test_risks_are_shown_with_the_highest_score_first(register: Register) -> None:
    rows = show(register)
    assert [(row.score, row.id, row.mitigations) for row in rows] == [
        (12, "full-cellar", ("full-cellar.toy_cleanup",)),
        (6, "broken-toys", ("broken-toys.toy_drift", "attic")),
    ]


class TestTheLastGoodRegister:
    @pytest.fixture
    def keep(self, tmp_path: Path) -> Path:
        return tmp_path / "state" / "register.yaml"

    def test_a_good_register_is_kept(self, register_file: Path, toys: Mapping[str, Kind], keep: Path) -> None:
        register, error = last_good(register_file, toys, keep=keep)
        assert error is None
        assert register.project == "Toy shop"
        assert keep.read_bytes() == register_file.read_bytes()
        assert list(keep.parent.iterdir()) == [keep]

    def test_a_broken_edit_keeps_the_last_good_one_as_if_it_stood_there(
        self, register_file: Path, toys: Mapping[str, Kind], keep: Path
    ) -> None:
        good, _ = last_good(register_file, toys, keep=keep)
        register_file.write_text("project: [")
        register, error = last_good(register_file, toys, keep=keep)
        assert register == good
        assert register.project_directory == register_file.parent
        assert error is not None
        assert error.file == str(register_file)

    def test_a_register_that_is_gone_keeps_the_last_good_one(
        self, register_file: Path, toys: Mapping[str, Kind], keep: Path
    ) -> None:
        last_good(register_file, toys, keep=keep)
        register_file.unlink()
        register, error = last_good(register_file, toys, keep=keep)
        assert register.project == "Toy shop"
        assert "no such file" in str(error)

    def test_without_a_kept_one_the_error_is_raised(
        self, register_file: Path, toys: Mapping[str, Kind], keep: Path
    ) -> None:
        register_file.write_text("project: [")
        with pytest.raises(RegisterError) as raised:
            last_good(register_file, toys, keep=keep)
        assert raised.value.file == str(register_file)

    def test_a_kept_one_that_no_longer_fits_the_kinds_does_not_hide_the_error(
        self, register_file: Path, toys: Mapping[str, Kind], keep: Path
    ) -> None:
        last_good(register_file, toys, keep=keep)
        register_file.write_text("project: [")
        with pytest.raises(RegisterError) as raised:
            last_good(register_file, {}, keep=keep)
        assert raised.value.file == str(register_file)

    def test_a_mended_register_replaces_the_kept_one(
        self, register_file: Path, good: str, toys: Mapping[str, Kind], keep: Path
    ) -> None:
        last_good(register_file, toys, keep=keep)
        register_file.write_text(good.replace("Toy shop", "Toy museum"))
        register, error = last_good(register_file, toys, keep=keep)
        assert (register.project, error) == ("Toy museum", None)
        assert "Toy museum" in keep.read_text()

    def test_a_copy_that_cannot_be_kept_is_said(
        self, register_file: Path, toys: Mapping[str, Kind], tmp_path: Path
    ) -> None:
        (tmp_path / "state").write_text("in the way")
        with pytest.raises(RiskloopError, match="no copy of the register can be kept"):
            last_good(register_file, toys, keep=tmp_path / "state" / "register.yaml")
