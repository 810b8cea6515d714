"""Text that every database takes, whatever it was made of, and that holds none of our secrets."""

from riskloop.redaction import without_secrets


def storable(text: str) -> str:
    r"""Make text storable: no secret of ours; PostgreSQL takes no NUL, and UTF-8 no half of a surrogate pair.

    Such halves come with file names that are not UTF-8; they are shown as `\udc80`.
    """
    return (
        without_secrets(text)
        .replace("\0", "\N{REPLACEMENT CHARACTER}")
        .encode("utf-8", "backslashreplace")
        .decode()
    )
