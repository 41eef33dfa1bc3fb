"""PET: what turns the values of a series into standardized uptake values by body weight (SUVbw).

SUVbw (g/mL) = activity concentration (Bq/mL) * weight (g) / dose at the time of the scan (Bq).
Follows the vendor-neutral pseudo-code of the QIBA FDG-PET committee ("SUV cannot be calculated
if any of the specified DICOM attributes are missing or empty or zero"). The factor belongs to
rescaled values: RescaleSlope may differ from slice to slice, the factor does not.
Dates and times are used in here and never leave: messages name attributes, not their values.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MedPrepLib.dicom.bounded import pydicom_reading, read_bounded
from MedPrepLib.dicom.elements import MAX_HEADER_BYTES
from MedPrepLib.dicom.headers import SliceHeader
from MedPrepLib.errors import ReadError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_WEIGHT_KG = 500.0
DOSE_BQ = (1e4, 1e11)
"""Mice get megabecquerels, adults up to some gigabecquerels; 370 means that MBq were written."""
HALF_LIFE_S = (30.0, 1e6)
"""Rubidium-82 has 75 s, iodine-124 361,000 s."""
LONG_HALF_LIFE_S = 86_400.0
"""From here on people are scanned days later: a start time without its date says nothing."""
MAX_HALF_LIVES = 10.0
"""After so many half-lives a thousandth is left, and nobody scans."""
MAX_OVER_MIDNIGHT = timedelta(hours=12)
"""A start time after that of the scan is yesterday's only if it was no longer ago than this."""

_UNITS = frozenset({
    "CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG",
    "1CM", "UMOLML", "PROPCNTS", "PROPCPS", "MLMINML", "MLML", "GML", "STDDEV",
})  # fmt: skip
"""Defined terms of Units (0054,1001), PS3.3 C.8.9.1.1.3: only these are quoted."""
_SUV_TYPES = frozenset({"BSA", "LBM", "LBMJAMES128", "LBMJANMA", "IBW"})
_GE, _PHILIPS = "GEMS_PETD_01", "Philips PET Private Group"


class SuvUnknownError(ReadError):
    """A PET series whose attributes do not say how its values become SUV; names which."""


def suv_factor(header: SliceHeader) -> float:
    """SUVbw (g/mL) per unit of the rescaled values of the series that ``header`` is a slice of.

    Units (0054,1001): GML, 1; BQML, weight over the dose decayed to the scan (Decay Correction
    START) or the dose itself (ADMIN); CNTS, Philips' private factors. Raises SuvUnknownError,
    which names the attribute that is missing or implausible, also for a damaged header.
    """
    try:
        with pydicom_reading():
            return _factor(_read(header))
    except SuvUnknownError:
        raise
    except ReadError as error:
        raise SuvUnknownError(f"the header cannot be used: {error}") from None


def _read(header: SliceHeader) -> Dataset:
    with Path(header.path).open("rb") as file:
        return read_bounded(file, MAX_HEADER_BYTES)


def _factor(dataset: Dataset) -> float:
    units = _code(dataset, "Units")
    if units == "GML":
        return _already_suv(dataset)
    if units == "CNTS":
        return _of_counts(dataset)
    if units == "BQML":
        return _of_activity(dataset)
    raise SuvUnknownError(
        f"Units (0054,1001) {_said(units, _UNITS)}; BQML, GML and Philips' CNTS can be converted"
    )


def _already_suv(dataset: Dataset) -> float:
    """1: values in g/mL are SUVbw unless SUV Type (0054,1006) names another normalization."""
    kind = _code(dataset, "SUVType")
    if kind not in {"", "BW"}:
        raise SuvUnknownError(
            f"SUV Type (0054,1006) {_said(kind, _SUV_TYPES)}: not normalized by body weight"
        )
    return 1.0


