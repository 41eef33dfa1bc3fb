"""Reviews on disk: ``<folder>/<case>/<reviewer>.review.json``, one per reviewer and case.

A file holds every version, the newest last, and is replaced as a whole; what was drawn lies beside
it in files of their own that are written once. Two reviewers never touch the same file, so that
they can work on one network folder at the same time. Comments may say anything: the folder stays
at the site, outside every cohort.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from MedPrepLib import __version__, catalog
from MedPrepLib.atomic import make_folder, replacing, write_bytes
from MedPrepLib.errors import LockedError, ReadError, RunError
from MedPrepLib.findings import Finding
from MedPrepLib.identity import slug
from MedPrepLib.layout import require_public_id
from MedPrepLib.review.record import (
    MOST_COMMENT,
    SUFFIXES,
    DrawnFile,
    DrawnKind,
    Review,
    digest,
)
from MedPrepLib.trail import Trail, account

FORMAT = "medprep-review"
FORMAT_VERSION = 1
SUFFIX = ".review.json"
MOST_NAME = 64
_MOST_BYTES = 16 << 20
_LOCK_S = 10.0

Writer = Callable[[Path], None]
"""Writes a drawing to the path that it is given."""


class _File(msgspec.Struct, frozen=True):
    versions: tuple[Review, ...]
    format: str = FORMAT
    format_version: int = FORMAT_VERSION


class ReviewStore:
    """The reviews in a folder, which need not exist before the first one is saved."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def history(self, case: str, reviewer: str) -> tuple[Review, ...]:
        """Every version of a review, oldest first; none when there is none.

        Raises ReadError for a file that is no review or whose versions do not follow each other.
        """
        path = self._path(case, reviewer)
        return _read(path, case) if path.is_file() else ()

    def latest(self, case: str) -> tuple[dict[str, Review], tuple[Finding, ...]]:
        """The newest version of every reviewer, by name, and files that cannot be read."""
        found: dict[str, Review] = {}
        findings: list[Finding] = []
        folder = self.folder / require_public_id(case)
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
            try:
                newest = _read(path, case)[-1]
            except ReadError as error:
                findings.append(catalog.REVIEW_UNREADABLE.at(case, str(error)))
            else:
                found[newest.reviewer] = newest
        return found, tuple(findings)

    def cases(self) -> tuple[str, ...]:
        """The cases that have a folder of reviews, in order of name."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.folder.iterdir() if path.is_dir()))

    def save(self, review: Review, drawings: Mapping[DrawnKind, Writer] | None = None) -> Review:
        """Append a version and return it; a review that says the same as the newest is not saved.

        Version, time, software and link to the version before are set here. ``drawings`` writes
        what was drawn; of ``review.drawn`` the entry of that kind tells how it was made (name and
        sum are set here), all other entries are kept. Raises RunError for a reviewer without a
        name or a comment that is too long, LockedError, ReadError and OSError.
        """
        _require_sound(review)
        folder = make_folder(self.folder / require_public_id(review.case))
        path = self._path(review.case, review.reviewer)
        with _locked(path):
            versions = _read(path, review.case) if path.is_file() else ()
            number = len(versions) + 1
            written = _written(folder, review, number, drawings or {})
            if versions and versions[-1].says_the_same(written):
                return versions[-1]
            saved = msgspec.structs.replace(
                written,
                version=number,
                at=datetime.now(UTC).isoformat(timespec="seconds"),
                software=__version__,
                previous=digest(versions[-1]) if versions else "",
            )
            data = msgspec.json.encode(_File((*versions, saved)))
            write_bytes(path, msgspec.json.format(data, indent=1))
        Trail(self.folder).add(saved.reviewer, "review saved", saved.case, **_said(saved))
        return saved

    def path_of(self, review: Review, drawn: DrawnFile) -> Path:
        """Where something drawn lies; ReadError when it is not there or was changed."""
        path = self.folder / require_public_id(review.case) / drawn.name
        if not path.is_file():
            raise ReadError(f"{drawn.name}, drawn by {review.reviewer}, is missing")
        if _sum(path) != drawn.sha256:
            raise ReadError(f"{drawn.name}, drawn by {review.reviewer}, was changed afterwards")
        return path

    def _path(self, case: str, reviewer: str) -> Path:
        return self.folder / require_public_id(case) / f"{file_stem(reviewer)}{SUFFIX}"


def _said(review: Review) -> dict[str, str]:
    """What the audit trail says of a version; its hash binds the line to the review."""
    drawn = ", ".join(sorted(one.kind for one in review.drawn))
    return {
        "account": account(),
        "version": str(review.version),
        "verdict": review.verdict or "begun",
        "drawn": drawn,
        "digest": digest(review),
    }


def file_stem(reviewer: str) -> str:
    """The reviewer's name as a file name; names that lose something, even case, get a hash."""
    plain = slug(reviewer).lower()
    if plain == reviewer:
        return plain
    return (
        f"{plain[:54]}-{hashlib.sha256(reviewer.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def require_name(reviewer: str) -> str:
    """``reviewer`` itself; RunError unless it is a name that can be kept and shown."""
    if not reviewer.strip() or len(reviewer.strip()) > MOST_NAME or not reviewer.isprintable():
        raise RunError(f"a reviewer needs a name of 1 to {MOST_NAME} printable characters")
    return reviewer


def _require_sound(review: Review) -> None:
    require_name(review.reviewer)
    if len(review.comment) > MOST_COMMENT:
        raise RunError(
            f"the comment has {len(review.comment)} characters; {MOST_COMMENT} are kept at most"
        )


def _written(
    folder: Path, review: Review, number: int, drawings: Mapping[DrawnKind, Writer]
) -> Review:
    """The review with the names and sums of its drawings, which are on disk afterwards.

    A drawing equal to the one of an earlier version is not written twice.
    """
    known = {drawn.kind: drawn for drawn in review.drawn}
    for kind, write in drawings.items():
        before = known.get(kind)
        name = f"{file_stem(review.reviewer)}.v{number}{SUFFIXES[kind]}"
        with replacing(folder / name) as partial:
            write(partial)
        sha256 = _sum(folder / name)
        if before is not None and before.sha256 == sha256 and (folder / before.name).is_file():
            (folder / name).unlink()
            name = before.name
        described = before or DrawnFile(kind, "", "")
        known[kind] = msgspec.structs.replace(described, name=name, sha256=sha256)
    return msgspec.structs.replace(review, drawn=tuple(known[kind] for kind in sorted(known)))


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(path: Path, case: str) -> tuple[Review, ...]:
    """The versions in a file; ReadError unless they are of this case and one chain."""
    if path.stat().st_size > _MOST_BYTES:
        raise ReadError(f"{path.name} is larger than any review ({_MOST_BYTES} bytes)")
    try:
        versions = _decoded(path.read_bytes())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError(f"{path.name} is no review ({type(error).__name__})") from None
    previous = ""
    for number, review in enumerate(versions, start=1):
        mine = review.case == case and f"{file_stem(review.reviewer)}{SUFFIX}" == path.name
        if not mine or review.version != number or review.previous != previous:
            raise ReadError(
                f"version {number} in {path.name} does not follow from the one before: the file "
                "was edited, or put together from others"
            )
        previous = digest(review)
    if not versions:
        raise ReadError(f"{path.name} holds no version of a review")
    return versions


def _decoded(data: bytes) -> tuple[Review, ...]:
    head = msgspec.json.decode(data, type=_Head)
    if head.format != FORMAT or head.format_version > FORMAT_VERSION:
        raise ReadError(
            f"format {head.format!r}, version {head.format_version}: not a review, or one of a "
            "newer MedPrep"
        )
    return msgspec.json.decode(data, type=_File).versions


class _Head(msgspec.Struct, frozen=True):
    format: str
    format_version: int


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The same reviewer may have two windows open: one saves after the other."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_S):
            yield
    except Timeout:
        raise LockedError(f"{path.name} is being saved by somebody else; try again") from None
