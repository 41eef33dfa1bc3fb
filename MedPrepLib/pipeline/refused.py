"""Files of a case that may not be read by whoever runs MedPrep: told apart from damaged ones.

Rights also come from groups, from folders above and from servers; such ones change without a trace
in what the ledger compares of a file, so that it cannot notice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from MedPrepLib import catalog
from MedPrepLib.findings import Finding, Severity
from MedPrepLib.pipeline.draft import Draft

_AS_THIS_ACCOUNT = os.access in os.supports_effective_ids


def refused(draft: Draft) -> Iterator[Finding]:
    """ACCESS_DENIED of an image, and of each rater, where something is left out already.

    Nothing is asked of the disk for a case that is whole.
    """
    if not any(finding.severity == Severity.REJECT for finding in draft.findings):
        return
    case = draft.case
    drawn = [(boxes.rater, [file.path for file in boxes.files]) for boxes in case.boxes]
    drawn += [(noted.rater, [file.path for file in noted.files]) for noted in case.slices]
    for reading in case.readings:
        parts = [path for part in reading.parts for path in (part.path, *part.data_paths)]
        drawn.append((reading.rater, parts))
    yield from _denied(case.image_paths, case.id)
    for rater, paths in sorted(drawn):
        yield from _denied(paths, f"{case.id}/{rater}")


def _denied(paths: Iterable[str], item: str) -> Iterator[Finding]:
    count = sum(_is_denied(path) for path in paths)
    if count:
        message = f"{count} file{'s' * (count > 1)} may not be read by the account of this run"
        yield catalog.ACCESS_DENIED.at(item, message)


def _is_denied(path: str) -> bool:
    """True for a file that is there; where a folder hides it, its fingerprint tells."""
    # In this order, for nearly all files may be read: a tree has many images without annotations.
    if os.access(path, os.R_OK, effective_ids=_AS_THIS_ACCOUNT):
        return False
    return os.access(path, os.F_OK, effective_ids=_AS_THIS_ACCOUNT)
