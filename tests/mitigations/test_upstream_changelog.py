"""A bump's entry stands where the changes of the next release do, once, in the changelog's own manner."""

import pytest

from riskloop.mitigations.upstream_drift.bump.changelog import add_entry

OLD, NEW, NEXT = "a" * 40, "b" * 40, "c" * 40
ENTRY = f"- Bump vendor/lib from {'a' * 12} to {'b' * 12} (3 upstream commits)."


def add(text: str, *, name: str = "CHANGELOG.md", old: str = OLD, new: str = NEW, commits: int = 3) -> str:
    given = text.encode()
    return add_entry(given, name=name, path="vendor/lib", old=old, new=new, commits=commits).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("# Changes\n\n## Unreleased\n", "# Changes\n\n## Unreleased\n\n{}\n", id="empty"),
        pytest.param(
            "# Changes\n\n## [Unreleased]\n\n- One.\n- Two.\n\n## 1.0\n\n- Old.\n",
            "# Changes\n\n## [Unreleased]\n\n- One.\n- Two.\n{}\n\n## 1.0\n\n- Old.\n",
            id="behind the items",
        ),
        pytest.param(
            "## Unreleased\n### Added\n- One.\n### Changed\n- Two.\n### Fixed\n- Three.\n",
            "## Unreleased\n### Added\n- One.\n### Changed\n- Two.\n{}\n\n### Fixed\n- Three.\n",
            id="under changed",
        ),
        pytest.param(
            "## 2.0 (unreleased)\n\n### Added\n\n- One.\n",
            "## 2.0 (unreleased)\n\n{}\n\n### Added\n\n- One.\n",
            id="above other parts",
        ),
        pytest.param(
            "# Unreleased\n\nNothing yet.\n\n# 1.0\n\n## Changed\n",
            "# Unreleased\n\nNothing yet.\n\n{}\n\n# 1.0\n\n## Changed\n",
            id="behind prose, not under changed of a release",
        ),
        pytest.param(
            "# Changes\n\nAll of them.\n\n## [1.0.0] - 2026-01-02\n\n- Old.\n",
            "# Changes\n\nAll of them.\n\n## Unreleased\n\n{}\n\n## [1.0.0] - 2026-01-02\n\n- Old.\n",
            id="above the first release",
        ),
        pytest.param(
            "# Changes\n\nNone yet.\n",
            "# Changes\n\n## Unreleased\n\n{}\n\nNone yet.\n",
            id="after the title",
        ),
        pytest.param("Some words.\n", "## Unreleased\n\n{}\n\nSome words.\n", id="no heading at all"),
        pytest.param(
            "```\n## Unreleased\n```\n\n## v1\n",
            "```\n## Unreleased\n```\n\n## Unreleased\n\n{}\n\n## v1\n",
            id="code",
        ),
        pytest.param("## Unreleased\n\n- One.", "## Unreleased\n\n- One.\n{}", id="no last line end"),
        pytest.param(
            "Changes\n=======\n\n1.0\n---\n\n- Old.\n",
            "Changes\n=======\n\nUnreleased\n----------\n\n{}\n\n1.0\n---\n\n- Old.\n",
            id="underlined",
        ),
        pytest.param(
            "=======\nChanges\n=======\n\nUnreleased\n~~~~~~~~~~\n\n- One.\n\n1.0\n~~~\n",
            "=======\nChanges\n=======\n\nUnreleased\n~~~~~~~~~~\n\n- One.\n{}\n\n1.0\n~~~\n",
            id="overlined",
        ),
        pytest.param("- One.\n---\n\n# 1.0\n", "- One.\n---\n\n# Unreleased\n\n{}\n\n# 1.0\n", id="a rule"),
    ],
)
def test_the_entry_stands_where_the_next_release_is_written(before: str, after: str) -> None:
    assert add(before) == after.format(ENTRY)
    assert add(before.replace("\n", "\r\n")) == after.format(ENTRY).replace("\n", "\r\n")
    assert add(after.format(ENTRY)) == after.format(ENTRY)


def test_a_changelog_without_headings_gets_one_of_its_own_language() -> None:
    assert add("") == f"## Unreleased\n\n{ENTRY}\n"
    assert add("", name="CHANGES.rst") == f"Unreleased\n----------\n\n{ENTRY}\n"


def test_the_items_of_the_list_are_marked_alike() -> None:
    assert add("## Unreleased\n\n* One.\n") == f"## Unreleased\n\n* One.\n*{ENTRY[1:]}\n"


def test_an_unreleased_bump_is_continued_by_the_next() -> None:
    both = add(f"## Unreleased\n\n{ENTRY}\n- Two.\n", old=NEW, new=NEXT, commits=4)
    assert both == (
        f"## Unreleased\n\n- Bump vendor/lib from {'a' * 12} to {'c' * 12} (7 upstream commits).\n- Two.\n"
    )


def test_an_unreleased_bump_from_elsewhere_is_replaced() -> None:
    again = add(f"## Unreleased\n\n{ENTRY}\n", new=NEXT, commits=1)
    assert again == f"## Unreleased\n\n- Bump vendor/lib from {'a' * 12} to {'c' * 12} (1 upstream commit).\n"


def test_entries_of_releases_and_of_other_code_stay() -> None:
    other = ENTRY.replace("vendor/lib", "vendor/other")
    text = f"## Unreleased\n\n{other}\n\n## 1.0\n\n{ENTRY}\n"
    assert add(text) == f"## Unreleased\n\n{other}\n{ENTRY}\n\n## 1.0\n\n{ENTRY}\n"


def test_a_byte_order_mark_stays_in_front() -> None:
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}"
    assert add(f"{mark}## Unreleased\n") == f"{mark}## Unreleased\n\n{ENTRY}\n"


def test_a_changelog_that_is_no_text_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        add_entry(b"\xff\xfe", name="CHANGES", path="vendor/lib", old=OLD, new=NEW, commits=1)
