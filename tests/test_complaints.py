"""What git says when it cannot read a repository is told in words a person can act on."""

import pytest

from riskloop.commands import Ended, Finished
from riskloop.git.complaints import complaint, is_missing, is_shallow

SOURCE = "https://git.example/acme/lib"
RIGHTS = "\nPlease make sure you have the correct access rights\nand the repository exists.\n"
UNREAD = f"fatal: Could not read from remote repository.\n{RIGHTS}"


def said(words: str, *, ended: Ended = Ended.ITSELF) -> Finished:
    return Finished(
        command="git ls-remote", exit_code=128, stdout=b"", stderr=words.encode(), seconds=1.0, ended=ended
    )


SPOKEN = [
    # No network, as git 2.39 (GnuTLS), git 2.50 (OpenSSL), ssh and a proxy say it.
    (f"fatal: unable to access '{SOURCE}/': Could not resolve host: git.example", "no network"),
    (f"ssh: Could not resolve hostname git.example: Name or service not known\n{UNREAD}", "no network"),
    (
        f"ssh: Could not resolve hostname git.example: Temporary failure in name resolution\n{UNREAD}",
        "no network",
    ),
    (f"fatal: unable to access '{SOURCE}/': Could not resolve proxy: proxy.example", "no network"),
    (
        (
            f"fatal: unable to access '{SOURCE}/': Failed to connect to git.example port 443 after 130 ms: "
            "Couldn't connect to server"
        ),
        "cannot be reached",
    ),
    (
        (
            f"fatal: unable to access '{SOURCE}/': Failed to connect to git.example port 443 after 75003 ms: "
            "Could not connect to server"
        ),
        "cannot be reached",
    ),
    (f"ssh: connect to host git.example port 22: Connection timed out\n{UNREAD}", "cannot be reached"),
    (f"ssh: connect to host git.example port 22: No route to host\n{UNREAD}", "cannot be reached"),
    (
        f"fatal: unable to access '{SOURCE}/': OpenSSL SSL_read: Connection reset by peer, errno 104",
        "cannot be reached",
    ),
    # Keys and certificates.
    (
        (
            f"No ED25519 host key is known for git.example and you have requested strict checking.\n"
            f"Host key verification failed.\n{UNREAD}"
        ),
        "has a host key that is not the one known",
    ),
    (
        f"@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n{UNREAD}",
        "has a host key that is not the one known",
    ),
    (
        (
            f"fatal: unable to access '{SOURCE}/': server certificate verification failed. CAfile: none "
            "CRLfile: none"
        ),
        "certificate that is not trusted",
    ),
    (
        f"fatal: unable to access '{SOURCE}/': SSL certificate problem: self-signed certificate",
        "certificate that is not trusted",
    ),
    (
        (
            f"fatal: unable to access '{SOURCE}/': SSL: no alternative certificate subject name matches "
            "target host name 'git.example'"
        ),
        "certificate that is not trusted",
    ),
    # Private or absent, on GitHub, GitLab, Bitbucket and Azure DevOps, which do not say which of the two.
    (
        "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
        "lets us in only with credentials",
    ),
    (
        (
            "error: unable to read askpass response from '/bin/false'\n"
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled"
        ),
        "lets us in only with credentials",
    ),
    (
        (
            "remote: Invalid username or token. Password authentication is not supported.\n"
            "fatal: Authentication failed for 'https://github.com/acme/lib/'"
        ),
        "lets us in only with credentials",
    ),
    (
        (
            "remote: Write access to repository not granted.\nfatal: unable to access "
            "'https://github.com/acme/lib/': The requested URL returned error: 403"
        ),
        "lets us in only with credentials",
    ),
    (
        "remote: Repository not found.\nfatal: repository 'https://github.com/acme/lib/' not found",
        "is not there, or not for us to read",
    ),
    (f"ERROR: Repository not found.\n{UNREAD}", "is not there, or not for us to read"),
    (f"git@github.com: Permission denied (publickey).\r\n{UNREAD}", "lets us in only with credentials"),
    (
        (
            "remote: HTTP Basic: Access denied. If a password was provided for authentication, the password "
            "was incorrect.\nfatal: Authentication failed for 'https://gitlab.com/acme/lib/'"
        ),
        "lets us in only with credentials",
    ),
    (
        (
            "remote: \nremote: ========================================\nremote: ERROR: The project you were "
            f"looking for could not be found or you don't have permission to view it.\nremote: \n{UNREAD}"
        ),
        "is not there, or not for us to read",
    ),
    (
        (
            "remote: You may not have access to this repository or it no longer exists in this workspace. If "
            "you think this repository exists and you have access, make sure you are authenticated.\n"
            "fatal: unable to access 'https://bitbucket.org/acme/lib/': The requested URL returned error: 404"
        ),
        "is not there, or not for us to read",
    ),
    (f"repository does not exist.\n{UNREAD}", "is not there, or not for us to read"),
    (
        (
            "remote: TF401019: The Git repository with name or identifier lib does not exist or you do not "
            f"have permissions for the operation you are attempting.\nfatal: repository '{SOURCE}/' not found"
        ),
        "lets us in only with credentials",
    ),
    # Servers out of sorts.
    (f"fatal: unable to access '{SOURCE}/': The requested URL returned error: 429", "we ask too often"),
    (f"fatal: unable to access '{SOURCE}/': The requested URL returned error: 502", "an error of its own"),
    (
        (
            "fatal: unable to update url base from redirection:\n  asked for: "
            f"{SOURCE}/info/refs?service=git-upload-pack\n   redirect: https://login.example/"
        ),
        "sends us to another address",
    ),
    (
        (
            "error: RPC failed; curl 18 HTTP/2 stream 5 was reset\n"
            "error: 1380 bytes of body are still expected\n"
            "fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF\n"
            "fatal: fetch-pack: invalid index-pack output"
        ),
        "broke off while it was read",
    ),
    (
        (
            "kex_exchange_identification: Connection closed by remote host\r\n"
            f"Connection closed by 192.0.2.1 port 22\r\n{UNREAD}"
        ),
        "broke off while it was read",
    ),
    # No repository.
    (f"fatal: {SOURCE}/info/refs not valid: is this a git repository?", "is no git repository"),
    (f"fatal: '/srv/lib' does not appear to be a git repository\n{UNREAD}", "is no git repository"),
    ("fatal: invalid gitfile format: /srv/lib/.git", "is no git repository"),
    (
        (
            "fatal: detected dubious ownership in repository at '/srv/lib'\nTo add an exception for this "
            "directory, call:\n\n\tgit config --global --add safe.directory /srv/lib"
        ),
        "belongs to another user",
    ),
    # What is amiss here.
    (
        "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
        "does not fit on the disk here",
    ),
    (
        "error: file write error: Disk quota exceeded\nfatal: fetch-pack: invalid index-pack output",
        "does not fit on the disk here",
    ),
    (
        "error: unable to write loose object file: No space left on device\nfatal: unpack-objects failed",
        "does not fit on the disk here",
    ),
    ("remote: fatal: write error: No space left on device\nfatal: early EOF", "broke off while it was read"),
    ("error: cannot run ssh: No such file or directory\nfatal: unable to fork", "is not installed here"),
    (
        "git: 'remote-https' is not a git command. See 'git --help'.",
        "is not installed here",
    ),
    ("fatal: transport 'ext' not allowed", "an address that we do not fetch from"),
    ("fatal: transport 'http' not allowed", "an address that we do not fetch from"),
]


