"""DICOM files to headers, headers to series, series to volumes.

``headers`` reads what one file says, ``series`` sorts files into image series, annotations and
the rest, ``arrange`` puts the slices of a series in order and judges the stack, ``facts`` turns
headers into the values of a cohort, ``pixels`` reads the voxels.
"""
