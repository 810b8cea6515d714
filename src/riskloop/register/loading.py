"""Loads a register: reads the file, checks all of it, and says everything that is wrong with it at once."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from riskloop.errors import Mistake, RegisterError, RiskloopError
from riskloop.register.checking import check
from riskloop.register.contents import Register
from riskloop.register.mistakes import Finding, Place, write_place
from riskloop.register.reading import MAX_BYTES, Document, read_document
from riskloop.risks import Kind

MOST_MISTAKES = 200
"""More mistakes than this are not listed."""


def load(path: Path, kinds: Mapping[str, Kind], *, allowed_roots: Iterable[Path] = ()) -> Register:
    """Load the register at a path.

    Args:
        path: the file; relative paths in it are below its directory.
        kinds: every kind there is, by name.
        allowed_roots: directories outside the project in which absolute paths may lie.

    Raises:
        RegisterError: with every mistake, in the order of their lines.
    """
    return _parse(_content(path), path, kinds, tuple(allowed_roots))


def last_good(
    path: Path,
    kinds: Mapping[str, Kind],
    *,
    keep: Path,
    allowed_roots: Iterable[Path] = (),
) -> tuple[Register, RegisterError | None]:
    """Load the register, or, if it is broken or gone, the last good one, together with the error.

    Args:
        path: the file; also the kept copy is read as if it stood there.
        kinds: every kind there is, by name.
        keep: where the last good register is kept, in the state directory.
        allowed_roots: directories outside the project in which absolute paths may lie.

    Raises:
        RegisterError: the register is broken, and no good one was kept.
        RiskloopError: the copy cannot be written.
    """
    roots = tuple(allowed_roots)
    try:
        content = _content(path)
        register = _parse(content, path, kinds, roots)
    except RegisterError as error:
        try:
            return _parse(_content(keep), path, kinds, roots), error
        except RegisterError:
            raise error from None
    _keep(content, keep)
    return register, None


def _content(path: Path) -> bytes:
    """Read at most one byte more than a register may have; never wait for a pipe or a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, opened without blocking
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _whole(path, "this is not a file; name the register's file")
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _whole(path, "there is no such file; 'riskloop init' writes a first register") from None
    except IsADirectoryError:
        raise _whole(path, "this is a directory; name the register's file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        raise _whole(path, f"the file cannot be read ({reason}); correct its name or permissions") from None


def _whole(path: Path, says: str) -> RegisterError:
    return RegisterError(str(path), (Mistake(line=1, path="", says=says),))


def _keep(content: bytes, keep: Path) -> None:
    try:
        if keep.is_file() and keep.read_bytes() == content:
            return
        keep.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=keep.parent, prefix=f"{keep.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(keep)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise RiskloopError(
            f"no copy of the register can be kept at {keep} ({error.strerror})",
            remedy="free some space there, or correct the permissions of the directory",
        ) from error


def _parse(content: bytes, path: Path, kinds: Mapping[str, Kind], roots: tuple[Path, ...]) -> Register:
    document = read_document(content)
    findings: list[Finding] = list(document.findings)
    register = check(
        document,
        # Made absolute without following links: a linked register stands where its link does.
        path=Path(os.path.abspath(path)),  # noqa: PTH100
        digest=hashlib.sha256(content).hexdigest(),
        kinds=kinds,
        allowed_roots=roots,
        findings=findings,
    )
    if register is None:
        raise RegisterError(str(path), _mistakes(document, findings))
    return register


def _mistakes(document: Document, findings: Iterable[Finding]) -> tuple[Mistake, ...]:
    """Put the findings in the order of their lines, without those that only follow from another."""
    findings = tuple(findings)
    misspelt = {finding.explains for finding in findings if finding.explains}
    unread = {finding.place for finding in document.findings}
    kept: dict[tuple[int, Place, str], Mistake] = {}
    for finding in findings:
        follows = finding.place in misspelt or (finding.place in unread and finding not in document.findings)
        if not follows:
            line = finding.line if finding.line is not None else document.line(finding.place)
            mistake = Mistake(line=line, path=write_place(finding.place), says=finding.says)
            kept[line, finding.place, finding.says] = mistake
    mistakes = sorted(kept.values(), key=lambda mistake: mistake.line)
    if len(mistakes) > MOST_MISTAKES:
        more = "and more mistakes from here on; mend those above first"
        mistakes[MOST_MISTAKES:] = [Mistake(line=mistakes[MOST_MISTAKES].line, path="", says=more)]
    return tuple(mistakes)
