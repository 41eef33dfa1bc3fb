"""The texts beside the images: study.toml, README.txt, expected.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from MedPrepLib.sample.written import SampleCase

STUDY_TOML = """\
# The study file of the sample: what the data are and what is wanted of them.
# Every setting that is not here has its default. Paths are relative to this file.

name = "sample"
task = "segmentation"
seed = 7                       # all randomness of the run comes from this number

[[sources]]
kind = "folders"               # raw/<center>/<patient>/<case>/ with image/ and masks/<reader>.*
path = "raw"
modality = "MR"                # of images whose file cannot say it (the one NIfTI image)

# The structures. The lesion lies within the organ; where a file holds one number per voxel, the
# higher value wins. Readers use other words for the same thing: those are aliases.
[labels.organ]
value = 1
color = [110, 160, 220]
aliases = ["lung", "brain"]

[labels.lesion]
value = 2
color = [220, 50, 47]
aliases = ["nodule", "tumor"]

[screen]
modalities = ["CT", "MR"]
max_mr_slice_mm = 5.0          # thicker slices are reviewed

[agree]
threshold = 0.7                # Dice of the worst pair of readers; below it a case is reviewed

[consensus]
method = "majority"
ties = "background"

[split]
test_fraction = 0.2            # at least this part of the patients, in whole centers
folds = 3

[privacy]
case_names = "given"           # these names are invented and identify nobody

[report]
pictures = true
"""

README = """\
The MedPrep sample study

Everything in this folder was computed by a program. It is synthetic: no image, name, number or
reading comes from a real person, hospital or scanner, and nothing here may be used to judge how
well a method works on patients.

raw/          what an export from three centers could look like:
              <center>/<patient>/<case>/image/   one scan (DICOM files; one case is NIfTI)
              <center>/<patient>/<case>/masks/   what each reader drew: <reader>.seg.nrrd, .nii.gz
study.toml    the study file: run it with   medprep run study.toml cohort
expected.json what MedPrep should find, case by case: ten cases have one flaw each (the scan that
              occurs twice spoils two), the others have none. Findings that are only notes are
              listed where they are the point of the case; more notes may appear.

Chest CT with a lung nodule and head MR with a tumor; about a third of the scans are healthy and
were read as empty. Labels: organ (1: lung or brain), lesion (2). The readers ana, ben and chen
differ as people do: each has a habit of drawing large or small, and no hand is quite steady.
"""


def expected_json(cases: Sequence[SampleCase], seed: int) -> str:
    """The text of expected.json: for every case id, what should be found and why."""
    included = [case for case in cases if case.included]
    tree = {
        "about": "What MedPrep should find in the sample study; synthetic, shows no real person.",
        "seed": seed,
        "cases": {case.id: _expected(case) for case in cases},
        "totals": {
            "cases": len(cases),
            "included": len(included),
            "excluded": len(cases) - len(included),
            "patients": len({case.patient for case in cases}),
            "patients_included": len({case.patient for case in included}),
        },
    }
    return json.dumps(tree, indent=2) + "\n"


def _expected(case: SampleCase) -> dict[str, object]:
    flaw = case.flaw.value
    return {
        "center": case.center,
        "patient": case.patient,
        "modality": case.modality,
        "readers": list(case.readers),
        "lesion": case.lesion_center_mm is not None,
        "lesion_center_mm": case.lesion_center_mm,
        "included": case.included,
        "findings": [{"code": k.code, "severity": k.severity.word} for k in flaw.kinds],
        "why": flaw.sentence,
    }
