"""Every setting of MedPrep: default, range, unit and source in one place.

A study file is TOML with exactly these names. ``Meta`` carries the range (checked on load) and
the sentence shown in the reference; lengths are millimeters, unless a name says otherwise.
"""

from MedPrepLib.config.settings.base import (
    Section,
    Task,
    Word,
)
from MedPrepLib.config.settings.cohort import Augment, Pack, Privacy
from MedPrepLib.config.settings.labels import (
    LabelSection,
    TerminologyCode,
)
from MedPrepLib.config.settings.outcome import (
    Card,
    Report,
    Run,
)
from MedPrepLib.config.settings.sources import (
    Annotation,
    DicomSource,
    FolderSource,
    NnunetSource,
    Source,
    TableSource,
)
from MedPrepLib.config.settings.stages import (
    Agree,
    Align,
    Consensus,
    Screen,
    Split,
    Standardize,
    Window,
)
from MedPrepLib.config.settings.study import (
    Study,
)

__all__ = [
    "Agree",
    "Align",
    "Annotation",
    "Augment",
    "Card",
    "Consensus",
    "DicomSource",
    "FolderSource",
    "LabelSection",
    "NnunetSource",
    "Pack",
    "Privacy",
    "Report",
    "Run",
    "Screen",
    "Section",
    "Source",
    "Split",
    "Standardize",
    "Study",
    "TableSource",
    "Task",
    "TerminologyCode",
    "Window",
    "Word",
]