@pytest.mark.parametrize(("words", "told"), SPOKEN)
def test_what_git_says_is_told_in_words_with_a_remedy(words: str, told: str) -> None:
    error = complaint(SOURCE, said(words))
    assert error.what.startswith(f"{SOURCE} ")
    assert told in error.what
    assert error.remedy
    assert "\n" not in str(error)


def test_one_that_took_too_long_says_so() -> None:
    error = complaint(SOURCE, said("", ended=Ended.TIME))
    assert str(error).startswith(f"{SOURCE} took longer than we wait for it; see whether it is up")


def test_words_nobody_has_met_are_passed_on_without_their_secrets() -> None:
    words = "fatal: https://ann:a-password-of-hers@git.example/ is in a mood"
    error = complaint(SOURCE, said(words))
    assert "is in a mood" in str(error)
    assert "a-password-of-hers" not in str(error)


@pytest.mark.parametrize("name", ["No space left on device", "not our ref", "error: 404"])
def test_a_repository_that_is_named_like_an_error_is_not_taken_for_one(name: str) -> None:
    source = f"/srv/{name}"
    words = f"fatal: '{source}' does not appear to be a git repository\n{UNREAD}"
    assert complaint(source, said(words)).what == f"{source} is no git repository"
    assert not is_missing(source, said(words))


@pytest.mark.parametrize(
    "words",
    [
        "warning: rejected refs/riskloop/heads/x because shallow roots are not allowed to be updated",
        " ! [rejected]        HEAD       -> refs/riskloop/heads/x  (shallow update not allowed)",
    ],
)
def test_history_that_is_cut_off_is_noticed(words: str) -> None:
    assert is_shallow(SOURCE, said(f"{words}\nFrom {SOURCE}"))
    assert not is_shallow(words, said(f"From {words}"))


@pytest.mark.parametrize(
    "words",
    [
        f"fatal: remote error: upload-pack: not our ref {'1' * 40}",
        f"error: Server does not allow request for unadvertised object {'1' * 40}",
        f"fatal: remote error: want {'1' * 40} not valid",
        f"fatal: couldn't find remote ref {'1' * 40}",
    ],
)
def test_a_commit_upstream_does_not_have_is_no_failure(words: str) -> None:
    assert is_missing(SOURCE, said(words))


def test_a_failure_is_not_taken_for_a_missing_commit() -> None:
    assert not [words for words, _ in SPOKEN if is_missing(SOURCE, said(words))]
