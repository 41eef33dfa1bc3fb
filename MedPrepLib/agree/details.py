"""Everything that explains an agreement, put together for one case."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from MedPrepLib.agree.causes import explain
from MedPrepLib.agree.chance import chance_agreement
from MedPrepLib.agree.differences import differing_components
from MedPrepLib.agree.disagreement import worst_slices
from MedPrepLib.agree.lesions import counted, lesion_agreement
from MedPrepLib.agree.surface import surfaces
from MedPrepLib.agree.versus import first_readings
from MedPrepLib.config.settings import Agree
from MedPrepLib.results import Agreement, Difference, GridVerdict
from MedPrepLib.segmentation import Segmentation

MOST_DIFFERENCES = 20
"""Places kept per label; noise-like masks have thousands, and nobody visits them all."""


def details(
    readings: Mapping[str, Segmentation],
    agreement: Agreement,
    settings: Agree,
    verdicts: Mapping[str, GridVerdict] | None = None,
) -> Agreement:
    """``agreement`` with surfaces, lesions, chance, causes, and the places that differ.

    Surfaces are measured when ``settings.surfaces`` asks for it; causes and places are looked for
    on labels below the threshold only. Chance is that of one reading per person. Raises
    GeometryError when the readings lie on different grids.
    """
    names = tuple(label.label for label in agreement.labels)
    drawn = tuple(name for name in names if any(r.find(name) for r in readings.values()))
    low = [
        label.label
        for label in agreement.labels
        if label.worst_dice is not None and label.worst_dice < settings.threshold
    ]
    return msgspec.structs.replace(
        agreement,
        surfaces=surfaces(readings, drawn, settings.tolerance_mm) if settings.surfaces else (),
        lesions=tuple(
            counted(row) for name in drawn for row in lesion_agreement(readings, name, settings)
        ),
        chance=chance_agreement(first_readings(readings), drawn),
        causes=explain(readings, agreement, settings, verdicts),
        worst_slices=worst_slices(readings) if low else (),
        differences=tuple(found for name in low for found in _places(readings, name)),
    )


def _places(readings: Mapping[str, Segmentation], label: str) -> tuple[Difference, ...]:
    return differing_components(readings, label)[:MOST_DIFFERENCES]
