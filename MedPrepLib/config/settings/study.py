"""A study file as a whole."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from MedPrepLib.config.settings.base import Name, Section, Task
from MedPrepLib.config.settings.cohort import Augment, Pack, Privacy
from MedPrepLib.config.settings.labels import LabelSection, label_of
from MedPrepLib.config.settings.outcome import Card, Report, Run
from MedPrepLib.config.settings.sources import Source
from MedPrepLib.config.settings.stages import (
    Agree,
    Align,
    Consensus,
    Screen,
    Split,
    Standardize,
)
from MedPrepLib.labels import LabelSchema


class Study(Section, frozen=True):
    """A whole study file."""

    name: Annotated[Name, Meta(description="of the study, as the report shows it")]
    sources: Annotated[
        tuple[Source, ...], Meta(min_length=1, description="where images and masks come from")
    ]
    labels: Annotated[
        dict[str, LabelSection], Meta(description="the structures; required without labels_file")
    ] = msgspec.field(default_factory=dict)
    labels_file: Annotated[
        str, Meta(description="a 3D Slicer color table (.csv, .ctbl) in place of [labels]")
    ] = ""
    reading_dates: Annotated[
        str,
        Meta(
            description="a CSV with case, rater, date (YYYY-MM-DD), for learning curves; "
            "only the order of the dates is kept"
        ),
    ] = ""
    reviews: Annotated[
        str, Meta(min_length=1, description="folder of the reviews made in 3D Slicer")
    ] = "reviews"
    readmitted: Annotated[
        str,
        Meta(
            min_length=1,
            description="file of findings that people accepted (medprep readmit writes it)",
        ),
    ] = "readmitted.toml"
    task: Annotated[
        Task, Meta(description="what is packed as targets: masks, boxes, or labels per slice")
    ] = "segmentation"
    seed: Annotated[
        int, Meta(ge=0, le=2**63 - 1, description="all randomness of a run comes from it")
    ] = 0
    screen: Screen = Screen()
    standardize: Standardize = Standardize()
    align: Align = Align()
    agree: Agree = Agree()
    consensus: Consensus = Consensus()
    split: Split = Split()
    pack: Pack = Pack()
    augment: Augment = Augment()
    privacy: Privacy = Privacy()
    report: Report = Report()
    card: Card = Card()
    run: Run = Run()

    def schema(self) -> LabelSchema:
        """The label schema; LabelError when labels contradict each other."""
        return LabelSchema(tuple(label_of(name, row) for name, row in self.labels.items()))
