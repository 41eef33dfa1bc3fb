"""The scanners of the sample study: what their headers say and how they store numbers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Storage:
    """How modality values become stored integers: stored = (value - intercept) / 1.

    ``padding``: the stored value outside the round field of view, where the device marks it.
    """

    signed: bool = False
    bits_stored: int = 12
    intercept: int = 0
    padding: int | None = None

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest stored value."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


@dataclass(frozen=True)
class Device:
    """A scanner. ``settings`` are DICOM attributes by keyword, beyond those all series have."""

    manufacturer: str
    model: str
    storage: Storage
    settings: dict[str, object] = field(default_factory=dict)


DEVICES = {
    "siemens-ct": Device(
        "SIEMENS", "SOMATOM Definition AS+", Storage(intercept=-1024),
        {"KVP": "120", "ConvolutionKernel": "B60f", "XRayTubeCurrent": "96",
         "FilterType": "WEDGE_3", "ContrastBolusAgent": "APPLIED"},
    ),
    "ge-ct": Device(
        "GE MEDICAL SYSTEMS", "LightSpeed VCT",
        Storage(signed=True, bits_stored=16, intercept=-1024, padding=-2000),
        {"KVP": "120", "ConvolutionKernel": "LUNG", "XRayTubeCurrent": "180",
         "FilterType": "BODY FILTER"},
    ),
    "philips-ct": Device(
        "Philips", "Brilliance 64", Storage(bits_stored=16, intercept=-8192),
        {"KVP": "140", "ConvolutionKernel": "L", "XRayTubeCurrent": "71", "FilterType": "B"},
    ),
    "canon-ct": Device(
        "TOSHIBA", "Aquilion ONE", Storage(signed=True, bits_stored=16),
        {"KVP": "100", "ConvolutionKernel": "FC51", "XRayTubeCurrent": "110",
         "FilterType": "LARGE"},
    ),
    "siemens-mr": Device(
        "SIEMENS", "Skyra", Storage(), {"MagneticFieldStrength": "3", "ImagedNucleus": "1H"}
    ),
    "ge-mr": Device(
        "GE MEDICAL SYSTEMS", "Signa HDxt", Storage(bits_stored=16),
        {"MagneticFieldStrength": "1.5", "ImagedNucleus": "1H"},
    ),
    "philips-mr": Device(
        "Philips Medical Systems", "Ingenia", Storage(),
        {"MagneticFieldStrength": "3", "ImagedNucleus": "1H"},
    ),
}  # fmt: skip

SEQUENCES: dict[str, dict[str, object]] = {
    "T1": {"ScanningSequence": "GR", "SequenceVariant": ["SP", "MP"], "ScanOptions": "",
           "MRAcquisitionType": "3D", "RepetitionTime": "1900", "EchoTime": "2.98",
           "InversionTime": "900", "FlipAngle": "9", "EchoTrainLength": "1",
           "ContrastBolusAgent": "Gadobutrol"},
    "T2": {"ScanningSequence": "SE", "SequenceVariant": "SK", "ScanOptions": "",
           "MRAcquisitionType": "2D", "RepetitionTime": "5200", "EchoTime": "98",
           "FlipAngle": "90", "EchoTrainLength": "17"},
    "FLAIR": {"ScanningSequence": ["SE", "IR"], "SequenceVariant": "SK", "ScanOptions": "",
              "MRAcquisitionType": "2D", "RepetitionTime": "9000", "EchoTime": "118",
              "InversionTime": "2500", "FlipAngle": "150", "EchoTrainLength": "16"},
}  # fmt: skip
"""DICOM attributes of the MR sequences (times in milliseconds, angles in degrees)."""