def _of_counts(dataset: Dataset) -> float:
    """Philips: (7053,xx00) scales to SUVbw, else (7053,xx09) to Bq/mL; both after the slope."""
    scale = _private_number(dataset, 0x00)
    if scale > 0:
        return scale
    scale = _private_number(dataset, 0x09)
    if scale > 0:
        return scale * _of_activity(dataset)
    raise SuvUnknownError(
        "Units (0054,1001) are CNTS and Philips' SUV Scale Factor (7053,1000) and Activity "
        "Concentration Scale Factor (7053,1009) are missing or zero"
    )


def _of_activity(dataset: Dataset) -> float:
    corrected = [str(x).upper() for x in _values(dataset, "CorrectedImage")]
    if corrected and "ATTN" not in corrected:
        raise SuvUnknownError(
            "Corrected Image (0028,0051) lacks ATTN: attenuation is not corrected"
        )
    decay = _code(dataset, "DecayCorrection")
    if decay not in {"START", "ADMIN"}:
        said = _said(decay, frozenset({"NONE"}))
        raise SuvUnknownError(f"Decay Correction (0054,1102) {said}; START or ADMIN is needed")
    weight_kg = _number(dataset, "PatientWeight", "Patient's Weight (0010,1030)")
    _require("Patient's Weight (0010,1030)", weight_kg, 0.0, MAX_WEIGHT_KG, "kg")
    drug = _drug(dataset)
    dose = _number(drug, "RadionuclideTotalDose", "Radionuclide Total Dose (0018,1074)")
    _require("Radionuclide Total Dose (0018,1074)", dose, *DOSE_BQ, "Bq")
    left = 1.0 if decay == "ADMIN" else _part_left(dataset, drug)
    return weight_kg * 1000 / (dose * left)


def _part_left(dataset: Dataset, drug: Dataset) -> float:
    """What part of the dose is left at the time to which the values are decay-corrected."""
    half_life = _number(drug, "RadionuclideHalfLife", "Radionuclide Half Life (0018,1075)")
    _require("Radionuclide Half Life (0018,1075)", half_life, *HALF_LIFE_S, "s")
    scan = _scan_time(dataset, half_life)
    waited = (scan - _start_time(drug, scan, half_life)).total_seconds() / half_life
    if waited < 0:
        raise SuvUnknownError("Radiopharmaceutical Start DateTime (0018,1078) is after the scan")
    if waited > MAX_HALF_LIVES:
        raise SuvUnknownError(
            f"Radiopharmaceutical Start Time (0018,1072) is {waited:.0f} half-lives before the "
            f"scan, more than {MAX_HALF_LIVES:g}"
        )
    return float(2.0**-waited)


# --- when -------------------------------------------------------------------------------------
def _scan_time(dataset: Dataset, half_life: float) -> datetime:
    """The time to which values are corrected: that of the series, if the scan was not earlier.

    A series time after the acquisition is that of a reconstruction. GE keeps the time of the scan
    in a private attribute; else it is reckoned back from the frame's average count rate.
    """
    series = _moment(dataset, "Series")
    acquired = _moment(dataset, "Acquisition")
    if series is not None and acquired is not None and series <= acquired:
        return series
    if acquired is None:
        raise SuvUnknownError("Acquisition Date (0008,0022) or Time (0008,0032) is missing")
    if series is None:
        raise SuvUnknownError("Series Date (0008,0021) or Time (0008,0031) is missing")
    own = _ge_scan_time(dataset)
    if own is not None and own <= acquired:
        return own
    return acquired - timedelta(seconds=_reference_offset_s(dataset, half_life))


def _reference_offset_s(dataset: Dataset, half_life: float) -> float:
    """Seconds from the time that values are corrected to, to the start of this frame.

    Frame Reference Time (0054,1300) is when, after that time, the average count rate was met; in
    the frame it is met ln(x / (1 - exp(-x))) / lambda after its start, x = lambda * duration.
    """
    name = "Series Time (0008,0031) is after Acquisition Time (0008,0032), and "
    reference = _number(dataset, "FrameReferenceTime", name + "Frame Reference Time (0054,1300)")
    duration = _number(dataset, "ActualFrameDuration", name + "Actual Frame Duration (0018,1242)")
    if reference <= 0 or duration <= 0:
        raise SuvUnknownError(
            name + "Frame Reference Time (0054,1300) or Actual Frame Duration (0018,1242) is zero"
        )
    rate = math.log(2) / half_life
    decay = rate * duration / 1000
    average = math.log(decay / -math.expm1(-decay)) / rate
    return reference / 1000 - average


