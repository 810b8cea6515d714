"""What is vendored is found in the project's last commit and on disk, and what is amiss is said in words."""

from pathlib import Path

import pytest

from riskloop.errors import Unmeasurable
from riskloop.mitigations.upstream_drift.project.vendored import Vendored, read_vendored
from tests.mitigations.vendoring import FOLDER, PATCHES, PIN_FILE, Vendoring


@pytest.fixture
def vendoring(tmp_path: Path) -> Vendoring:
    return Vendoring(tmp_path)


def read(vendoring: Vendoring) -> Vendored:
    return read_vendored(vendoring.read_settings(), vendoring.site)


def refusal(vendoring: Vendoring) -> str:
    with pytest.raises(Unmeasurable) as caught:
        read(vendoring)
    return str(caught.value)


def modules(vendoring: Vendoring, address: str) -> None:
    """Let `.gitmodules` name this address, and the register none."""
    del vendoring.settings["upstream"]
    said = f'[submodule "lib"]\n\tpath = {FOLDER}\n\turl = {address}\n'
    vendoring.project.commit({".gitmodules": said})


def test_a_folder_has_its_pin_from_the_file_the_register_names(vendoring: Vendoring) -> None:
    commit = vendoring.vendor()
    vendoring.patch("one.patch", {"src/a.txt": "changed\n"})
    found = read(vendoring)
    assert (found.path, found.pin, found.pin_file) == (FOLDER, vendoring.pin, PIN_FILE)
    assert (found.submodule, found.git_dir, found.commit, found.notes) == (False, None, commit, ())
    assert found.address == str(vendoring.upstream.path)
    assert found.own == (PATCHES, PIN_FILE)


def test_a_submodule_has_its_pin_from_the_last_commit(vendoring: Vendoring) -> None:
    vendoring.submodule()
    found = read(vendoring)
    assert (found.submodule, found.pin, found.pin_file, found.notes) == (True, vendoring.pin, "", ())
    assert found.git_dir == vendoring.project.path / ".git/modules/lib"


def test_a_project_below_the_top_of_its_repository_is_found_there(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.project.git("init", "--quiet", str(vendoring.room))
    (vendoring.room / "project/.git").rename(vendoring.room / "aside")
    found = read(vendoring)
    assert (found.top, found.below, found.path) == (vendoring.room, "project", f"project/{FOLDER}")
    assert (found.pin_file, found.commit) == (f"project/{PIN_FILE}", "")


def test_a_project_without_a_repository_can_be_looked_at(vendoring: Vendoring) -> None:
    vendoring.vendor()
    (vendoring.project.path / ".git").rename(vendoring.room / "aside")
    found = read(vendoring)
    assert (found.project, found.commit, found.pin) == (None, "", vendoring.pin)


def test_an_upstream_inside_the_project_is_given_as_an_absolute_path(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.settings["upstream"] = "third_party/lib"
    assert read(vendoring).address == str(vendoring.project.path / "third_party/lib")


def test_a_submodule_that_is_not_checked_out_is_read_with_a_note(vendoring: Vendoring) -> None:
    vendoring.submodule()
    vendoring.project.git("submodule", "--quiet", "deinit", "--force", FOLDER)
    found = read(vendoring)
    assert "not checked out" in found.notes[0]
    assert found.git_dir == vendoring.project.path / ".git/modules/lib"


@pytest.mark.parametrize(
    ("address", "given"),
    [
        ("https://example.com/acme/lib", "https://example.com/acme/lib"),
        ("git@example.com:acme/lib.git", "ssh://git@example.com/acme/lib.git"),
    ],
)
def test_the_address_of_a_submodule_is_read_from_the_last_commit(
    vendoring: Vendoring, address: str, given: str
) -> None:
    vendoring.submodule()
    modules(vendoring, address)
    assert read(vendoring).address == given


def test_credentials_in_the_address_are_left_out_and_a_note_says_so(vendoring: Vendoring) -> None:
    vendoring.submodule()
    modules(vendoring, "https://ann:hunter2@example.com/acme/lib")
    found = read(vendoring)
    assert found.address == "https://example.com/acme/lib"
    assert "credentials" in found.notes[0]
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    "address",
    [
        "ext::touch /tmp/canary",
        "--upload-pack=touch",
        "https://example.com/lib?token=hunter2",
        "https://ann:hun/ter2@example.com/lib",
        "git://example.com/lib",
        "/srv/lib",
        "https://[::1/lib",
    ],
)
def test_an_address_we_do_not_fetch_from_is_refused_and_not_repeated(
    vendoring: Vendoring, address: str
) -> None:
    vendoring.submodule()
    modules(vendoring, address)
    said = refusal(vendoring)
    assert "not one of https or ssh" in said
    assert address not in said
    assert "`upstream`" in said


def test_a_relative_address_has_to_be_named_in_the_register(vendoring: Vendoring) -> None:
    vendoring.submodule()
    modules(vendoring, "../lib.git")
    assert "relative" in refusal(vendoring)


def test_nothing_is_included_into_the_modules_file(vendoring: Vendoring) -> None:
    vendoring.submodule()
    modules(vendoring, "../lib.git")
    aside = vendoring.room / "included"
    aside.write_text('[submodule "lib"]\n\turl = https://example.com/included\n')
    said = (vendoring.project.path / ".gitmodules").read_text()
    vendoring.project.commit({".gitmodules": f"{said}[include]\n\tpath = {aside}\n"})
    assert "relative" in refusal(vendoring)


def test_a_modules_file_that_is_none_is_named(vendoring: Vendoring) -> None:
    vendoring.submodule()
    vendoring.project.commit({".gitmodules": "[submodule\n"})
    assert ".gitmodules" in refusal(vendoring)


@pytest.mark.parametrize("place", ["outside", "modules/../../outside"])
def test_a_git_directory_outside_the_repository_is_not_used(vendoring: Vendoring, place: str) -> None:
    vendoring.submodule()
    vendoring.upstream.git("clone", "--quiet", "--bare", ".", str(vendoring.room / "outside"))
    (vendoring.folder / ".git").write_text(f"gitdir: {vendoring.project.path / '.git' / place}\n")
    assert read(vendoring).git_dir is None


def test_a_git_directory_in_the_folder_itself_is_used(vendoring: Vendoring) -> None:
    vendoring.submodule()
    (vendoring.folder / ".git").unlink()
    (vendoring.project.path / ".git/modules/lib").rename(vendoring.folder / ".git")
    assert read(vendoring).git_dir == vendoring.folder / ".git"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("nothing here\n", "no commit"),
        (f"{'a' * 40}\n{'b' * 40}\n", "2 different commits"),
        (f"sha256:{'a' * 64}\n", "no commit"),
        ("abc1234\n", "no commit"),
    ],
)
def test_a_pin_file_without_exactly_one_commit_is_refused(
    vendoring: Vendoring, content: str, says: str
) -> None:
    vendoring.vendor()
    vendoring.project.write({PIN_FILE: content})
    assert says in refusal(vendoring)


