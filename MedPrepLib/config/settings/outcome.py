"""How the work is done, and what is told of it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from MedPrepLib.config.settings.base import Section, limit


class Report(Section, frozen=True):
    """The report."""

    pictures: Annotated[bool, Meta(description="draw an overlay picture of every case")] = True
    window: Annotated[str, Meta(description="named window for CT pictures; empty: by content")] = ""
    outlier_score: Annotated[
        float,
        Meta(
            ge=1,
            le=100,
            description="a case whose intensity percentiles or spacing lie farther from the median "
            "of its modality is marked, in robust standard deviations (Iglewicz and Hoaglin 1993)",
        ),
    ] = 3.5


class Card(Section, frozen=True):
    """What people tell of the data set, for its card; everybody may read it, so name no patient."""

    title: Annotated[
        str, Meta(max_length=200, description="name of the data set; empty: that of the study")
    ] = ""
    description: Annotated[
        str,
        Meta(max_length=20_000, description="what it is and what it is for; empty lines part"),
    ] = ""
    creators: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(description="people who made the data set"),
    ] = ()
    publisher: Annotated[
        str, Meta(max_length=200, description="institution that answers for it")
    ] = ""
    license: Annotated[
        str,
        Meta(max_length=200, description="SPDX identifier (CC-BY-4.0), name, or web address"),
    ] = ""
    citation: Annotated[
        str, Meta(max_length=20_000, description="how to cite it, best as BibTeX")
    ] = ""
    url: Annotated[
        str,
        Meta(
            max_length=2000,
            pattern=r"^(https?://[A-Za-z0-9._~:/?#@!$&'*+,;=%-]+)?$",
            description="a web page about it, http(s)://...",
        ),
    ] = ""
    version: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9})?$",
            description="of the data set, major.minor.patch (1.0.0)",
        ),
    ] = ""
    published: Annotated[
        str,
        Meta(
            pattern=r"^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$",
            description="day of publication, YYYY-MM-DD",
        ),
    ] = ""


class Run(Section, frozen=True):
    """How the work is done; nothing here changes the result."""

    workers: Annotated[
        int, Meta(ge=0, le=256, description="processes; 0: as many as cores and free memory allow")
    ] = 0
    timeout_s: Annotated[
        float,
        limit("per case, seconds", "WORKER_TIMEOUT", unit="s", ge=1, le=86_400),
    ] = 600.0
    memory_gb: Annotated[
        float,
        limit(
            "a worker may not ask for more, GB of addresses; 0: what the machine has",
            "WORKER_MEMORY",
            unit="GB",
            ge=0,
            le=4096,
        ),
    ] = 0.0
    fail_on: Annotated[
        Literal["review", "reject", "never"], Meta(description="exit status 1 from here on")
    ] = "reject"