def _start_time(drug: Dataset, scan: datetime, half_life: float) -> datetime:
    """When the tracer was given: with its date, else on the day of the scan or the night before."""
    stated = str(drug.get("RadiopharmaceuticalStartDateTime") or "")
    if stated:
        given = _parsed(stated[:8], stated[8:])
        if given is None:
            raise SuvUnknownError(
                "Radiopharmaceutical Start DateTime (0018,1078) is no date and time"
            )
        return given
    clock = str(drug.get("RadiopharmaceuticalStartTime") or "")
    given = _parsed(scan.strftime("%Y%m%d"), clock)
    if given is None:
        raise SuvUnknownError("Radiopharmaceutical Start Time (0018,1072) is missing or no time")
    if half_life >= LONG_HALF_LIFE_S:
        raise SuvUnknownError(
            "Radiopharmaceutical Start DateTime (0018,1078) is missing; a time without a date is "
            f"not enough at a half-life of {half_life / 3600:.0f} h"
        )
    if given <= scan:
        return given
    before = given - timedelta(days=1)
    if scan - before <= MAX_OVER_MIDNIGHT:
        return before
    raise SuvUnknownError("Radiopharmaceutical Start Time (0018,1072) is after the scan")


def _moment(dataset: Dataset, name: str) -> datetime | None:
    return _parsed(str(dataset.get(f"{name}Date") or ""), str(dataset.get(f"{name}Time") or ""))


def _ge_scan_time(dataset: Dataset) -> datetime | None:
    text = _private(dataset, 0x0009, _GE, 0x0D)
    return _parsed(text[:8], text[8:])


def _parsed(date: str, time: str) -> datetime | None:
    """DA (also with dots) and TM (also with colons, or cut short); an offset to UTC is left out.

    All times of a series are those of one clock, here called UTC; None when there is no such
    moment.
    """
    day, clock = re.sub(r"\D", "", date), re.match(r"\d*\.?\d*", time.strip().replace(":", ""))
    whole, _, part = (clock[0] if clock else "").partition(".")
    if len(day) != 8 or len(whole) not in {2, 4, 6}:
        return None
    try:
        moment = datetime.strptime(day + whole.ljust(6, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment + timedelta(seconds=float(f"0.{part or 0}"))


# --- attributes -------------------------------------------------------------------------------
def _drug(dataset: Dataset) -> Dataset:
    found = list(dataset.get("RadiopharmaceuticalInformationSequence") or ())
    if not found:
        raise SuvUnknownError("Radiopharmaceutical Information Sequence (0054,0016) is missing")
    first: Dataset = found[0]
    return first


def _code(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()


def _values(dataset: Dataset, keyword: str) -> list[Any]:
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else list(value)


def _number(dataset: Dataset, keyword: str, name: str) -> float:
    value = dataset.get(keyword)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SuvUnknownError(f"{name} is missing") from None


def _require(name: str, value: float, low: float, high: float, unit: str) -> None:
    """SuvUnknownError unless ``low`` < ``value`` <= ``high``."""
    if not low < value <= high:
        raise SuvUnknownError(
            f"{name} is {value:.4g} {unit}; more than {low:g} and at most {high:g} is plausible"
        )


def _said(value: str, known: frozenset[str]) -> str:
    """The words of a code in a message: only defined terms are quoted, free text is not."""
    if not value:
        return "is missing"
    return f"is {value}" if value in known else "is none of the defined terms"


def _private(dataset: Dataset, group: int, creator: str, offset: int) -> str:
    """The text of a private attribute; empty when it, or its block, is absent."""
    try:
        value = dataset.private_block(group, creator)[offset].value
    except KeyError:
        return ""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.strip("\0 ")


def _private_number(dataset: Dataset, offset: int) -> float:
    try:
        value = float(_private(dataset, 0x7053, _PHILIPS, offset) or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
