"""The policy as a torchio transform: the very same changes, on Subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from MedPrepLib.augment.policy import Policy


def transform_of(policy: Policy, seed: int = 0) -> Any:
    """A torchio.Transform that changes every image of a Subject by one draw of ``policy``.

    torchio's own transforms cannot express the policy: its flips do not swap partners, and its
    elastic field may fold. All images of a Subject must share a grid; what comes from outside is
    0, the low end of a window. Chance depends on ``seed`` and torch's own generator, as everywhere
    in torchio.
    """
    import torch
    import torchio as tio

    def apply_transform(_self: Any, subject: Any) -> Any:
        subject.check_consistent_spatial_shape()
        drawn = int(torch.randint(0, 2**31, (1,)).item())
        rng = np.random.default_rng([seed, drawn])
        first = subject.get_first_image()
        shape = tuple(first.spatial_shape)[::-1]
        draw = policy.draw(shape, _to_lps(first.affine)[:3, 2::-1], rng)
        for image in subject.get_images(intensity_only=False):
            is_labels = isinstance(image, tio.LabelMap)
            changed = policy.applied(_item(image, is_labels=is_labels), draw)
            array = changed["mask" if is_labels else "image"].transpose(0, 3, 2, 1)
            image.set_data(torch.from_numpy(np.ascontiguousarray(array)))
        return subject

    # Made here, because torchio is imported only where it is used.
    return type("PolicyTransform", (tio.Transform,), {"apply_transform": apply_transform})()


def _item(image: Any, *, is_labels: bool) -> dict[str, Any]:
    """One torchio image (C, I, J, K) in RAS as an item with (C, k, j, i) and LPS."""
    array = np.ascontiguousarray(image.data.numpy().transpose(0, 3, 2, 1))
    empty = np.zeros(array.shape, np.float32 if is_labels else np.uint8)
    image_part, mask_part = (empty, array) if is_labels else (array, empty)
    return {
        "image": image_part,
        "mask": mask_part,
        "affine": _to_lps(image.affine),
        "pad_value": 0.0,
    }


def _to_lps(affine: Any) -> Any:
    from MedPrepLib.geometry import LPS_TO_RAS

    return LPS_TO_RAS @ np.asarray(affine)
