"""Files that are no DICOM: NIfTI, NRRD (also .seg.nrrd) and MetaImage, read by our own readers.

``files`` is the door: check a file, read its grid, read its voxels. ``faults`` holds what all
formats share, above all the error that carries the kind of finding it becomes.
"""
