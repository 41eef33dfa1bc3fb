"""One picture of what a policy may do to a cohort, to be looked at before a training run."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.augment.field import Elastic, random_elastic
from MedPrepLib.augment.policy import Draw, Item, Policy, policy_of
from MedPrepLib.labels import LabelSchema
from MedPrepLib.load.index import CohortIndex
from MedPrepLib.load.patches import PatchDataset, Size
from MedPrepLib.load.scaling import PERCENTILES, Window

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = 160
"""Pixels that a picture is wide."""
CAPTION = 14
"""Pixels above each column, for its name."""
SIZE: Size = (160, 160, 48)

Column = tuple[str, Draw]


def preview_of(
    cohort: Path | str | CohortIndex,
    count: int = 3,
    *,
    size: Size = SIZE,
    window: Window = PERCENTILES,
    seed: int = 0,
) -> bytes:
    """The strip (see :func:`strip`) of the first ``count`` cases, around a voxel of a label each.

    ``size``: voxels along i, j, k. ``window``: as for PatchDataset, to [0, 1]. Errors as for
    policy_of and PatchDataset.
    """
    patches = PatchDataset(
        cohort, size, None, background=0, window=window, seed=seed, as_torch=False
    )
    items = [patches.item(n) for n in range(min(count, len(patches)))]
    return strip(policy_of(cohort), items, seed)


def strip(policy: Policy, items: Sequence[Item], seed: int = 0) -> bytes:
    """A PNG: a row per item, in it the item, each change at its limit, and one drawn by chance.

    ``items``: of CohortDataset or PatchDataset, with intensities in [0, 1]. Shown is the slice k
    with most foreground, with the outlines of labels in their colors; every picture is CELL
    pixels wide and as high as its millimeters say. Errors as for Policy.applied.
    """
    rows = []
    for n, item in enumerate(items):
        columns = tuple(limits(policy, item, np.random.default_rng([seed, n])))
        where = int((item["mask"][0] > 0).sum(axis=(1, 2)).argmax())
        spacing = item["spacing"]
        aspect = float(spacing[1] / spacing[0])
        changed = (policy.applied_plane(item, draw, where) for _, draw in columns)
        rows.append([_scaled(_outlined(one, policy.schema), aspect) for one in changed])
        names = [name for name, _ in columns]
    return _png(rows, names if rows else [])


def limits(policy: Policy, item: Item, rng: np.random.Generator) -> Iterator[Column]:
    """Names and draws: nothing, every change that the policy allows at its limit, all by chance."""
    s = policy.settings
    shape, axes_mm = item["image"].shape[1:], np.asarray(item["affine"])[:3, 2::-1]
    yield "before", Draw()
    if s.rotation_deg:
        for n, axis in enumerate("LPS"):
            angles = tuple(s.rotation_deg if n == other else 0.0 for other in range(3))
            yield f"{s.rotation_deg:g} deg about {axis}", Draw((angles[0], angles[1], angles[2]))
    for flip in dict.fromkeys(s.flips):
        yield flip, Draw(flips=(flip,))
    if s.elastic_mm:
        yield f"elastic {s.elastic_mm:g} mm", Draw(elastic=_sharpest(policy, shape, axes_mm, rng))
    if s.contrast:
        yield f"contrast -{s.contrast:g}", Draw(contrast=-s.contrast)
        yield f"contrast +{s.contrast:g}", Draw(contrast=s.contrast)
    if s.noise_sigma:
        yield f"noise {s.noise_sigma:g}", Draw(noise_sigma=s.noise_sigma)
    yield "by chance", policy.draw(shape, axes_mm, rng)


def _sharpest(
    policy: Policy, shape: tuple[int, ...], axes_mm: npt.NDArray[Any], rng: np.random.Generator
) -> Elastic:
    """Control points displaced as far as allowed, to one side or the other."""
    s = policy.settings
    spacing = np.linalg.norm(axes_mm, axis=0)
    drawn = random_elastic(shape, spacing, s.elastic_mm, s.elastic_spacing_mm, rng)
    return replace(drawn, coefficients=s.elastic_mm * np.sign(drawn.coefficients))


def _outlined(item: Item, schema: LabelSchema) -> npt.NDArray[np.uint8]:
    gray = np.clip(item["image"][0, 0].astype(np.float32), 0, 1)
    pixels = np.repeat(np.rint(gray * 255).astype(np.uint8)[..., None], 3, axis=2)
    for label in schema:
        inside = np.pad(item["mask"][0, 0] == label.value, 1)
        core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        pixels[inside[1:-1, 1:-1] & ~core] = label.color
    return pixels


def _scaled(pixels: npt.NDArray[np.uint8], aspect: float) -> Image:
    from PIL import Image

    height, width = pixels.shape[:2]
    size = (CELL, max(round(CELL * height * aspect / width), 1))
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def _png(rows: Sequence[Sequence[Image]], names: Sequence[str]) -> bytes:
    from PIL import Image, ImageDraw

    height = CAPTION + sum(row[0].height for row in rows)
    sheet = Image.new("RGB", (CELL * max(len(names), 1), height))
    pen = ImageDraw.Draw(sheet)
    for n, name in enumerate(names):
        pen.text((n * CELL + 2, 1), name, fill=(255, 255, 255))
    top = CAPTION
    for row in rows:
        for n, picture in enumerate(row):
            sheet.paste(picture, (n * CELL, top))
        top += row[0].height
    stream = io.BytesIO()
    sheet.save(stream, "PNG", compress_level=3)
    return stream.getvalue()
