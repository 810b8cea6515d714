"""Text that every database takes, whatever it was made of."""


def storable(text: str) -> str:
    r"""Make text storable: PostgreSQL takes no NUL, and UTF-8 has no half of a surrogate pair.

    Such halves come with file names that are not UTF-8; they are shown as `\udc80`.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()
