"""What the stages found out about one case: small frozen values without voxels.

They cross process borders, are kept in the ledger as JSON, and feed manifest and report. Nothing
in here identifies a patient: names are those identity.py made.
"""

from MedPrepLib.results.agreement import (
    Agreement,
    BoxAgreement,
    Cause,
    CauseCode,
    ChanceAgreement,
    Difference,
    LabelAgreement,
    LesionCount,
    Outcome,
    PairAgreement,
    PairSurface,
    SliceAgreement,
    SurfaceDistances,
    WorstSlice,
)
from MedPrepLib.results.case import (
    CaseResult,
    GridVerdict,
    LabelChange,
    ReadingResult,
    ShardFile,
    Statistics,
    Unit,
    Verdict,
)
from MedPrepLib.results.consensus import (
    ConsensusRecord,
    RaterPerformance,
)
from MedPrepLib.results.lesions import (
    Lesion,
    LesionMatch,
    LesionPair,
    PairLesions,
)
from MedPrepLib.results.people import Person, patients_of, people_of, person_of
from MedPrepLib.results.readmission import Readmission
from MedPrepLib.results.split import LeakageProof, Prevalence, SplitSummary
from MedPrepLib.results.targets import (
    AnyBox,
    Box,
    MergedBox,
    SliceLabels,
    SliceRange,
    Targets,
)

__all__ = [
    "Agreement",
    "AnyBox",
    "Box",
    "BoxAgreement",
    "CaseResult",
    "Cause",
    "CauseCode",
    "ChanceAgreement",
    "ConsensusRecord",
    "Difference",
    "GridVerdict",
    "LabelAgreement",
    "LabelChange",
    "LeakageProof",
    "Lesion",
    "LesionCount",
    "LesionMatch",
    "LesionPair",
    "MergedBox",
    "Outcome",
    "PairAgreement",
    "PairLesions",
    "PairSurface",
    "Person",
    "Prevalence",
    "RaterPerformance",
    "ReadingResult",
    "Readmission",
    "ShardFile",
    "SliceAgreement",
    "SliceLabels",
    "SliceRange",
    "SplitSummary",
    "Statistics",
    "SurfaceDistances",
    "Targets",
    "Unit",
    "Verdict",
    "WorstSlice",
    "patients_of",
    "people_of",
    "person_of",
]
