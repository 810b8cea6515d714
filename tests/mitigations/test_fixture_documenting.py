"""An adopted difference is documented on the project's own form, and hostile text stays text."""

import re

import pytest

from riskloop.mitigations.fixture_drift import document
from tests.mitigations.projects import Project

FORM = """\
name: Golden fixture update
body:
  - type: markdown
    attributes: {value: Thank you}
  - type: input
    id: who
    attributes: {label: Who approved this?}
  - type: textarea
    attributes: {label: "Why did it change?"}
  - type: textarea
    attributes: {label: Affected files}
  - type: input
    attributes: {label: Colour}
  - type: checkboxes
    attributes:
      label: Checks
      options: [{label: I looked at every record}]
"""


def written(project: Project, *, who: str = "QA", reason: str = "new API") -> str:
    project.generate("put('a.txt', '```\\n@everyone <!-- x -->\\n')")
    project.golden({"a.txt": "old\n"})
    adoption = project.adopt()
    return document(project.read_settings(), project.site, adoption, who=who, reason=reason)


def test_our_own_form_says_who_why_what_and_the_hashes(project: Project) -> None:
    text = written(project)
    assert re.findall(r"^### (.*)$", text, flags=re.MULTILINE) == [
        "What was found",
        "Why",
        "Decided by",
        "When",
        "Files",
        "Hashes before and after (SHA-256)",
        "How to make them again",
        "Difference",
    ]
    assert "- `a.txt` (changed)" in text
    assert "````diff\n@@" in text
    assert "| `fixtures/MANIFEST.sha256` |" in text


@pytest.mark.parametrize("name", ["golden.yml", "fixtures.yaml"])
def test_the_projects_form_is_answered_by_the_words_of_its_questions(project: Project, name: str) -> None:
    project.write({f".github/ISSUE_TEMPLATE/{name}": FORM, ".github/ISSUE_TEMPLATE/bug.yml": "name: Bug\n"})
    assert written(project).split("\n\n### ") == [
        "### Who approved this?\n\nQA",
        "Why did it change?\n\n```\nnew API\n```",
        "Affected files\n\n- `a.txt` (changed)",
        "Colour\n\n_left open: riskloop cannot tell_",
        "Checks\n\n- [ ] I looked at every record\n",
    ]


def test_a_form_in_markdown_keeps_its_headings(project: Project) -> None:
    form = "---\nname: fixtures\n---\n## Reason\nsay why\n\n## Manifest hashes\n"
    project.write({".github/ISSUE_TEMPLATE/golden_fixtures.md": form})
    text = written(project)
    assert text.startswith("## Reason\n\n```\nnew API\n```\n\n## Manifest hashes\n\n| file |")


@pytest.mark.parametrize("form", ["body: [1, {type: input}]", "body: [", "&a [*a]", ""])
def test_a_form_that_cannot_be_used_gives_way_to_ours(project: Project, form: str) -> None:
    project.write({".github/ISSUE_TEMPLATE/fixture.yml": form})
    assert written(project).startswith("### What was found")


def test_words_people_typed_mention_nobody_and_open_nothing(project: Project) -> None:
    text = written(project, who="@acme/all <script>", reason="```\n@everyone\n/close")
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "@everyone" not in outside
    assert "@acme" not in outside
    assert "<script" not in outside
    assert "/close" not in outside
