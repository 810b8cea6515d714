"""Twelve secrets that are nowhere else, and a search that finds them however they are spelled."""

import base64
import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

from riskloop.state_directory import prepare
from tests.emulator.emulator import Tokens

KEY = bytes(range(131, 163))

CANARIES: Mapping[str, str] = {
    # Ours, as settings.
    "the GitHub token": "ghp_CanaryOneXf4Qm7TzR2bK9wLd3Vn6Ys8Hj0Ge",
    "a Slack token": "xoxb-220011-330022-CanaryTwoPq8Lm3Zx7Vt1",
    "a Slack token of another workspace": "xoxb-440033-550044-CanaryThreeRw6Kj2Bn9",
    "a Slack token from a file": "xoxb-660055-770066-CanaryFourHs5Dg8Fy4",
    "the incoming webhook": "services/T0CANARY5/B0CANARY5/CanaryFiveNu2Mi7Ko1Pz",
    "the password of the store": "CanarySix/p@ss w%rd+9",
    "the heartbeat address": "5ea7be47-canary-seven-9c1d-0f2e3b4a5d6c",
    "the signing key": KEY.decode("latin-1"),
    # Somebody's, in what others say: known by their shape.
    "a token in an HTTP error": "ghs_CanaryNineUb5Xe8Qa1Wc4Mz7Nt0Kr3Lp6Jd9",
    "a token in an exception of a kind": "github_pat_11CANARYTEN0abcDEF_ghiJKL456mnoPQR789stuVWX",
    "a password in an error of git": "CanaryElevenPw3Jq9Zt5",
    "a token in what Slack says": "xoxp-880077-990088-CanaryTwelveCv6Bx2",
}

OURS = tuple(CANARIES)[:8]

TOKENS = Tokens(
    github=CANARIES["the GitHub token"],
    strangers_github="token-of-a-stranger",
    slack=CANARIES["a Slack token"],
    strangers_slack="slack-token-of-a-stranger",
)

_WORD = re.compile(r"Canary[A-Z][a-z]+|canary-seven|CANARYTEN")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")


def environment(place: Path, *, slack: str) -> dict[str, str]:
    """Set every secret there is, one of them as a file.

    Args:
        slack: the address of Slack's proxy.
    """
    file = place / "slack-token"
    file.write_text(CANARIES["a Slack token from a file"] + "\n", encoding="utf-8")
    return {
        "RISKLOOP_GITHUB_TOKEN": CANARIES["the GitHub token"],
        "RISKLOOP_SLACK_TOKEN": CANARIES["a Slack token"],
        "RISKLOOP_SLACK_TOKEN_ACME": CANARIES["a Slack token of another workspace"],
        "RISKLOOP_SLACK_TOKEN_FILED_FILE": str(file),
        "RISKLOOP_SLACK_WEBHOOK_URL": f"{slack}/{CANARIES['the incoming webhook']}",
        "RISKLOOP_HEARTBEAT_URL": f"http://127.0.0.1:9/{CANARIES['the heartbeat address']}",
    }


def put_key(state: Path) -> None:
    """Be an installation whose key is the canary."""
    prepare(state)
    (state / "key").write_bytes(KEY)


def spelled(canary: str) -> str:
    """Write a canary in every way in which something might quote it."""
    raw = canary.encode("latin-1")
    basic = base64.b64encode(b"x-access-token:" + raw).decode()
    return "\n".join(
        (
            canary,
            quote(raw, safe=""),
            quote_plus(raw),
            raw.hex(),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
            f"Authorization: Basic {basic}",
            f"sent {basic} there",
            f"https://x-access-token:{quote(raw, safe='')}@host/x.git",
        )
    )


def everything(names: tuple[str, ...] = OURS) -> str:
    """Write canaries in every spelling, as evidence might hold them."""
    return "\n".join(spelled(CANARIES[name]) for name in names)


def found(text: str) -> list[str]:
    """Name the canaries in a text: as they are, in addresses, JSON, hexadecimal, and anywhere in base64.

    Half of one counts as well, if the word is in it that names the canary.
    """
    unescaped = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    readings = [text, unescaped, unquote_plus(text), unquote_plus(text, "latin-1")]
    decoded = b"\n".join(_decoded(text))
    return [
        name
        for name, canary in CANARIES.items()
        if any(canary in reading for reading in readings)
        or any(word in text for word in _WORD.findall(canary))
        or canary.encode("latin-1").hex() in text.lower()
        or canary.encode("latin-1") in decoded
    ]


def found_in_bytes(content: bytes) -> list[str]:
    """Name the canaries in a file, also as raw bytes and in what is compressed in it."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    raw = [name for name, canary in CANARIES.items() if canary.encode("latin-1") in content]
    return list(dict.fromkeys(raw + found(content.decode("utf-8", "replace"))))


def found_in_files(directory: Path, *, but: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """Name the canaries in each file of a directory, and of those below it.

    Args:
        but: names of files that may hold them: the key's own.
    """
    files = [path for path in directory.rglob("*") if path.is_file() and path.name not in but]
    return {str(path): names for path in files if (names := found_in_bytes(path.read_bytes()))}


def _decoded(text: str) -> Iterator[bytes]:
    for run in _BASE64.findall(text):
        for start in range(4):
            whole = run[start:].replace("-", "+").replace("_", "/")
            yield base64.b64decode(whole + "A" * (-len(whole) % 4))
