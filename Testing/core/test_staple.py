"""STAPLE of one label and soft labels: against SimpleITK, a plain count, and where undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib import words
from MedPrepLib.config.settings import Consensus
from MedPrepLib.consensus import consensus, soft_label, staple
from MedPrepLib.consensus.census import segment_census
from MedPrepLib.consensus.panel import panel
from MedPrepLib.errors import GeometryError, LabelError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, from_sitk, to_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

STAPLE = Consensus(method="staple")
TILTED = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0)


def reading(array, name="lesion", value=1, direction=None):
    array = np.asarray(array, dtype=np.uint8)
    size = tuple(reversed(array.shape))
    grid = Geometry(size) if direction is None else Geometry(size, (0.7, 0.8, 5), (1, 2, 3), TILTED)
    return Segmentation((array,), grid, (Segment(name, value),))


def balls(raters, shape=(11, 13, 17), seed=0):
    """A ball as raters of unequal care draw it."""
    rng = np.random.default_rng(seed)
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    maps = []
    for n in range(raters):
        center = np.array(shape) / 2 + rng.normal(0, 0.6, 3)
        squares = (k - center[0]) ** 2 + (j - center[1]) ** 2 + (i - center[2]) ** 2
        mask = squares < (3.5 + 0.4 * n % 2) ** 2
        maps.append((mask ^ (rng.random(shape) < 0.003 * n)).astype(np.uint8))
    return maps


def named(maps, **kwargs):
    return {f"r{n:02}": reading(m, **kwargs) for n, m in enumerate(maps)}


def by_simpleitk(maps, weight=1.0):
    import SimpleITK as sitk

    made = sitk.STAPLEImageFilter()
    made.SetConfidenceWeight(weight)
    grid = Geometry(tuple(reversed(maps[0].shape)), (0.7, 0.8, 5), (1, 2, 3), TILTED)
    inside = made.Execute([to_sitk(Volume(m, grid)) for m in maps])
    return from_sitk(inside), made.GetSensitivity(), made.GetSpecificity()


def assert_as_simpleitk(maps, settings=STAPLE):
    found = staple(named(maps, direction=TILTED), "lesion", settings)
    inside, sensitivity, specificity = by_simpleitk(maps, settings.confidence_weight)
    assert list(found.sensitivities) == list(found.specificities) == sorted(found.sensitivities)
    assert list(found.sensitivities.values()) == pytest.approx(sensitivity, abs=1e-6)
    assert list(found.specificities.values()) == pytest.approx(specificity, abs=1e-6)
    ours = found.probability.array()
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, inside.array, atol=1e-6)
    assert found.converged
    return found


@pytest.mark.parametrize("raters", [2, 3, 4, 8, 11])
@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_performance_and_probability_equal_simpleitk(raters, weight):
    settings = Consensus(method="staple", confidence_weight=weight)
    assert_as_simpleitk(balls(raters, seed=raters), settings)


def test_performance_equals_simpleitk_for_real_readers(shared_data):
    import SimpleITK as sitk

    folders = sorted((shared_data / "multirater").glob("lidc/*_nod*"))[::8]
    folders += sorted((shared_data / "multirater" / "kits").glob("*/*"))[:1]
    assert len(folders) > 6
    for folder in folders:
        files = sorted(folder.glob("*.nii.gz"))
        images = [sitk.ReadImage(str(path), sitk.sitkUInt8) for path in files]
        assert_as_simpleitk([from_sitk(image).array for image in images])


def test_the_result_is_the_same_over_many_chunks_and_any_order(monkeypatch):
    maps = balls(5)
    whole = staple(named(maps), "lesion", STAPLE)
    monkeypatch.setattr(words, "_CHUNK_WORDS", 4)
    monkeypatch.setattr(words, "_BATCH_WORDS", 8)
    pieces = staple(dict(reversed(named(maps).items())), "lesion", STAPLE)
    assert pieces.sensitivities == whole.sensitivities
    assert pieces.specificities == whole.specificities
    np.testing.assert_array_equal(pieces.probability.array(), whole.probability.array())


def test_all_raters_empty_is_an_empty_consensus_without_sensitivities():
    found = staple(named([np.zeros((3, 4, 5))] * 3), "lesion", STAPLE)
    assert (found.probability.array() == 0).all()
    assert set(found.sensitivities.values()) == {None}
    assert set(found.specificities.values()) == {1.0}
    made = consensus(named([np.zeros((3, 4, 5))] * 3), ["lesion"], {"lesion": 1}, STAPLE)
    assert not made.label_map.any()
    assert {row.sensitivity for row in made.record.performance} == {None}


def test_all_raters_full_is_a_full_consensus_without_specificities():
    found = staple(named([np.ones((3, 4, 5))] * 3), "lesion", STAPLE)
    assert (found.probability.array() == 1).all()
    assert set(found.sensitivities.values()) == {1.0}
    assert set(found.specificities.values()) == {None}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), raters=st.integers(1, 6), part=st.sampled_from([0.02, 0.5, 1]))
def test_no_input_gives_anything_but_probabilities(seed, raters, part):
    rng = np.random.default_rng(seed)
    maps = [(rng.random((2, 3, 3)) < part).astype(np.uint8) for _ in range(raters)]
    found = staple(named(maps), "lesion", Consensus(method="staple", max_iterations=200))
    inside = found.probability.array()
    assert np.isfinite(inside).all()
    assert inside.min() >= 0
    assert inside.max() <= 1
    for value in (*found.sensitivities.values(), *found.specificities.values()):
        assert value is None or 0 <= value <= 1


def test_forty_raters_do_not_leave_the_range_of_a_double():
    assert_as_simpleitk(balls(12))
    found = staple(named(balls(40, seed=3)), "lesion", STAPLE)
    inside = found.probability.array()
    assert np.isfinite(inside).all()
    assert inside[5, 6, 8] == pytest.approx(1)
    assert inside[0, 0, 0] == pytest.approx(0, abs=1e-6)


def test_background_that_is_cropped_away_changes_only_how_much_background_is_counted():
    maps = balls(4)
    wide = [np.pad(m, 6) for m in maps]
    first, second = (
        segment_census(panel(named(m), ["lesion"], {"lesion": 1}, "background"), "lesion")
        for m in (maps, wide)
    )
    assert first.rows.tolist() == second.rows.tolist()
    assert first.counts[1:].tolist() == second.counts[1:].tolist()
    assert second.counts[0] - first.counts[0] == wide[0].size - maps[0].size
    near, far = assert_as_simpleitk(maps), assert_as_simpleitk(wide)
    for rater, value in near.sensitivities.items():
        assert far.sensitivities[rater] == pytest.approx(value, abs=0.05)
    inner = far.probability.array()[6:-6, 6:-6, 6:-6] > 0.5
    assert (inner == (near.probability.array() > 0.5)).mean() > 0.99


def test_a_run_cut_short_says_so():
    found = staple(named(balls(4)), "lesion", Consensus(method="staple", max_iterations=2))
    assert (found.iterations, found.converged) == (2, False)
    made = consensus(
        named(balls(4)), ["lesion"], {"lesion": 1}, Consensus(method="staple", max_iterations=2)
    )
    assert made.record.converged is False


def test_values_of_the_files_and_other_labels_in_them_do_not_matter():
    maps = balls(4)
    plain = staple(named(maps), "lesion", STAPLE)
    mixed = {}
    for n, mask in enumerate(maps):
        other = np.where(mask, 5 + n, np.where(np.roll(mask, 5, axis=2), 3, 0)).astype(np.uint8)
        segments = (Segment("lesion", 5 + n), Segment("vessel", 3))
        mixed[f"r{n:02}"] = Segmentation((other,), reading(mask).geometry, segments)
    found = staple(mixed, "lesion", STAPLE)
    assert found.sensitivities == pytest.approx(plain.sensitivities, abs=1e-12)
    np.testing.assert_allclose(
        found.probability.array(), plain.probability.array(), rtol=0, atol=1e-7
    )


def test_who_did_not_annotate_the_label_takes_no_part():
    maps = balls(4)
    readings = named(maps)
    readings["aside"] = reading(np.zeros(maps[0].shape), name="other")
    assert staple(readings, "lesion", STAPLE).sensitivities == (
        staple(named(maps), "lesion", STAPLE).sensitivities
    )
    with pytest.raises(LabelError, match="nobody annotated 'liver'"):
        staple(readings, "liver", STAPLE)
    with pytest.raises(GeometryError, match="at least one"):
        staple({}, "lesion", STAPLE)


def test_the_consensus_of_one_label_is_what_is_likelier_than_not():
    maps = balls(5)
    made = consensus(named(maps), ["lesion"], {"lesion": 7}, STAPLE)
    inside = by_simpleitk(maps)[0].array
    assert np.array_equal(made.label_map, np.where(inside > 0.5, 7, 0))
    found = staple(named(maps), "lesion", STAPLE)
    assert (made.record.method, made.record.raters) == ("staple", tuple(named(maps)))
    assert made.record.converged is True
    assert {row.rater: row.sensitivity for row in made.record.performance} == found.sensitivities
    assert {row.rater: row.specificity for row in made.record.performance} == found.specificities


def even():
    """Two raters who draw half of the grid each: nothing tells who is right."""
    left, right = np.zeros((2, 1, 2, 4), np.uint8)
    left[..., :2], right[..., 2:] = 1, 1
    return named([left, right])


@pytest.mark.parametrize(
    ("ties", "value"),
    [("background", 0), ("foreground", 1), ("undecided", 255), ("rater:r01", None)],
)
def test_a_probability_of_one_half_follows_the_tie_rule(ties, value):
    assert (staple(even(), "lesion", STAPLE).probability.array() == 0.5).all()
    made = consensus(even(), ["lesion"], {"lesion": 1}, Consensus(method="staple", ties=ties))
    expected = even()["r01"].layers[0] if value is None else np.full((1, 2, 4), value)
    assert np.array_equal(made.label_map, expected)
    assert (made.record.tied_voxels, made.record.tie_rule) == (8, ties)
    assert made.record.ignore_value == (255 if ties == "undecided" else None)


def test_a_tumor_inside_an_organ_is_estimated_alone_and_lies_on_top():
    organs, tumors = balls(4), [m * (m.cumsum(axis=2) < 4) for m in balls(4)]
    grid = reading(organs[0]).geometry
    readings = {
        f"r{n}": from_masks({"organ": o, "tumor": t}, grid, values=(1, 3))
        for n, (o, t) in enumerate(zip(organs, tumors, strict=True))
    }
    made = consensus(readings, ["tumor", "organ"], {"organ": 1, "tumor": 3}, STAPLE)
    organ, tumor = by_simpleitk(organs)[0].array, by_simpleitk(tumors)[0].array
    assert (tumor > 0.5).any()
    expected = np.where(tumor > 0.5, 3, np.where(organ > 0.5, 1, 0))
    assert np.array_equal(made.label_map, expected)
    assert [row.label for row in made.record.performance] == ["organ"] * 4 + ["tumor"] * 4


def test_a_single_reading_is_taken_as_it_is():
    (mask,) = balls(1)
    made = consensus(named([mask]), ["lesion"], {"lesion": 1}, STAPLE)
    assert np.array_equal(made.label_map, mask)
    assert (made.record.method, made.record.performance) == ("single reader", ())


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_changing_or_removing_a_reading_changes_the_inputs_of_the_record(method):
    settings = Consensus(method=method)
    maps = balls(4)
    moved = [*maps[:3], np.roll(maps[3], 1, axis=2)]
    records = [
        consensus(named(m), ["lesion"], {"lesion": 1}, settings).record
        for m in (maps, maps, moved, maps[:3])
    ]
    assert records[0] == records[1]
    assert records[0].inputs["r03"] != records[2].inputs["r03"]
    assert records[0].inputs["r02"] == records[2].inputs["r02"]
    assert set(records[3].inputs) == {"r00", "r01", "r02"}
    assert records[0].tie_rule == "background"


def test_a_soft_label_is_the_part_of_annotators_who_drew_it():
    maps = list(np.random.default_rng(1).integers(0, 2, (4, 3, 5, 7)).astype(np.uint8))
    readings = named(maps)
    readings["aside"] = reading(maps[0], name="other")
    made = soft_label(readings, "lesion")
    expected = np.mean(maps, axis=0)
    found = made.probability.array()
    assert found.dtype == np.float32
    assert np.array_equal(found, expected.astype(np.float32))
    assert made.record.raters == ("r00", "r01", "r02", "r03")
    assert (made.record.method, made.record.tied_voxels) == ("soft vote", (expected == 0.5).sum())


def test_a_soft_label_of_files_with_other_values_and_labels_is_the_same():
    maps = balls(3)
    mixed = {
        f"r{n}": Segmentation(
            (np.where(m, n + 1, 9).astype(np.uint8),),
            reading(m).geometry,
            (Segment("lesion", n + 1), Segment("rest", 9)),
        )
        for n, m in enumerate(maps)
    }
    assert np.array_equal(
        soft_label(mixed, "lesion").probability.array(), np.mean(maps, axis=0, dtype=np.float32)
    )
    with pytest.raises(LabelError, match="nobody"):
        soft_label(mixed, "liver")
