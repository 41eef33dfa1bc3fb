"""PET becomes SUV by body weight as reckoned independently from the tags, or says why not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import set_pixels, write_series
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from MedPrepLib.config import parse_study
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.dicom.suv import SuvUnknownError, suv_factor
from MedPrepLib.identity import SiteKey
from MedPrepLib.layout import case_folder
from MedPrepLib.pipeline import Order, Summary, run

HALF_LIFE = 6586.2
DOSE = 3.74e8
WEIGHT = 71.5


def pet(ds: Dataset, k: int = 0) -> None:
    """A complete PET slice: injection at 10:05:30, scan at 11:20:11, corrected to the scan."""
    ds.SOPClassUID = PositronEmissionTomographyImageStorage
    ds.Modality, ds.Units, ds.DecayCorrection = "PT", "BQML", "START"
    ds.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    ds.PatientWeight = WEIGHT
    ds.SeriesDate = ds.AcquisitionDate = "20200907"
    ds.SeriesTime, ds.AcquisitionTime = "112011.00", "112311"
    ds.FrameReferenceTime, ds.ActualFrameDuration = 300_000, 180_000
    drug = Dataset()
    drug.RadionuclideTotalDose = DOSE
    drug.RadionuclideHalfLife = HALF_LIFE
    drug.RadiopharmaceuticalStartTime = "100530"
    ds.RadiopharmaceuticalInformationSequence = [drug]
    ds.RescaleSlope, ds.RescaleIntercept = 1.5 + 0.25 * k, 0
    set_pixels(ds, np.random.default_rng(k).integers(0, 30000, (12, 16)).astype("<u2"), 16)


def drug(ds: Dataset) -> Dataset:
    return ds.RadiopharmaceuticalInformationSequence[0]


def factor(tmp_path: Path, change: Callable[[Dataset], None] = lambda _: None) -> float:
    def edit(ds: Dataset, k: int) -> None:
        pet(ds, k)
        change(ds)

    (path,) = write_series(tmp_path / "pet", 1, edit)
    return suv_factor(read_header(path))


def expected(seconds: float, weight: float = WEIGHT, dose: float = DOSE) -> float:
    """SUVbw per Bq/mL with the dose decayed exponentially, written with e, not with 2."""
    return weight * 1000 / (dose * math.exp(-math.log(2) * seconds / HALF_LIFE))


WAITED = (11 * 3600 + 20 * 60 + 11) - (10 * 3600 + 5 * 60 + 30)


def test_activity_at_the_time_of_the_series_is_divided_by_the_dose_left_then(tmp_path):
    assert factor(tmp_path) == pytest.approx(expected(WAITED), rel=1e-12)


def test_the_start_with_its_date_wins_over_the_time_of_day(tmp_path):
    def change(ds: Dataset) -> None:
        drug(ds).RadiopharmaceuticalStartDateTime = "20200907102011.500000+0200"
        drug(ds).RadiopharmaceuticalStartTime = "010000"

    assert factor(tmp_path, change) == pytest.approx(expected(3599.5), rel=1e-12)


def test_values_corrected_to_the_administration_need_no_time_at_all(tmp_path):
    def change(ds: Dataset) -> None:
        ds.DecayCorrection = "ADMIN"
        del ds.SeriesTime, ds.AcquisitionDate, drug(ds).RadiopharmaceuticalStartTime
        del drug(ds).RadionuclideHalfLife

    assert factor(tmp_path, change) == pytest.approx(WEIGHT * 1000 / DOSE, rel=1e-12)


def test_a_tracer_given_before_midnight_was_given_the_day_before(tmp_path):
    def change(ds: Dataset) -> None:
        ds.SeriesTime, ds.AcquisitionTime = "003000", "003000"
        drug(ds).RadiopharmaceuticalStartTime = "233000"

    assert factor(tmp_path, change) == pytest.approx(expected(3600), rel=1e-12)


def test_a_series_time_of_a_later_reconstruction_gives_way_to_that_of_the_scan(tmp_path):
    def later(ds: Dataset) -> None:
        ds.SeriesTime = "154500"

    # Bed 2 starts 180 s after the scan; its mean count rate was met at 300 s, i.e. 120 s plus the
    # decay's curvature after its start: found by integrating the decay over the frame.
    grid = (np.arange(200_000) + 0.5) * 180 / 200_000
    rate = math.log(2) / HALF_LIFE
    mean = np.exp(-rate * grid).mean()
    average_s = -math.log(mean) / rate
    scan_s = WAITED + 180 - (300 - average_s)
    assert factor(tmp_path, later) == pytest.approx(expected(scan_s), rel=1e-9)

    def by_ge(ds: Dataset) -> None:
        later(ds)
        block = ds.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20200907111500.00")

    waited = WAITED - 311
    assert factor(tmp_path / "ge", by_ge) == pytest.approx(expected(waited), rel=1e-12)


def philips(offset: int, value: str) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        ds.Units = "CNTS"
        block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(offset, "DS", value)

    return change


def test_counts_are_scaled_by_philips_private_factors(tmp_path):
    assert factor(tmp_path / "suv", philips(0x00, "0.000551")) == pytest.approx(0.000551)
    found = factor(tmp_path / "activity", philips(0x09, "1.75"))
    assert found == pytest.approx(1.75 * expected(WAITED), rel=1e-12)
    with pytest.raises(SuvUnknownError, match="7053,1000"):
        factor(tmp_path / "none", philips(0x00, "0"))


@pytest.mark.parametrize("kind", ["BW", None])
def test_grams_per_milliliter_are_suv_already(tmp_path, kind):
    def change(ds: Dataset) -> None:
        ds.Units = "GML"
        if kind:
            ds.SUVType = kind
        del ds.PatientWeight

    assert factor(tmp_path, change) == 1.0


def _set(where: str, keyword: str, value: object) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        target = drug(ds) if where == "drug" else ds
        if value is None:
            delattr(target, keyword)
        else:
            setattr(target, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("", "Units", None), r"Units \(0054,1001\) is missing"),
        (_set("", "Units", "CPS"), "is CPS"),
        (_set("", "Units", "MUSTERMANN"), "none of the defined terms"),
        (_set("", "DecayCorrection", None), r"0054,1102\) is missing"),
        (_set("", "DecayCorrection", "NONE"), r"0054,1102\) is NONE"),
        (_set("", "CorrectedImage", ["DECY"]), "ATTN"),
        (_set("", "PatientWeight", None), r"Weight \(0010,1030\) is missing"),
        (_set("", "PatientWeight", 0), "0 kg"),
        (_set("", "PatientWeight", 71500), "7.15e.04 kg"),
        (_set("", "RadiopharmaceuticalInformationSequence", None), "0054,0016"),
        (_set("drug", "RadionuclideTotalDose", None), r"0018,1074\) is missing"),
        (_set("drug", "RadionuclideTotalDose", 0), "0 Bq"),
        (_set("drug", "RadionuclideTotalDose", 374), "374 Bq"),
        (_set("drug", "RadionuclideHalfLife", None), r"0018,1075\) is missing"),
        (_set("drug", "RadionuclideHalfLife", 0), "0 s"),
        (_set("drug", "RadionuclideHalfLife", 282_000), "half-life of 78 h"),
        (_set("drug", "RadiopharmaceuticalStartTime", None), r"0018,1072\) is missing"),
        (_set("drug", "RadiopharmaceuticalStartTime", "113000"), r"0018,1072\) is after the scan"),
        (
            _set("drug", "RadiopharmaceuticalStartDateTime", "20200907113000"),
            r"0018,1078\) is after the scan",
        ),
        (_set("drug", "RadiopharmaceuticalStartDateTime", "20200901113000"), "half-lives"),
        (_set("", "AcquisitionTime", None), "0008,0022"),
        (_set("", "SeriesTime", None), "0008,0031"),
    ],
)
def test_the_attribute_that_keeps_a_pet_from_becoming_suv_is_named(tmp_path, change, named):
    with pytest.raises(SuvUnknownError, match=named) as caught:
        factor(tmp_path, change)
    assert "2020" not in str(caught.value)
    assert "MUSTER" not in str(caught.value)


def test_other_normalizations_than_body_weight_are_not_called_so(tmp_path):
    def change(ds: Dataset) -> None:
        ds.Units, ds.SUVType = "GML", "LBM"

    with pytest.raises(SuvUnknownError, match="is LBM"):
        factor(tmp_path, change)


# --- from the series to the packed case -------------------------------------------------------
STUDY = """
name = "pet"
[[sources]]
kind = "dicom"
path = "raw"
[screen.severity]
NO_READING = "note"
[labels.tumor]
value = 1
[privacy]
case_names = "given"
[split]
test_fraction = 0
"""


def finished(folder: Path, settings: str = "") -> Summary:
    text = STUDY + settings
    order = Order(parse_study(text), text, folder, folder / "cohort", workers=1)
    return run(order, key=SiteKey(bytes(32)))


def packed(folder: Path, case: str) -> tuple[np.ndarray, str]:
    h5py = pytest.importorskip("h5py")
    (path,) = (folder / "cohort" / case_folder(case)).glob(f"{case}-*.h5")
    with h5py.File(path) as file:
        return file["image"][:], file.attrs["intensity_unit"]


def test_a_packed_pet_holds_suv_and_says_so(tmp_path):
    paths = write_series(tmp_path / "raw" / "pet", 4, pet)
    (case,) = finished(tmp_path).included
    assert not [f for f in case.findings if f.code == "SUV_UNKNOWN"]
    voxels, unit = packed(tmp_path, case.id)
    assert unit == "SUVbw"
    slices = sorted((pydicom.dcmread(p) for p in paths), key=lambda d: d.InstanceNumber)
    wanted = [d.pixel_array * float(d.RescaleSlope) * expected(WAITED) for d in slices]
    np.testing.assert_allclose(voxels, wanted, rtol=1e-6)
    assert case.statistics is not None
    assert case.statistics.maximum == pytest.approx(np.max(wanted), rel=1e-6)


def test_a_pet_without_a_dose_keeps_its_values_with_a_question(tmp_path):
    def edit(ds: Dataset, k: int) -> None:
        pet(ds, k)
        drug(ds).RadionuclideTotalDose = 0

    paths = write_series(tmp_path / "raw" / "pet", 4, edit)
    (case,) = finished(tmp_path).included
    (finding,) = [f for f in case.findings if f.code == "SUV_UNKNOWN"]
    assert finding.severity.word == "review"
    assert "(0018,1074) is 0 Bq" in finding.message
    voxels, unit = packed(tmp_path, case.id)
    assert unit == "stored"
    first = min((pydicom.dcmread(p) for p in paths), key=lambda d: d.InstanceNumber)
    np.testing.assert_allclose(voxels[0], first.pixel_array * 1.5)


def test_a_study_may_ask_for_pet_as_it_is_stored(tmp_path):
    write_series(tmp_path / "raw" / "pet", 3, pet)
    (case,) = finished(tmp_path, '[standardize]\npet = "stored"\n').included
    assert packed(tmp_path, case.id)[1] == "stored"
    assert not [f for f in case.findings if f.code == "SUV_UNKNOWN"]


def test_a_ct_is_packed_in_hounsfield_units(tmp_path):
    write_series(tmp_path / "raw" / "ct", 3)
    (case,) = finished(tmp_path).included
    assert packed(tmp_path, case.id)[1] == "HU"


def test_the_real_pet_in_grams_per_milliliter_is_suv_as_it_is(shared_data):
    folder = shared_data / "cohort/sts/STS_001/PET/image"
    headers = [read_header(str(p)) for p in sorted(folder.iterdir())]
    assert {suv_factor(h) for h in headers} == {1.0}
    tags = pydicom.dcmread(headers[0].path, stop_before_pixels=True)
    assert (tags.Units, tags.SUVType) == ("GML", "BW")
