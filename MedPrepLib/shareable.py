"""What may leave the site: the facts of a header that identify nobody (PS3.15, Basic Profile).

An allow-list: nothing is kept but what stands here, and of texts only words of closed lists. A
free text of a header, of whatever attribute, may say anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date

from MedPrepLib.cohort import Case, Scan
from MedPrepLib.config.settings import Privacy
from MedPrepLib.identity import may_identify
from MedPrepLib.screen import modality_of
from MedPrepLib.vocabulary import BODY_PARTS, FIELD_STRENGTHS_T, IMAGE_TYPES, OTHER, kernel_class

OLDEST_STATED_AGE = 90
"""Ages from here on are stored as this number (PS3.15: they identify in small populations)."""

KNOWN_VENDORS = (
    "GE",
    "Siemens",
    "Philips",
    "Canon",
    "Toshiba",
    "Hitachi",
    "United Imaging",
    "Fujifilm",
    "Hyperfine",
    "Bruker",
    "Esaote",
    "Shimadzu",
    "Neusoft",
    "Mindray",
)
MOST_MODEL = 32
"""Characters of a model's name; longer ones are no names."""

Fact = str | int | float
_GAUSS_PER_TESLA = 10_000.0
_NO_WORDS = "no,none,nein,without,ohne,n,0,no contrast,native,nativ"
_NO_AGENT = frozenset(_NO_WORDS.split(","))


def shareable_facts(
    case: Case,
    patient: str,
    privacy: Privacy | None = None,
    model: str = "",
    days: int | None = None,
) -> dict[str, Fact]:
    """What may be kept of a header: an allow-list; no dates, no UIDs, no free texts.

    ``patient`` is the public name of the person, ``model`` the device's if enough patients share
    it (:func:`shared_models`), ``days`` those since the patient's first study.
    """
    privacy = privacy or Privacy()
    scan = case.scan
    facts: dict[str, Fact | None] = {
        "modality": modality_of(case),
        "patient": patient,
        "center": case.patient.center,
        "sex": case.patient.sex,
        "age_years": shareable_age(case.patient.age_years, privacy.age_step_years),
        "age_capped": True if _is_old(case) and "age_years" not in privacy.leave_out else None,
        "manufacturer": device(scan.manufacturer),
        "model": model,
        "kvp": scan.kvp,
        "slice_thickness_mm": scan.slice_thickness_mm,
        "repetition_time_ms": scan.repetition_time_ms,
        "echo_time_ms": scan.echo_time_ms,
        "field_strength_t": field_strength(scan.field_strength_t),
        "days_since_first_study": days if privacy.study_days else None,
        **(_dicom_facts(scan) if case.image.kind == "dicom" else {}),
    }
    return {
        name: value
        for name, value in facts.items()
        if value not in (None, "") and name not in privacy.leave_out
    }


def _dicom_facts(scan: Scan) -> dict[str, Fact | None]:
    """What only a DICOM header tells; that it does not tell is a fact, too."""
    return {
        "body_part": listed(scan.body_part, BODY_PARTS),
        "image_type": "\\".join(listed(value, IMAGE_TYPES) for value in scan.image_type),
        "kernel": kernel_class(scan.kernel),
        "contrast_agent": contrast(scan.contrast_agent),
        "bits_stored": max(scan.bits_stored, default=None),
        "lossy": scan.lossy.strip() == "01",
        "study_description_present": bool(scan.study_description.strip()),
    }


def _is_old(case: Case) -> bool:
    return (case.patient.age_years or 0) >= OLDEST_STATED_AGE


def shareable_age(age_years: int | None, step: int = 1) -> int | None:
    """An age that may be kept: the lower end of a span of ``step`` years; 90 and over as 90."""
    if age_years is None:
        return None
    return OLDEST_STATED_AGE if age_years >= OLDEST_STATED_AGE else age_years // step * step


def device(manufacturer: str) -> str:
    """A vendor's normalized name; "other" for unknown ones, for free text may say anything."""
    text = manufacturer.casefold()
    if not text.strip():
        return ""
    return next((v for v in KNOWN_VENDORS if text.startswith(v.casefold())), OTHER)


def listed(text: str, words: frozenset[str]) -> str:
    """A term of a closed list, in capitals; "other" for anything else, empty for nothing."""
    word = " ".join(text.upper().split())
    return word if word in words or not word else OTHER


def field_strength(tesla: float | None) -> float | None:
    """The usual strength that is nearest by ratio; header values in gauss are understood."""
    if tesla is None or tesla <= 0:
        return None
    true = tesla / _GAUSS_PER_TESLA if tesla >= 100 else tesla
    return min(FIELD_STRENGTHS_T, key=lambda usual: max(true / usual, usual / true))


def contrast(agent: str) -> str:
    """yes, no or unknown, of ContrastBolusAgent (0018,0010): absent means nothing."""
    word = agent.strip().casefold()
    if not word:
        return "unknown"
    return "no" if word in _NO_AGENT else "yes"


def shared_models(
    cases: Iterable[Case], person: Callable[[Case], str], fewest: int
) -> frozenset[str]:
    """Names of models that scans of at least ``fewest`` people share and that look like names."""
    people: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        people[model_name(case.scan.model)].add(person(case))
    return frozenset(
        model
        for model, who in people.items()
        if model and len(who) >= fewest and not may_identify(model)
    )


def days_since_first(dates: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """Days since the first study of a case's patient, by case.

    ``dates``: (public name of the patient, StudyDate (0008,0020)) by case. Without a whole date
    nothing is known of a case, and it is nobody's first.
    """
    known = {
        case: (patient, day)
        for case, (patient, text) in dates.items()
        if (day := _day(text)) is not None
    }
    first: dict[str, date] = {}
    for patient, day in known.values():
        first[patient] = min(day, first.get(patient, day))
    return {case: (day - first[patient]).days for case, (patient, day) in known.items()}


def _day(text: str) -> date | None:
    """A date as DICOM writes it (VR DA: YYYYMMDD, once YYYY.MM.DD); None for anything else."""
    digits = text.strip().replace(".", "")
    try:
        return (
            date(int(digits[:4]), int(digits[4:6]), int(digits[6:])) if len(digits) == 8 else None
        )
    except ValueError:
        return None


def model_name(model: str) -> str:
    """A model's name without outer and double blanks; empty for what cannot be one."""
    name = " ".join(model.split())
    return name if name.isprintable() and len(name) <= MOST_MODEL else ""
