"""Small cohorts for the tests of pack, load and verify."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MedPrepLib.config.settings import Pack, Standardize
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.labels import Label, LabelSchema, Terminology
from MedPrepLib.manifest import Manifest, ManifestCase, training_normalization, write_manifest
from MedPrepLib.pack import PackedCase, write_case
from MedPrepLib.results import Box, ConsensusRecord, ShardFile, SliceRange, Targets
from MedPrepLib.segmentation import Segment, Segmentation
from MedPrepLib.standardize import standardize

RECIPE = "ab" * 32
TUMOR = Terminology("SCT", "108369006", "Neoplasm")
SCHEMA = LabelSchema(
    (
        Label("left kidney", 3, aliases=("LK",), partner="right kidney"),
        Label("right kidney", 4, partner="left kidney"),
        Label("tumor / Läsion", 7, (10, 20, 30), terminology=TUMOR),
    )
)
CONFIG = """
name = "a study"
[standardize.windows]
lung = { level = -600, width = 1500 }
narrow = { level = 40, width = 80 }
"""


def oblique(size: tuple[int, int, int]) -> Geometry:
    """An anisotropic, left-handed grid turned about all three axes."""
    a, b, c = 0.3, -0.5, 1.1
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    direction = rx @ ry @ rz @ np.diag([1, 1, -1])
    return Geometry(size, (0.7, 0.9, 2.5), (-101.25, 33.1, 1 / 3), tuple(direction.ravel()))


def packed_case(
    case_id: str = "case-1",
    size: tuple[int, int, int] = (70, 45, 37),
    *,
    seed: int = 0,
    modality: str = "CT",
) -> PackedCase:
    """A case with air, tissue, two labels, two raters (one with overlapping segments)."""
    rng = np.random.default_rng(seed)
    geometry = oblique(size)
    array = np.full(geometry.shape, -1024, dtype=np.float32)
    array[5:30, 5:40, 5:40] = rng.normal(40, 100, (25, 35, 35))
    if modality == "CT":
        array = np.rint(array).astype(np.int16)
    else:
        array += 1024.25
    result = standardize(Volume(array, geometry), modality, Standardize(), case_id)
    mask = np.zeros(geometry.shape, dtype=np.uint8)
    mask[6:20, 10:20, 10:30] = 3
    mask[10:12, 25:28, 33:37] = 7
    wide = np.where(rng.random(geometry.shape) > 0.9, 700, 0).astype(np.uint16)
    readings = {
        "Dr. A/ä": Segmentation((mask,), geometry, _segments(0)),
        "Dr. B": Segmentation(
            (np.where(mask == 3, mask, 0).astype(np.uint8), wide),
            geometry,
            (Segment("left kidney", 3), Segment("other", 700, 1), Segment("nothing", 9)),
        ),
    }
    return PackedCase(
        id=case_id,
        image=result.volume,
        pad_value=result.pad_value,
        mask=mask,
        statistics=result.statistics,
        recipe_hash=RECIPE,
        readings=readings,
        targets=_targets(geometry),
        consensus=ConsensusRecord(
            "majority", ("Dr. A/ä", "Dr. B"), "background", 5, {"Dr. B": "x"}
        ),
        meta={"modality": modality, "patient": f"P-{seed}", "age_years": 61, "kvp": 120.5},
    )


def build_cohort(
    folder: Path, *, task: str = "segmentation", codec: str = "raw", count: int = 5
) -> Manifest:
    """Five cases: four training cases in two folds (one MR), one test case; and a report.

    ``count``: only the first so many of them.
    """
    cases, statistics = [], {}
    for n in range(count):
        modality = "MR" if n == 3 else "CT"
        packed = packed_case(f"case-{n}", (40 + n, 45, 37), seed=n, modality=modality)
        shard = write_case(folder, packed, Pack(codec=codec, foreground_voxels=50), SCHEMA)
        statistics[packed.id] = packed.statistics
        split = "test" if n == 4 else "train"
        fold = None if n == 4 else n % 2
        codes = ("CLIPPED",) if n == 0 else ()
        cases.append(ManifestCase(packed.id, f"P-{n}", "C01", modality, split, fold, shard, codes))
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "index.html").write_text("<p>report</p>", encoding="utf-8")
    manifest = Manifest(
        medprep_version="0.1.0",
        study="a study",
        task=task,
        config=CONFIG,
        config_hash="cd" * 32,
        recipe_hash=RECIPE,
        schema=SCHEMA,
        cases=tuple(reversed(cases)),
        files=(shard_of(folder, "report/index.html"),),
        normalization=training_normalization(cases, statistics),
    )
    return write_manifest(folder, manifest)


def shard_of(folder: Path, name: str) -> ShardFile:
    """The size and hash of a file that exists already."""
    import hashlib

    data = (folder / name).read_bytes()
    return ShardFile(name, len(data), hashlib.sha256(data).hexdigest())


def _segments(layer: int) -> tuple[Segment, ...]:
    return (
        Segment("left kidney", 3, layer, (1, 2, 3)),
        Segment("tumor / Läsion", 7, layer, None, TUMOR),
    )


def _targets(geometry: Geometry) -> Targets:
    box = Box(
        "tumor / Läsion",
        (33, 25, 10),
        (37, 28, 12),
        geometry.point_at((32.5, 24.5, 9.5)),
        geometry.point_at((36.5, 27.5, 11.5)),
        24,
    )
    slices = (SliceRange("left kidney", 6, 20), SliceRange("tumor / Läsion", 10, 12))
    return Targets({"left kidney": 2800, "tumor / Läsion": 24}, (box,), slices)
