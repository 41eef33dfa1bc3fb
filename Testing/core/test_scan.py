"""Sources: folders, tables, DICOM trees, nnU-Net; what they find and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from dicom_files import OBLIQUE, position, save, set_pixels, stored_pixels, write_series
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from MedPrepLib.config import parse_study
from MedPrepLib.dicom.headers import read_header
from MedPrepLib.errors import ConfigError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume
from MedPrepLib.ledger import open_ledger
from MedPrepLib.sample.niftifile import write_nifti
from MedPrepLib.scan import Scanned, scan
from MedPrepLib.scan.headers import HeaderReader
from MedPrepLib.scan.records import FilesSeen, decoded, encoded, reading_of
from MedPrepLib.scan.walk import listings_below

LABELS = "\n[labels.lesion]\nvalue = 1\n[labels.organ]\nvalue = 2\n"


def found(folder: Path, source: str, ledger=None) -> Scanned:
    return scan(parse_study(f'name = "x"\n[[sources]]\n{source}{LABELS}'), folder, ledger)


def nifti(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, Volume(np.zeros((4, 5, 6), np.int16), Geometry((6, 5, 4))))
    return path


@pytest.fixture
def sample(sample_folder: Path) -> Path:
    return sample_folder


def test_folders_give_center_patient_case_and_raters(tmp_path) -> None:
    nifti(tmp_path / "raw/north/p1/c1/image.nii.gz")
    nifti(tmp_path / "raw/north/p1/c1/masks/ana.nii.gz")
    nifti(tmp_path / "raw/north/p1/c1/masks/ben/lesion.nii.gz")
    nifti(tmp_path / "raw/north/p1/c1/masks/ben/organ.nii.gz")
    (one,) = found(tmp_path, 'kind = "folders"\npath = "raw"\nmodality = "MR"').candidates
    case = one.case
    assert (case.id, case.patient.center, case.patient.id) == ("north/p1/c1", "north", "p1")
    assert case.scan.modality == "MR"
    assert [r.rater for r in case.readings] == ["ana", "ben"]
    assert [p.label for p in case.readings[1].parts] == ["lesion", "organ"]
    assert case.readings[0].parts[0].label is None


def test_boxes_and_slice_labels_are_readings_of_their_own_kind(tmp_path) -> None:
    nifti(tmp_path / "raw/n/p/c/image.nii.gz")
    masks = tmp_path / "raw/n/p/c/masks"
    nifti(masks / "ana.nii.gz")
    (masks / "ben.mrk.json").write_text("{}")
    (masks / "ben.slices.csv").write_text("label,start,stop\n")
    (one,) = found(tmp_path, 'kind = "folders"\npath = "raw"').candidates
    assert [r.rater for r in one.case.readings] == ["ana"]
    assert [r.rater for r in one.case.boxes] == ["ben"]
    assert [r.rater for r in one.case.slices] == ["ben"]


def test_a_case_folder_with_two_images_is_a_question(tmp_path) -> None:
    for name in ("a", "b"):
        nifti(tmp_path / f"raw/north/p1/c1/{name}.nii.gz")
    (one,) = found(tmp_path, 'kind = "folders"\npath = "raw"').candidates
    assert [f.code for f in one.findings] == ["AMBIGUOUS_IMAGE"]


def test_annotation_rules_name_rater_label_and_values(tmp_path) -> None:
    nifti(tmp_path / "raw/n/p/c/image.nii.gz")
    for name in ("r1_les", "r1_org", "junk"):
        nifti(tmp_path / f"raw/n/p/c/masks/{name}.nii.gz")
    rules = (
        'kind = "folders"\npath = "raw"\n'
        '[sources.annotations.r1_les]\nrater = "r1"\nlabel = "lesion"\n'
        '[sources.annotations.r1_org]\nrater = "r1"\nvalues = { 7 = "organ" }\n'
        "[sources.annotations.junk]\nignore = true\n"
    )
    (one,) = found(tmp_path, rules).candidates
    (reading,) = one.case.readings
    assert reading.rater == "r1"
    assert [(p.label, p.values) for p in reading.parts] == [
        ("lesion", ()),
        (None, ((7, "organ"),)),
    ]


def table(folder: Path, text: str, name: str = "cases.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return f'kind = "table"\npath = "{name}"'


def test_a_table_wins_over_headers_and_keeps_ids_as_text(sample, tmp_path) -> None:
    image = sample / "raw/north/LC-0003/followup/image"
    source = table(
        tmp_path,
        f"case,patient,image,center,sex,age,modality\nc1,0012,{image},west,f,061Y,ct\n",
    )
    (one,) = found(tmp_path, source).candidates
    patient = one.case.patient
    assert (patient.id, patient.center, patient.sex, patient.age_years) == ("0012", "west", "F", 61)
    assert one.case.scan.modality == "CT"
    assert one.case.scan.manufacturer  # what the table does not say comes from the header
    assert one.case.image.geometry is not None


@pytest.mark.parametrize(
    ("row", "word"),
    [(",p,i.nii", "'case'"), ("c1,p,", "'image'"), ("c1,p,i.nii,oops", "name=path")],
)
def test_a_bad_row_is_named_by_line_and_column_and_the_others_go_on(tmp_path, row, word) -> None:
    nifti(tmp_path / "good.nii.gz")
    source = table(tmp_path, f"case,patient,image,annotations\n{row}\nok,p,good.nii.gz,\n")
    scanned = found(tmp_path, source)
    assert [c.case.id for c in scanned.candidates] == ["ok"]
    (finding,) = scanned.findings
    assert (finding.code, finding.item) == ("TABLE_ROW_INVALID", "source 1, line 2")
    assert word in finding.message


def test_a_case_in_two_rows_is_not_guessed(tmp_path) -> None:
    nifti(tmp_path / "a.nii.gz")
    source = table(tmp_path, "case,patient,image\nx,1,a.nii.gz\nx,2,a.nii.gz\n")
    scanned = found(tmp_path, source)
    assert scanned.candidates == ()
    assert [f.code for f in scanned.findings].count("TABLE_ROW_INVALID") == 2


def test_a_missing_image_excludes_its_case_only(tmp_path) -> None:
    scanned = found(tmp_path, table(tmp_path, "case,patient,image\nx,1,nowhere.nii.gz\n"))
    assert [f.code for f in scanned.candidates[0].findings] == ["FILE_MISSING"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("case,image\n", "'patient'"), ("id,patient,image\n", "'case'")],
)
def test_a_missing_column_stops_before_any_work(tmp_path, text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        found(tmp_path, table(tmp_path, text))


def test_renamed_columns_and_tabs_are_read(tmp_path) -> None:
    nifti(tmp_path / "a.nii.gz")
    source = table(tmp_path, "ID\tpatient\timage\nq\t1\ta.nii.gz\n", "cases.tsv")
    (one,) = found(tmp_path, source + '\ncolumns = { case = "ID" }').candidates
    assert one.case.id == "q"


@pytest.mark.fault("F23")
def test_a_dicom_tree_finds_series_by_content_whatever_files_are_called(sample, tmp_path) -> None:
    series = sample / "raw/south/BR-0005/baseline/image"
    deep = tmp_path / "export" / "a" / "b"
    deep.mkdir(parents=True)
    for number, path in enumerate(sorted(p for p in series.iterdir() if p.is_file())):
        shutil.copy(path, deep / f"{number:04d}")
    (deep / "readme.txt").write_text("not DICOM")
    (deep / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM junk")
    with zipfile.ZipFile(deep / "packed.dcm", "w") as packed:
        packed.write(deep / "0000", "0000")
    scanned = found(tmp_path, 'kind = "dicom"\npath = "export"\ncenter = "east"')
    (one,) = scanned.candidates
    assert one.case.id == "a/b"
    assert one.case.patient.center == "east"
    assert one.case.image.geometry is not None
    packed, other = scanned.findings
    assert (packed.code, other.code) == ("FILE_UNREADABLE", "FILE_IGNORED")
    assert "1 file is called like a DICOM object" in packed.message
    assert "1 of" in other.message


def test_masks_of_a_dicom_tree_lie_in_a_folder_per_case(sample, tmp_path) -> None:
    series = sample / "raw/south/BR-0005/baseline/image"
    shutil.copytree(series, tmp_path / "export/case7")
    nifti(tmp_path / "masks/case7/ana.nii.gz")
    source = 'kind = "dicom"\npath = "export"\nmasks = "masks"'
    (one,) = found(tmp_path, source).candidates
    assert [r.rater for r in one.case.readings] == ["ana"]


def test_nnunet_labels_are_mapped_by_name(tmp_path) -> None:
    nifti(tmp_path / "raw/imagesTr/lung_001_0000.nii.gz")
    nifti(tmp_path / "raw/imagesTr/lung_001_0001.nii.gz")
    nifti(tmp_path / "raw/labelsTr/lung_001.nii.gz")
    (tmp_path / "raw/dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "organ": 1, "lesion": 2}})
    )
    (one,) = found(tmp_path, 'kind = "nnunet"\npath = "raw"\nmodality = "CT"').candidates
    assert one.case.id == "lung_001"
    assert one.case.readings[0].parts[0].values == ((1, "organ"), (2, "lesion"))
    (tmp_path / "raw/dataset.json").write_text("{}")
    with pytest.raises(ConfigError, match="labels"):
        found(tmp_path, 'kind = "nnunet"\npath = "raw"')


@pytest.mark.parametrize("kind", ["folders", "dicom", "table"])
def test_a_source_that_does_not_exist_is_a_configuration_error(tmp_path, kind: str) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        found(tmp_path, f'kind = "{kind}"\npath = "nowhere"')


def test_an_empty_source_is_a_question_not_a_silence(tmp_path) -> None:
    (tmp_path / "raw").mkdir()
    scanned = found(tmp_path, 'kind = "dicom"\npath = "raw"')
    assert [f.code for f in scanned.findings] == ["SOURCE_EMPTY"]


@pytest.mark.fault("F25", "F26")
@pytest.mark.skipif(os.name != "posix", reason="links and FIFOs are a POSIX matter")
def test_links_and_pipes_are_never_followed_or_opened(tmp_path) -> None:
    secret = tmp_path / "secret"
    nifti(secret / "north/p/c/image.nii.gz")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "north").symlink_to(secret / "north")
    os.mkfifo(tmp_path / "raw" / "pipe")
    (tmp_path / "raw" / "loop").symlink_to(tmp_path / "raw")
    assert found(tmp_path, 'kind = "folders"\npath = "raw"').candidates == ()
    assert found(tmp_path, 'kind = "dicom"\npath = "raw"').candidates == ()


def test_the_ledger_spares_every_header_that_did_not_change(sample, tmp_path) -> None:
    shutil.copytree(sample / "raw/west", tmp_path / "raw/west")
    source = 'kind = "folders"\npath = "raw"'
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        first = found(tmp_path, source, ledger)
        second = found(tmp_path, source, ledger)
        assert first.headers_read > 50
        assert second.headers_read == 0
        assert second.candidates == first.candidates
        touched = next(p for p in (tmp_path / "raw").rglob("image/*") if p.is_file())
        os.utime(touched, ns=(5, 5))
        assert found(tmp_path, source, ledger).headers_read == 1


def dicom_tree(folder: Path, ledger, study: str = "") -> Scanned:
    text = f'name = "x"\n{study}[[sources]]\nkind = "dicom"\npath = "raw"{LABELS}'
    return scan(parse_study(text), folder, ledger)


def test_a_rescan_notices_what_changed_came_and_went(tmp_path) -> None:
    paths = write_series(tmp_path / "raw/a", 5)
    write_series(tmp_path / "raw/b", 4)
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        assert dicom_tree(tmp_path, ledger).headers_read == 9
        assert dicom_tree(tmp_path, ledger).headers_read == 0
        Path(paths[0]).unlink()
        shutil.copy(paths[1], tmp_path / "raw/b/new")
        os.utime(paths[2], ns=(5, 5))
        again = dicom_tree(tmp_path, ledger)
        assert (again.files_seen, again.headers_read) == (9, 2)
        assert again.candidates == dicom_tree(tmp_path, None).candidates
        assert dicom_tree(tmp_path, ledger).candidates == again.candidates


def test_a_file_that_replaces_another_of_its_size_and_time_is_read(tmp_path) -> None:
    path = Path(write_series(tmp_path / "raw/a", 3)[0])
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        before = dicom_tree(tmp_path, ledger).candidates
        times = path.stat()
        new = tmp_path / "new"
        new.write_bytes(path.read_bytes().replace(b"ACME", b"BCME"))
        os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
        new.replace(path)
        assert path.stat().st_size == times.st_size
        again = dicom_tree(tmp_path, ledger)
    assert again.headers_read == 1
    assert before != again.candidates == dicom_tree(tmp_path, None).candidates


def test_other_key_attributes_are_looked_for_again(tmp_path) -> None:
    write_series(tmp_path / "raw/a", 3)
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        dicom_tree(tmp_path, ledger)
        study = '[screen]\nkey_tags = ["KVP"]\n'
        assert dicom_tree(tmp_path, ledger, study).headers_read == 3


def test_a_cancelled_scan_keeps_what_it_has_read_and_tells_how_far_it_is(tmp_path) -> None:
    for path in write_series(tmp_path / "raw/a", 3):
        for copy in range(300):
            (tmp_path / f"raw/a/{Path(path).name}_{copy}").hardlink_to(path)
    heard = []

    def cancel(count: int) -> None:
        heard.append(count)
        raise KeyboardInterrupt

    with open_ledger(tmp_path / "l.sqlite") as ledger:
        reader = HeaderReader(ledger, (), cancel)
        with pytest.raises(KeyboardInterrupt):
            reader.read(listings_below(tmp_path / "raw"), "a")
        assert heard == [500]
        rest = HeaderReader(ledger, ())
        headers, _, _ = rest.read(listings_below(tmp_path / "raw"), "a")
    assert (len(headers), rest.headers_read) == (903, 903 - reader.headers_read)


def test_a_record_that_is_none_is_read_anew(tmp_path) -> None:
    write_series(tmp_path / "raw/a", 3)
    folder = str(tmp_path / "raw/a")
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        HeaderReader(ledger, ()).read(listings_below(tmp_path / "raw"), "a")
        (good,) = ledger.headers(folder, reading_of(()))
        *stamps, columns = msgspec.msgpack.decode(good)
        short = [column[:2] if len(column) == 3 else column for column in columns]
        fewer = [stamps[0], stamps[1][:2], *stamps[2:]]
        encode = msgspec.msgpack.encode
        for record in (b"junk", encode([*stamps, short]), encode([*fewer, columns])):
            ledger.keep_headers(folder, reading_of(()), [record])
            reader = HeaderReader(ledger, ())
            assert len(reader.read(listings_below(tmp_path / "raw"), "a")[0]) == 3
            assert reader.headers_read == 3


def test_records_give_back_headers_bit_by_bit(tmp_path) -> None:
    header = read_header(write_series(tmp_path, 1)[0])
    first, last = (
        msgspec.structs.replace(
            header, path=str(tmp_path / name), size_bytes=size, mtime_ns=4, position=position
        )
        for name, size, position in (("a", 3, (0.0, 1.0, 2.0)), ("b", 5, (-0.0, 1.0, 2.0)))
    )
    seen = FilesSeen(["a", "aa", "b"], [3, 9, 5], [4, 8, 4], [6, 6, 7], [first, None, last])
    back = decoded(encoded(seen), str(tmp_path))
    assert repr(back) == repr(seen)


@pytest.mark.fault("F27")
def test_a_file_whose_name_is_no_text_is_named_unreadable(tmp_path) -> None:
    path = write_series(tmp_path / "raw", 1)[0]
    try:
        Path(path).rename(os.fsdecode(os.fsencode(tmp_path / "raw") + b"/\xff"))
    except OSError:
        pytest.skip("this file system takes names in Unicode only")
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        findings = dicom_tree(tmp_path, ledger).findings
    assert "FILE_UNREADABLE" in [f.code for f in findings]


def test_a_series_of_a_tree_that_is_a_localizer_is_told_to_be_one(tmp_path) -> None:
    def scout(ds, k: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    write_series(tmp_path / "raw/a", 2, scout)
    (one,) = dicom_tree(tmp_path, None).candidates
    rejecting = [f for f in one.findings if f.severity.word == "reject"]
    assert [f.code for f in rejecting] == ["ONLY_LOCALIZERS"]
    assert "only localizers" in rejecting[0].message


# --- series of several volumes --------------------------------------------------------------


def several(folder: Path, volumes: int = 2, planes: tuple[tuple[float, ...], ...] = ()) -> None:
    """One series of ``volumes`` x 4 slices, told apart by b-value (and plane, where given)."""
    for n in range(volumes):

        def change(ds, k: int, n: int = n) -> None:
            ds.SeriesInstanceUID = "1.2.3.4"
            ds.SOPInstanceUID = f"1.2.3.4.{n + 1}.{k + 1}"
            ds.InstanceNumber = 1 + k + 4 * n
            ds.DiffusionBValue = 400.0 * n
            set_pixels(ds, stored_pixels(k + 100 * n))
            if planes:
                ds.ImageOrientationPatient = list(planes[n])
                ds.ImagePositionPatient = position(k, planes[n])

        write_series(folder / f"v{n}", 4, change)


def _items(**attributes) -> list[Dataset]:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return [item]


def _annotation(path: Path, kind: str, uids: tuple[str, ...]) -> None:
    """An RTSTRUCT or SEG of the series that names the images it was drawn on, if any."""
    ds = Dataset()
    ds.SOPInstanceUID = "1.2.9.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.77"
    images = [_items(ReferencedSOPInstanceUID=uid)[0] for uid in uids]
    if kind == "rtstruct":
        ds.SOPClassUID, ds.Modality = RTStructureSetStorage, "RTSTRUCT"
        series = _items(SeriesInstanceUID="1.2.3.4", ContourImageSequence=[
            _items(ReferencedSOPInstanceUID=f"1.2.3.4.{n + 1}.{k + 1}")[0]
            for n in range(2) for k in range(4)
        ])  # fmt: skip
        study = _items(RTReferencedSeriesSequence=series)
        ds.ReferencedFrameOfReferenceSequence = _items(RTReferencedStudySequence=study)
        contours = [_items(ContourImageSequence=[image])[0] for image in images]
        ds.ROIContourSequence = _items(ContourSequence=contours)
    else:
        ds.SOPClassUID, ds.Modality = SegmentationStorage, "SEG"
        ds.ReferencedSeriesSequence = _items(SeriesInstanceUID="1.2.3.4")
        ds.PerFrameFunctionalGroupsSequence = [
            _items(DerivationImageSequence=_items(SourceImageSequence=[image]))[0]
            for image in images
        ]
    save(ds, path)


def test_every_volume_of_a_series_in_a_tree_is_a_case_called_after_it(tmp_path) -> None:
    several(tmp_path / "export/p1/dwi")
    scanned = found(tmp_path, 'kind = "dicom"\npath = "export"')
    b0, b400 = scanned.candidates
    assert [c.case.id for c in scanned.candidates] == ["p1/dwi/v0-b0", "p1/dwi/v0-b400"]
    for candidate, part in ((b0, "b0"), (b400, "b400")):
        assert candidate.case.image.part == part
        assert candidate.case.image.geometry is not None
        assert len(candidate.slices) == len(candidate.case.image.paths) == 4
        assert [f.code for f in candidate.findings] == ["SUB_SERIES"]
        assert candidate.findings[0].item == candidate.case.id
    assert not set(b0.case.image.paths) & set(b400.case.image.paths)


@pytest.mark.parametrize("kind", ["rtstruct", "seg"])
def test_an_annotation_belongs_to_the_volume_whose_images_it_names(tmp_path, kind: str) -> None:
    several(tmp_path / "export")
    _annotation(tmp_path / "export/a", kind, ("1.2.3.4.2.2", "1.2.3.4.2.3"))
    b0, b400 = found(tmp_path, 'kind = "dicom"\npath = "export"').candidates
    assert b0.case.readings == ()
    assert [r.rater for r in b400.case.readings] == [kind]
    assert "READING_SHARED" not in {f.code for f in b400.findings}


@pytest.mark.parametrize("kind", ["rtstruct", "seg"])
def test_an_annotation_that_does_not_say_belongs_to_all_on_one_grid(tmp_path, kind: str) -> None:
    several(tmp_path / "export")
    _annotation(tmp_path / "export/a", kind, ())
    candidates = found(tmp_path, 'kind = "dicom"\npath = "export"').candidates
    for candidate in candidates:
        assert [r.rater for r in candidate.case.readings] == [kind]
        (note,) = [f for f in candidate.findings if f.code == "READING_SHARED"]
        assert "another one of its 2 volumes" in note.message
        assert note.severity.word == "note"


def test_annotations_that_do_not_say_stay_on_the_grid_that_most_volumes_share(tmp_path) -> None:
    axial = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    several(tmp_path / "export", 3, (axial, axial, OBLIQUE))
    _annotation(tmp_path / "export/a", "seg", ())
    candidates = found(tmp_path, 'kind = "dicom"\npath = "export"').candidates
    read = {c.case.image.part: len(c.case.readings) for c in candidates}
    assert read == {"axial_b0": 1, "axial_b400": 1, "coronal": 0}


def test_masks_may_be_kept_per_volume_or_per_series(tmp_path) -> None:
    several(tmp_path / "export/dwi")
    nifti(tmp_path / "masks/dwi/v0-b400/ana.nii.gz")
    nifti(tmp_path / "masks/dwi/v0/ben.nii.gz")
    b0, b400 = found(tmp_path, 'kind = "dicom"\npath = "export"\nmasks = "masks"').candidates
    assert [r.rater for r in b0.case.readings] == ["ben"]
    assert "READING_SHARED" in {f.code for f in b0.findings}
    assert [r.rater for r in b400.case.readings] == ["ana"]
    assert "READING_SHARED" not in {f.code for f in b400.findings}


def test_a_table_row_of_several_volumes_is_a_question_that_lists_them(tmp_path) -> None:
    several(tmp_path / "dwi")
    (one,) = found(tmp_path, table(tmp_path, "case,patient,image\nx,1,dwi\n")).candidates
    (question,) = [f for f in one.findings if f.code == "AMBIGUOUS_IMAGE"]
    assert "2 image volumes lie here: b0 (4 slices), b400 (4 slices)" in question.message


def test_the_column_part_chooses_a_volume(tmp_path) -> None:
    several(tmp_path / "dwi")
    rows = "case,patient,image,part\nx,1,dwi,b400\ny,1,dwi,b0\nz,1,dwi,b800\n"
    x, y, z = found(tmp_path, table(tmp_path, rows)).candidates
    assert (x.case.image.part, y.case.image.part) == ("b400", "b0")
    assert {h.b_value for h in x.slices} == {400.0}
    assert [f.code for f in x.findings] == ["SUB_SERIES"]
    (unknown,) = z.findings
    assert unknown.code == "PART_UNKNOWN"
    assert "'b800'; there is b0 (4 slices), b400 (4 slices)" in unknown.message
    assert z.case.image.geometry is None


def test_series_in_one_folder_are_chosen_by_number_or_by_a_name_that_only_one_has(tmp_path) -> None:
    several(tmp_path / "all/a")
    write_series(tmp_path / "all/b")
    names = ("series2", "series1_b400", "b0", "series1")
    rows = "".join(f"c{n},1,all,{name}\n" for n, name in enumerate(names))
    c0, c1, c2, c3 = found(tmp_path, table(tmp_path, f"case,patient,image,part\n{rows}")).candidates
    assert len(c0.slices) == 5
    assert (c1.case.image.part, c2.case.image.part) == ("b400", "b0")
    (unknown,) = c3.findings
    assert "series1_b0 (4 slices), series1_b400 (4 slices), series2 (5 slices)" in unknown.message


def test_a_folder_source_names_the_volume_of_all_its_cases(tmp_path) -> None:
    several(tmp_path / "raw/north/p1/c1/image")
    source = 'kind = "folders"\npath = "raw"'
    (one,) = found(tmp_path, source).candidates
    assert "AMBIGUOUS_IMAGE" in {f.code for f in one.findings}
    (one,) = found(tmp_path, source + '\npart = "b400"').candidates
    assert one.case.id == "north/p1/c1"
    assert {h.b_value for h in one.slices} == {400.0}


@pytest.mark.parametrize("image", ["a.nii.gz", "plain"])
def test_an_image_without_parts_has_none_to_choose(tmp_path, image: str) -> None:
    nifti(tmp_path / "a.nii.gz")
    write_series(tmp_path / "plain")
    rows = f"case,patient,image,part\nx,1,{image},b0\n"
    (one,) = found(tmp_path, table(tmp_path, rows)).candidates
    assert [f.code for f in one.findings] == ["PART_UNKNOWN"]
    assert "one volume without a name" in one.findings[0].message


def test_a_series_that_a_person_accepts_counts_among_those_to_choose_from(tmp_path) -> None:
    write_series(tmp_path / "all/a", 6)
    write_series(tmp_path / "all/b", 9, skip=(6,))
    source = table(tmp_path, "case,patient,image\nx,1,all\n")
    (one,) = found(tmp_path, source).candidates
    assert [f.code for f in one.findings] == ["AMBIGUOUS_IMAGE"]
    (one,) = found(tmp_path, source + '\n[screen.severity]\nSLICE_GAP = "note"').candidates
    (question,) = [f for f in one.findings if f.code == "AMBIGUOUS_IMAGE"]
    assert "series1 (6 slices), series2 (6 slices)" in question.message
