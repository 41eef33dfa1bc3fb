"""MedPrep: from raw hospital exports and several doctors' annotations to a curated cohort.

The package is layered: *values* (findings, geometry, images, labels, cohort, config) know what
things are; *stages* (scan, screen, standardize, align, agree, consensus, targets, pack, split,
report, load) do one step on one item; the *pipeline* runs the stages over a cohort; *adapters*
(the ``medprep`` command, the Slicer module) let people drive it. Importing this package imports
none of them: take what you need, e.g. ``from MedPrepLib.load import CohortDataset``.
"""

__version__ = "0.1.0"
