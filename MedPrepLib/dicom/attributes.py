"""The attributes that tell the volumes of one series apart, and what their values are called."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from MedPrepLib.dicom.headers import SliceHeader


class Called(NamedTuple):
    """One value of an attribute: the suffix in names of cases, and how findings say it."""

    suffix: str
    said: str


class Attribute(NamedTuple):
    """Something that may differ between the volumes of a series.

    ``calling`` gives names for all values that occur (in the order of ``sorted_values``).
    """

    name: str
    value_of: Callable[[SliceHeader], Hashable]
    calling: Callable[[Sequence[Hashable]], list[Called]]


def sorted_values(values: Iterable[Hashable]) -> list[Hashable]:
    """Distinct values, absent ones first, numbers by size."""
    return sorted(set(values), key=lambda v: (v is not None, *_sort_key(v)))


def _sort_key(value: Hashable) -> tuple[float, str]:
    return (value, "") if isinstance(value, (int, float)) else (0.0, repr(value))


def _by_value(prefix: str, unit: str = "", width: int = 1) -> Callable[..., list[Called]]:
    """Names with the value itself: b800, t003."""

    def calling(values: Sequence[Hashable]) -> list[Called]:
        return [Called(_value_suffix(prefix, v, width), _said(v, unit)) for v in values]

    return calling


def _by_rank(prefix: str, unit: str = "", width: int = 1) -> Callable[..., list[Called]]:
    """Names with the place among the values, for values that make no name: echo2, phase01."""

    def calling(values: Sequence[Hashable]) -> list[Called]:
        return [
            Called(_rank_suffix(prefix, rank, v, width), _said(v, unit))
            for rank, v in enumerate(values, start=0 if None in values else 1)
        ]

    return calling


def _rank_suffix(prefix: str, rank: int, value: Hashable, width: int) -> str:
    return f"{prefix}none" if value is None else f"{prefix}{rank:0{width}d}"


def _value_suffix(prefix: str, value: Hashable, width: int) -> str:
    if value is None:
        return f"{prefix}none"
    number = f"{value:g}" if isinstance(value, float) else f"{value:0{width}d}"
    return prefix + number.replace(".", "_").replace("-", "m").replace("+", "")


def _said(value: Hashable, unit: str) -> str:
    if value is None:
        return "absent"
    if isinstance(value, (int, float)):
        return f"{value:g}{unit}"
    return " ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else str(value)


_WORDS = {
    "M": "magnitude", "MAGNITUDE": "magnitude", "M_FFE": "magnitude", "M_SE": "magnitude",
    "M_IR": "magnitude", "P": "phase", "PHASE": "phase", "PHASE MAP": "phase", "P_FFE": "phase",
    "R": "real", "REAL": "real", "R_FFE": "real", "R_IR": "real", "I": "imaginary",
    "IMAGINARY": "imaginary", "I_FFE": "imaginary", "MIXED": "mixed",
    "W": "water", "WATER": "water", "F": "fat", "FAT": "fat", "IP": "in_phase",
    "IN_PHASE": "in_phase", "OP": "opposed_phase", "OPP_PHASE": "opposed_phase",
    "OUT_PHASE": "opposed_phase", "ORIGINAL": "original", "DERIVED": "derived", "MEAN": "mean",
    "ADC": "adc", "TRACEW": "trace", "FA": "fa", "T1 MAP": "t1_map", "T2 MAP": "t2_map",
}  # fmt: skip
"""Values of ImageType and ComplexImageComponent in words; others are numbered, never quoted."""


def _component(values: Sequence[Hashable]) -> list[Called]:
    words = [_WORDS.get(str(v), "") for v in values]
    return _worded(words, "component")


def _image_type(values: Sequence[Hashable]) -> list[Called]:
    """The words of an ImageType that not all volumes share."""
    types = [v if isinstance(v, tuple) else () for v in values]
    common = set(types[0]).intersection(*types[1:])
    own = [[_WORDS[w] for w in t if w not in common and w in _WORDS] for t in types]
    return _worded(["_".join(dict.fromkeys(words)) for words in own], "type")


def _worded(words: Sequence[str], prefix: str) -> list[Called]:
    if all(words) and len(set(words)) == len(words):
        return [Called(word, word.replace("_", " ")) for word in words]
    return _numbered(prefix)(words)


def _numbered(prefix: str) -> Callable[..., list[Called]]:
    """Names of texts that are free, and so never quoted."""

    def calling(values: Sequence[Hashable]) -> list[Called]:
        return [Called(f"{prefix}{n}", str(n)) for n in range(1, len(values) + 1)]

    return calling


def _dimension(number: int) -> Attribute:
    def value_of(header: SliceHeader) -> int | None:
        index = header.dimension_index
        return index[number] if number < len(index) else None

    return Attribute(
        f"dimension {number + 1} of DimensionIndexValues (0020,9157)",
        value_of,
        _by_value(f"dim{number + 1}_"),
    )


B_VALUE = Attribute("b-value", lambda h: h.b_value, _by_value("b"))

ATTRIBUTES: tuple[Attribute, ...] = (
    B_VALUE,
    Attribute(
        "TemporalPositionIdentifier (0020,0100)",
        lambda h: h.temporal_position,
        _by_value("t", width=3),
    ),
    Attribute(
        "TriggerTime (0018,1060)", lambda h: h.trigger_time_ms, _by_rank("phase", " ms", width=2)
    ),
    Attribute("EchoTime (0018,0081)", lambda h: h.echo_time_ms, _by_rank("echo", " ms")),
    Attribute("EchoNumbers (0018,0086)", lambda h: h.echo_number, _by_value("echo")),
    Attribute("AcquisitionNumber (0020,0012)", lambda h: h.acquisition_number, _by_value("acq")),
    Attribute("diffusion direction", lambda h: h.gradient or None, _by_rank("dir", width=2)),
    Attribute(
        "ComplexImageComponent (0008,9208)", lambda h: h.complex_component or None, _component
    ),
    Attribute("ImageType (0008,0008)", lambda h: h.image_type, _image_type),
    Attribute("KVP (0018,0060)", lambda h: h.kvp, _by_value("kvp", " kV")),
    Attribute("ConvolutionKernel (0018,1210)", lambda h: h.kernel or None, _numbered("kernel")),
    Attribute("StackID (0020,9056)", lambda h: h.stack_id or None, _by_rank("stack")),
    *map(_dimension, range(6)),
)
"""In the order in which they are tried; the first that separates the slices cleanly counts."""

INSTANCE_NUMBER = Attribute(
    "InstanceNumber (0020,0013)", lambda h: h.instance_number, _by_value("number")
)
"""Never divides by its value; named where nothing else tells slices apart."""
