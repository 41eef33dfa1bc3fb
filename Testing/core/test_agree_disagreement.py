"""Where raters differ: entropy against scipy, worst slices and places against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib.agree.differences import box_steps, differing_components, voxels_of
from MedPrepLib.agree.disagreement import entropy_map, worst_slices
from MedPrepLib.agree.morphology import opened, widened
from MedPrepLib.errors import GeometryError
from MedPrepLib.geometry import Geometry
from MedPrepLib.images import Volume, from_sitk, to_sitk
from MedPrepLib.segmentation import Segment, Segmentation, from_masks

COS, SIN = math.cos(0.4), math.sin(0.4)
OBLIQUE = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, -1.0)
GRID = Geometry((13, 11, 7), (0.7, 0.8, 2.5), (10.0, -20.0, 30.0), OBLIQUE)
NAMES = ("one", "two", "three")


def reading(labels, names=NAMES, grid=GRID, values=None):
    numbers = values or range(1, len(names) + 1)
    segments = tuple(Segment(n, v) for n, v in zip(names, numbers, strict=True))
    return Segmentation((np.asarray(labels, dtype=np.uint8),), grid, segments)


def noisy(seed, raters=4, labels=3, shape=GRID.shape):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, labels + 1, size=shape)
    return {
        f"r{n}": np.where(rng.random(shape) < 0.8, base, rng.integers(0, labels + 1, size=shape))
        for n in range(raters)
    }


def scipy_entropy(votes):
    """Bits per voxel of votes (R, k, j, i) of whole numbers."""
    from scipy.stats import entropy

    counts = np.stack([(votes == value).sum(axis=0) for value in np.unique(votes)])
    return entropy(counts, base=2, axis=0)


def tumor(mask, grid=GRID):
    return from_masks({"tumor": mask}, grid)


# --- entropy --------------------------------------------------------------------------------


@pytest.mark.parametrize("raters", [2, 3, 4, 7])
def test_entropy_of_exclusive_labels_is_that_of_scipy(raters):
    maps = noisy(raters, raters)
    found = entropy_map({r: reading(m) for r, m in maps.items()})
    assert (found.array.dtype, found.geometry) == (np.float32, GRID)
    assert np.allclose(found.array, scipy_entropy(np.stack(list(maps.values()))), atol=1e-6)


@pytest.mark.parametrize("raters", [2, 3, 5])
def test_entropy_of_one_label_is_that_of_drawn_or_not(raters):
    maps = noisy(raters, raters)
    found = entropy_map({r: reading(m) for r, m in maps.items()}, "two")
    votes = np.stack([m == 2 for m in maps.values()]).astype(int)
    assert np.allclose(found.array, scipy_entropy(votes), atol=1e-6)


def test_half_against_half_is_one_bit_and_agreement_exactly_zero():
    mask = np.zeros(GRID.shape, bool)
    mask[2, 3, 4] = True
    found = entropy_map({"a": tumor(mask), "b": tumor(np.zeros_like(mask))})
    assert found.at((4, 3, 2)) == 1
    assert np.count_nonzero(found.array) == 1


def test_numbers_in_the_files_do_not_matter():
    maps = noisy(5)
    readings = {r: reading(m) for r, m in maps.items()}
    other = np.array([0, 9, 1, 4])[maps["r2"]]
    readings["r2"] = reading(other, values=(9, 1, 4))
    expected = scipy_entropy(np.stack(list(maps.values())))
    assert np.allclose(entropy_map(readings).array, expected, atol=1e-6)


def test_overlapping_segments_vote_as_sets_of_labels():
    rng = np.random.default_rng(6)
    masks = {r: {n: rng.random(GRID.shape) < 0.5 for n in ("one", "two")} for r in "abc"}
    readings = {r: from_masks(m, GRID) for r, m in masks.items()}
    readings["c"] = from_masks(dict(reversed(masks["c"].items())), GRID, values=(4, 6))
    votes = np.stack([m["one"] + 2 * m["two"] for m in masks.values()])
    assert np.allclose(entropy_map(readings).array, scipy_entropy(votes), atol=1e-6)


def test_who_did_not_annotate_a_label_has_no_vote_where_it_was_drawn():
    full = np.zeros(GRID.shape, np.uint8)
    full[2, 2:6, 2:6] = 1
    full[4, 2:6, 2:6] = 2
    partial = np.where(full == 1, 1, 0)
    partial[2, 2, 2] = 0
    readings = {"a": reading(full, NAMES[:2]), "b": reading(partial, NAMES[:1])}
    expected = np.zeros(GRID.shape)
    expected[2, 2, 2] = 1
    assert np.array_equal(entropy_map(readings).array, expected)
    assert not entropy_map(readings, "two").array.any()
    assert not entropy_map(readings, "nothing").array.any()


def test_values_that_no_segment_declares_are_background():
    labels = np.zeros(GRID.shape, np.uint8)
    labels[3, 4, 5] = 2
    declared, stray = reading(labels, NAMES[:2]), reading(labels, NAMES[:1])
    third = reading(np.zeros_like(labels), NAMES[:2])
    assert not entropy_map({"a": declared, "b": stray}).array.any()
    found = entropy_map({"a": reading(labels, ("x", "y")), "b": reading(labels, ("x",))})
    assert not found.array.any()
    assert entropy_map({"a": declared, "b": stray, "c": third}).array[3, 4, 5] == 1
    both = Segmentation(declared.layers, GRID, (Segment("one", 1), Segment("two", 7)))
    assert entropy_map({"a": declared, "b": both}).array[3, 4, 5] == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(1, 7)] * 3))
def test_entropy_does_not_depend_on_the_order_of_raters_nor_on_odd_sizes(seed, shape):
    maps = noisy(seed, 3, shape=shape)
    grid = Geometry(tuple(reversed(shape)))
    readings = {r: reading(m, grid=grid) for r, m in maps.items()}
    found = entropy_map(readings).array
    backward = entropy_map({r: readings[r] for r in reversed(readings)}).array
    assert np.array_equal(found, backward)
    assert np.allclose(found, scipy_entropy(np.stack(list(maps.values()))), atol=1e-6)


def test_readings_on_different_grids_or_none_are_refused():
    mask = np.zeros(GRID.shape, bool)
    other = Geometry(GRID.size, GRID.spacing)
    for question in (entropy_map, worst_slices, differing_components):
        with pytest.raises(GeometryError, match="different grids"):
            question({"a": tumor(mask), "b": tumor(mask, other)})
    with pytest.raises(GeometryError, match="no readings"):
        entropy_map({})


# --- slices ---------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [None, "two"])
def test_the_worst_slice_of_every_axis_is_the_one_with_most_differing_voxels(label):
    maps = noisy(8)
    readings = {r: reading(m) for r, m in maps.items()}
    stack = np.stack(list(maps.values()))
    stack = stack if label is None else stack == 2
    differs = (stack != stack[0]).any(axis=0)
    image = to_sitk(Volume(differs.astype(np.uint8), GRID))
    found = worst_slices(readings, label)
    assert [w.axis for w in found] == ["i", "j", "k"]
    for worst, axis, others in zip(found, (2, 1, 0), ((0, 1), (0, 2), (1, 2)), strict=True):
        counts = differs.sum(axis=others)
        assert (worst.index, worst.voxels) == (counts.argmax(), counts.max())
        i, j, k = image.TransformPhysicalPointToIndex(worst.position_mm)
        assert differs[k, j, i]
        assert (k, j, i)[axis] == worst.index


def test_nobody_differs_nowhere():
    mask = np.zeros(GRID.shape, bool)
    mask[1:3, 2:5, 3:6] = True
    readings = {"a": tumor(mask), "b": tumor(mask)}
    assert worst_slices(readings) == ()
    assert differing_components(readings) == ()
    assert worst_slices({"a": tumor(mask)}) == ()
    assert differing_components({"a": tumor(mask)}, "tumor") == ()


# --- places ---------------------------------------------------------------------------------

LARGE = Geometry((40, 36, 20), (1.0, 1.0, 1.0), (5.0, -7.0, 11.0), OBLIQUE)


def block(*bounds):
    mask = np.zeros(LARGE.shape, bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


def test_a_missed_lesion_a_part_and_a_border_are_told_apart_and_ordered():
    organ = block((2, 14), (2, 20), (2, 20))
    larger = organ | block((2, 14), (2, 20), (20, 21))  # a sliver of one voxel
    larger |= block((6, 10), (8, 12), (20, 25))  # and a lobe
    lesion = block((15, 18), (28, 32), (30, 34))
    readings = {
        "ana": tumor(larger | lesion, LARGE),
        "ben": tumor(organ, LARGE),
        "cem": tumor(organ | lesion, LARGE),
    }
    part, missed, border = differing_components(readings, "tumor")
    assert (part.kind, part.voxels) == ("part", 4 * 4 * 5)
    assert (part.raters_for, part.raters_against) == (("ana",), ("ben", "cem"))
    assert (missed.kind, missed.voxels, missed.volume_ml) == ("missed lesion", 48, 0.048)
    assert (missed.raters_for, missed.raters_against) == (("ana", "cem"), ("ben",))
    assert missed.index in itertools.product((31, 32), (29, 30), (16,))
    assert (border.kind, border.voxels) == ("border", 12 * 18 - 16)
    assert border.index[0] == 20


def test_a_large_border_comes_after_a_small_lesion():
    organ = block((2, 14), (2, 20), (2, 20))
    wider = block((1, 15), (1, 21), (1, 21))
    readings = {
        "ana": tumor(wider, LARGE),
        "ben": tumor(organ | block((18, 19), (30, 31), (30, 31)), LARGE),
    }
    found = differing_components(readings)
    assert [(d.kind, d.voxels) for d in found] == [
        ("missed lesion", 1), ("border", int((wider & ~organ).sum())),
    ]  # fmt: skip


def test_one_thick_slice_is_no_border_sliver():
    thick = Geometry((40, 36, 20), (0.7, 0.7, 5.0))
    thin = Geometry((40, 36, 20), (0.7, 0.7, 1.3))
    organ, more = block((2, 14), (2, 20), (2, 20)), block((2, 15), (2, 20), (2, 20))
    kinds = [
        [d.kind for d in differing_components({"a": tumor(organ, g), "b": tumor(more, g)})]
        for g in (thick, thin)
    ]
    assert kinds == [["part"], ["border"]]
    assert (box_steps(thick), box_steps(thin)) == ((1, 2, 2), (2, 2, 2))
    assert box_steps(Geometry((5, 5, 1))) == (1, 2, 2)


def test_who_drew_less_than_half_of_a_part_is_against_it():
    organ = block((2, 14), (2, 20), (2, 20))
    lobe, half, less = (block((4, 8), (4, 8), (20, 20 + n)) for n in (6, 4, 2))
    readings = {
        "all": tumor(organ | lobe, LARGE),
        "less": tumor(organ | less, LARGE),
        "most": tumor(organ | half, LARGE),
        "none": tumor(organ, LARGE),
    }
    (found,) = differing_components(readings)
    assert (found.kind, found.voxels) == ("part", 96)
    assert (found.raters_for, found.raters_against) == (("all", "most"), ("less", "none"))


def test_a_rater_who_did_not_annotate_the_label_is_neither_for_nor_against():
    lesion = block((15, 18), (28, 32), (30, 34))
    blank = Segmentation((np.zeros(LARGE.shape, np.uint8),), LARGE, ())
    readings = {"a": tumor(lesion, LARGE), "b": tumor(lesion & False, LARGE), "c": blank}
    (found,) = differing_components(readings)
    assert (found.raters_for, found.raters_against) == (("a",), ("b",))


def test_every_label_is_asked_alone_and_named():
    a, b = block((2, 6), (2, 6), (2, 6)), block((10, 15), (10, 15), (10, 15))
    readings = {
        "x": from_masks({"one": a, "two": b}, LARGE),
        "y": from_masks({"two": a, "one": b}, LARGE),
    }
    found = differing_components(readings)
    assert [(d.label, d.voxels, d.raters_for) for d in found] == [
        ("one", 125, ("y",)), ("two", 125, ("x",)), ("one", 64, ("x",)), ("two", 64, ("y",)),
    ]  # fmt: skip
    assert differing_components(readings, "one") == (found[0], found[2])


def blobs(seed, raters, grid=LARGE):
    rng = np.random.default_rng(seed)
    axes = np.ogrid[: grid.shape[0], : grid.shape[1], : grid.shape[2]]
    centers = [rng.uniform(0, grid.shape) for _ in range(5)]
    masks = {}
    for n in range(raters):
        mask = np.zeros(grid.shape, bool)
        for center in centers:
            if rng.random() < 0.75:
                radii = rng.uniform(1, 6, 3)
                parts = zip(axes, center, radii, strict=True)
                mask |= sum(((x - c) / r) ** 2 for x, c, r in parts) <= 1
        masks[f"r{n}"] = mask
    return masks


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), raters=st.integers(2, 4))
def test_every_differing_voxel_is_in_one_place_whatever_the_order_of_raters(seed, raters):
    masks = blobs(seed, raters)
    readings = {r: tumor(m, LARGE) for r, m in masks.items()}
    found = differing_components(readings)
    assert found == differing_components({r: readings[r] for r in reversed(readings)})
    stack = np.stack(list(masks.values()))
    differs = stack.any(axis=0) & ~stack.all(axis=0)
    assert sum(d.voxels for d in found) == differs.sum()
    image = to_sitk(Volume(differs.astype(np.uint8), LARGE))
    for place in found:
        i, j, k = place.index
        assert differs[k, j, i]
        assert image.TransformIndexToPhysicalPoint(place.index) == pytest.approx(place.center_mm)
        assert sorted(place.raters_for + place.raters_against) == sorted(masks)
        if place.kind == "missed lesion":
            assert place.raters_for
            assert place.raters_against


@pytest.mark.parametrize(("seed", "raters"), [(0, 2), (1, 3), (2, 5)])
def test_the_voxels_of_all_places_together_are_those_that_differ(seed, raters):
    masks = blobs(seed, raters)
    readings = {rater: tumor(mask, LARGE) for rater, mask in masks.items()}
    seen = np.zeros(LARGE.shape, int)
    for difference in differing_components(readings):
        where, mask = voxels_of(readings, difference)
        i, j, k = difference.index
        assert mask.sum() == difference.voxels
        assert mask[k - where[0].start, j - where[1].start, i - where[2].start]
        seen[where] += mask
    stack = np.stack(list(masks.values()))
    assert np.array_equal(seen, stack.any(axis=0) & ~stack.all(axis=0))


def test_a_place_where_nobody_differs_any_more_is_refused():
    masks = blobs(0, 3)
    readings = {rater: tumor(mask, LARGE) for rater, mask in masks.items()}
    first = differing_components(readings)[0]
    agreed = dict.fromkeys(readings, readings["r0"])
    with pytest.raises(GeometryError, match="do not differ"):
        voxels_of(agreed, first)


@pytest.mark.parametrize("seed", range(4))
def test_missed_lesions_are_the_components_of_simpleitk_and_lie_nearest_to_their_centroids(seed):
    grid = Geometry((40, 36, 20), (0.7, 0.9, 2.0), (5.0, -7.0, 11.0), OBLIQUE)
    masks = blobs(seed, 3, grid)
    union = np.logical_or.reduce(list(masks.values())).astype(np.uint8)
    labeled = sitk.ConnectedComponent(to_sitk(Volume(union, grid)), True)
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(labeled)
    ids = sitk.GetArrayFromImage(labeled)
    expected = []
    for n in shapes.GetLabels():
        drawn = tuple(r for r, mask in masks.items() if (mask & (ids == n)).any())
        if len(drawn) < 3:
            centroid = shapes.GetCentroid(n)
            nearest = min(
                math.dist(labeled.TransformIndexToPhysicalPoint((int(i), int(j), int(k))), centroid)
                for k, j, i in np.argwhere(ids == n)
            )
            expected.append((shapes.GetNumberOfPixels(n), drawn, centroid, nearest))
    readings = {r: tumor(m, grid) for r, m in masks.items()}
    found = [d for d in differing_components(readings) if d.kind == "missed lesion"]
    assert sorted((d.voxels, d.raters_for) for d in found) == sorted(e[:2] for e in expected)
    for voxels, drawn, centroid, nearest in expected:
        ours = [
            math.dist(d.center_mm, centroid)
            for d in found
            if (d.voxels, d.raters_for) == (voxels, drawn)
        ]
        assert min(ours) == pytest.approx(nearest, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(*[st.integers(1, 8)] * 3),
    steps=st.tuples(*[st.integers(1, 2)] * 3),
)
def test_opening_and_widening_are_those_of_scipy(seed, shape, steps):
    from scipy import ndimage

    mask = np.random.default_rng(seed).random(shape) < 0.8
    assert np.array_equal(opened(mask, steps), ndimage.binary_opening(mask, np.ones(steps)))
    sparse = np.random.default_rng(seed).random(shape) < 0.1
    assert np.array_equal(widened(sparse), ndimage.binary_dilation(sparse, np.ones((3, 3, 3))))


def test_prostate_gland_readings_differ_most_in_a_whole_lobe(shared_data):
    folder = shared_data / "cohort" / "prostatex" / "ProstateX-0000" / "segmentations"
    masks, grid = {}, None
    for rater in ("Guerbet23", "HeviAI23", "Yuan23"):
        image = from_sitk(sitk.ReadImage(str(folder / rater / "11373_1001396.nii.gz")))
        grid = grid or image.geometry
        masks[rater] = image.array > 0
    found = differing_components({r: tumor(m, grid) for r, m in masks.items()})
    votes = sum(m.astype(int) for m in masks.values())
    assert sum(d.voxels for d in found) == ((votes > 0) & (votes < 3)).sum()
    assert {d.kind for d in found} == {"part", "border"}
    entropy = entropy_map({r: tumor(m, grid) for r, m in masks.items()}).array
    third = math.log2(3) - 2 / 3
    assert set(np.unique(entropy)) == {np.float32(0), np.float32(third)}
    per_slice = ((votes > 0) & (votes < 3)).sum(axis=(1, 2))
    (axial,) = [
        w for w in worst_slices({r: tumor(m, grid) for r, m in masks.items()}) if w.axis == "k"
    ]
    assert (axial.index, axial.voxels) == (per_slice.argmax(), per_slice.max())
