"""Pictures of what a policy does to an item, to be looked at before a training run."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from MedPrepLib.augment.policy import Item, Policy
from MedPrepLib.labels import LabelSchema

OPACITY = 0.45


def previews(policy: Policy, item: Item, count: int = 6, seed: int = 0) -> tuple[bytes, ...]:
    """PNG files: the item itself first, then ``count`` changed ones, each as one slice.

    ``item``: of CohortDataset or PatchDataset, with intensities in [0, 1]. Shown is the slice k
    with most foreground, labels in their colors; pixels have the item's spacing along i.
    Errors as for Policy.
    """
    changed = [policy(item, np.random.default_rng([seed, n])) for n in range(count)]
    aspect = float(item["spacing"][1] / item["spacing"][0])
    where = int((item["mask"][0] > 0).sum(axis=(1, 2)).argmax())
    return tuple(_png(_painted(one, where, policy.schema), aspect) for one in (item, *changed))


def _painted(item: Item, k: int, schema: LabelSchema) -> npt.NDArray[np.uint8]:
    gray = np.clip(item["image"][0, k].astype(np.float32), 0, 1)
    picture = np.repeat(gray[..., None] * 255, 3, axis=2)
    for label in schema:
        inside = item["mask"][0, k] == label.value
        color = np.array(label.color, np.float32)
        picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * color
    pixels: npt.NDArray[np.uint8] = np.rint(picture).astype(np.uint8)
    return pixels


def _png(picture: npt.NDArray[np.uint8], aspect: float) -> bytes:
    from PIL import Image

    height, width = picture.shape[:2]
    image = Image.fromarray(picture).resize((width, max(round(height * aspect), 1)))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=False)
    return stream.getvalue()
