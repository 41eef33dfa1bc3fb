"""What a cohort consists of, and which set each image is in, for three ways of writing that down.

A MedPrep cohort (a folder, or one file or LMDB of ``medprep export``), an nnU-Net raw folder
(imagesTr, imagesTs) with splits_final.json, or a table with the columns patient, set and image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from MedPrepLib import layout
from MedPrepLib.errors import RunError
from MedPrepLib.leakaudit import nnunet, table
from MedPrepLib.leakaudit.entry import Entry, validated_once
from MedPrepLib.load.index import open_cohort
from MedPrepLib.load.storage import is_lmdb


def listed(cohort: Path, splits: Path | None = None) -> tuple[Entry, ...]:
    """Every image of a cohort; ``splits``: where splits_final.json of an nnU-Net folder lies.

    Raises RunError when it is none of the three, or names no image; CohortError for a damaged
    manifest.
    """
    if _is_cohort(cohort):
        return tuple(_of_cohort(cohort))
    if cohort.is_file():
        return tuple(table.entries_of(cohort))
    if (cohort / "imagesTr").is_dir():
        return tuple(nnunet.entries_of(cohort, splits or cohort / "splits_final.json"))
    raise RunError(
        f"{cohort} is no cohort: it has neither {layout.MANIFEST_NAME} nor imagesTr; a CSV with "
        "the columns patient, set, image will do, too"
    )


def _is_cohort(place: Path) -> bool:
    import h5py

    if place.is_file():
        return bool(h5py.is_hdf5(place))
    return is_lmdb(place) or (place / layout.MANIFEST_NAME).is_file()


def _of_cohort(place: Path) -> Iterator[Entry]:
    index = open_cohort(place)
    folds = [str(f) for f in sorted({c.fold for c in index.cases if c.fold is not None})]
    for case in index.cases:
        yield Entry(
            case.id,
            f"{case.center}\x1f{case.person or case.patient}",
            str(place),
            "case",
            validated_once(case.fold, case.split, folds),
            case.name,
        )
