"""Items as MONAI dictionaries: channel-first (C, I, J, K) MetaTensors with index-to-RAS affines."""

from __future__ import annotations

from typing import Any

import numpy as np

from MedPrepLib.geometry import LPS_TO_RAS
from MedPrepLib.load.dataset import Item
from MedPrepLib.load.tensors import boxes_along_ijk, tensor


def dictionary_of(item: Item) -> dict[str, Any]:
    """An item of a dataset as MONAI itself loads a file with its channel first.

    ``image`` and ``label`` (the mask) are MetaTensors that share the item's memory; ``boxes``
    follow their axes, as MONAI has them: (i0, j0, k0, i1, j1, k1), ends exclusive. Everything else
    stays: ``slice_labels`` are along the last axis. A function of the module, so it serves as
    ``transform`` of a dataset.
    """
    from monai.data import MetaTensor
    from monai.utils import MetaKeys, SpaceKeys

    affine = LPS_TO_RAS @ np.asarray(item["affine"])
    meta = {MetaKeys.SPACE: SpaceKeys.RAS, "original_affine": affine.copy()}
    result = {name: value for name, value in item.items() if name not in ("image", "mask")}
    if "boxes" in result:
        result["boxes"] = boxes_along_ijk(result["boxes"])
    for ours, theirs in (("image", "image"), ("mask", "label")):
        voxels = np.transpose(np.asarray(item[ours]), (0, 3, 2, 1))
        result[theirs] = MetaTensor(
            tensor(voxels), affine=tensor(affine), meta={**meta, "filename_or_obj": item["id"]}
        )
    return result