def test_a_pin_file_may_hold_other_words_and_the_same_commit_twice(vendoring: Vendoring) -> None:
    vendoring.vendor()
    pin = "ABCDEF" + "0" * 34
    vendoring.project.write({PIN_FILE: f"commit: {pin}\ncommit-url: https://example.com/{pin.lower()}\n"})
    assert read(vendoring).pin == pin.lower()


def test_a_missing_or_linked_pin_file_is_refused(vendoring: Vendoring) -> None:
    vendoring.vendor()
    path = vendoring.project.path / PIN_FILE
    path.rename(vendoring.project.path / "pin")
    assert refusal(vendoring).startswith(f"there is no file {PIN_FILE}, which `pin` names; name the file")
    path.symlink_to(vendoring.project.path / "pin")
    assert "cannot be read" in refusal(vendoring)


def test_a_pin_in_the_register_is_taken_as_it_is(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.settings["pin"] = vendoring.pin
    found = read(vendoring)
    assert (found.pin, found.pin_file) == (vendoring.pin, "")


def test_settings_that_cannot_be_of_a_submodule_are_refused(vendoring: Vendoring) -> None:
    vendoring.submodule()
    vendoring.settings["strip"] = "src"
    assert "leave `strip` out" in refusal(vendoring)
    vendoring.settings["pin"] = vendoring.pin
    assert "leave `pin` out" in refusal(vendoring)


def test_a_folder_without_a_pin_or_an_upstream_is_refused(vendoring: Vendoring) -> None:
    vendoring.vendor()
    del vendoring.settings["pin"]
    assert "write the commit into `pin`" in refusal(vendoring)
    vendoring.settings["pin"] = vendoring.pin
    del vendoring.settings["upstream"]
    assert "name it in `upstream`" in refusal(vendoring)


def test_a_folder_that_is_missing_empty_or_a_link_is_refused(vendoring: Vendoring) -> None:
    vendoring.settings["pin"] = vendoring.pin
    assert "no folder" in refusal(vendoring)
    vendoring.folder.mkdir(parents=True)
    assert "no folder" in refusal(vendoring)
    settings = vendoring.read_settings()
    vendoring.folder.rmdir()
    vendoring.folder.symlink_to(vendoring.upstream.path)
    with pytest.raises(Unmeasurable, match="a link is not followed"):
        read_vendored(settings, vendoring.site)
    vendoring.settings["path"] = "."
    assert "whole project" in refusal(vendoring)


def test_what_belongs_to_the_project_inside_the_folder_is_known(vendoring: Vendoring) -> None:
    vendoring.vendor()
    vendoring.settings |= {"patches": f"{FOLDER}/patches", "changelog": f"{FOLDER}/CHANGES"}
    found = read(vendoring)
    assert found.is_own("patches/one.patch")
    assert found.is_own("CHANGES")
    assert not found.is_own("patches.txt")
