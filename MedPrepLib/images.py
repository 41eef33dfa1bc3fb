"""Volumes: voxel values on a grid, and their crossings to SimpleITK and nibabel.

Arrays are C-contiguous (k, j, i); geometry is in (i, j, k) and LPS millimeters. The crossings
below, geometry.py and mrml are the only places where axes are reversed or signs are flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import LPS_TO_RAS, Geometry

if TYPE_CHECKING:
    import nibabel
    import SimpleITK

VoxelArray = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Volume:
    """Scalar voxels on a grid. ``array`` has shape (k, j, i) and is made read-only.

    Raises GeometryError when the array's shape is not that of the geometry.
    """

    array: VoxelArray
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise GeometryError(
                f"an array of shape {self.array.shape} (k, j, i) does not fit a grid of "
                f"size {self.geometry.size} (i, j, k)"
            )
        view = np.ascontiguousarray(self.array).view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)

    def at(self, index: tuple[int, int, int]) -> Any:
        """The value of voxel (i, j, k)."""
        i, j, k = index
        return self.array[k, j, i]

    def with_array(self, array: VoxelArray) -> Volume:
        """Other voxel values on the same grid."""
        return Volume(array, self.geometry)


def voxels_to_overwrite(volume: Volume) -> VoxelArray:
    """The voxels as a writable array (k, j, i), for their only owner, who gives ``volume`` up.

    It is the volume's own memory, so the volume changes with it; a copy where that memory is
    read-only by itself (a frozen array, a mapped file).
    """
    own = volume.array.view()
    try:
        own.flags.writeable = True
    except ValueError:
        return volume.array.copy()
    return own


def to_sitk(volume: Volume) -> SimpleITK.Image:
    """The volume as a SimpleITK image (a copy); LPS on both sides, so nothing is flipped."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.geometry.spacing)
    image.SetOrigin(volume.geometry.origin)
    image.SetDirection(volume.geometry.direction)
    return image


def from_sitk(image: SimpleITK.Image) -> Volume:
    """A three-dimensional scalar SimpleITK image as a Volume (a copy).

    Raises GeometryError for images that are not 3-D or have several components per voxel.
    """
    import SimpleITK as sitk

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise GeometryError(
            f"a {image.GetDimension()}-D image with {image.GetNumberOfComponentsPerPixel()} "
            "components per voxel is not a scalar volume"
        )
    return Volume(sitk.GetArrayFromImage(image), geometry_from_sitk(image))


def geometry_from_sitk(image: SimpleITK.Image) -> Geometry:
    """The grid of a 3-D SimpleITK image."""
    i, j, k = image.GetSize()
    sx, sy, sz = image.GetSpacing()
    x, y, z = image.GetOrigin()
    return Geometry((i, j, k), (sx, sy, sz), (x, y, z), tuple(image.GetDirection()))


def to_nibabel(volume: Volume) -> nibabel.Nifti1Image:
    """The volume as a nibabel NIfTI image: (i, j, k) array and index-to-RAS affine."""
    import nibabel as nib

    affine = LPS_TO_RAS @ volume.geometry.affine
    image = nib.Nifti1Image(volume.array.T, affine)
    image.header.set_xyzt_units("mm")
    return image


def from_nibabel(image: nibabel.Nifti1Image) -> Volume:
    """A 3-D nibabel image (RAS affine) as a Volume; scaling is applied as nibabel does.

    Raises GeometryError for other dimensions or an affine that is sheared or singular.
    """
    array = np.asanyarray(image.dataobj)
    if array.ndim != 3:
        raise GeometryError(f"an image with {array.ndim} dimensions is not a volume")
    affine = LPS_TO_RAS @ np.asarray(image.affine, dtype=np.float64)
    return Volume(array.T, Geometry.from_affine(affine, array.shape))
