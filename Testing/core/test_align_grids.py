"""Labels between random grids of every relation: voxel by voxel what SimpleITK gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from MedPrepLib.align.resample import sampling
from MedPrepLib.geometry import Geometry, Relation
from MedPrepLib.images import Volume, to_sitk
from MedPrepLib.regions import EMPTY, extent

TURNED = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
"""Axes at right angles that follow none of the patient's."""


def by_simpleitk(labels, source, target):
    reference = to_sitk(Volume(np.zeros(target.shape, np.uint8), target))
    image = to_sitk(Volume(labels, source))
    result = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(result)


def permutation(rng, *, flips, permutes):
    """A 3x3 matrix of signs that swaps and reverses axes; left-handed ones are as likely."""
    order = rng.permutation(3) if permutes else np.arange(3)
    signs = rng.choice([-1, 1], 3) if flips else np.ones(3)
    return np.eye(3)[order] * signs


def lumps(rng, shape, dtype):
    """Blocks of labels, some of them empty, so that the labels fill a box that is not the array."""
    top = 60_000 if dtype == "u2" else 200
    coarse = rng.integers(0, top, [n // 4 + 1 for n in shape]) * (rng.random() < 0.9)
    coarse[rng.integers(0, 2) :: 3] = 0
    array = coarse.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    return np.ascontiguousarray(array[tuple(slice(0, n) for n in shape)].astype(dtype))


def random_case(seed, *, flips=False, permutes=False, scales=False, shift=True):
    """Target, source and labels; the two lattices agree, up to spacing where ``scales``."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 30, size=3)
    source_size = size if not shift else rng.integers(1, 34, size=3)
    if seed % 2:  # rows that are whole words take another way
        source_size = np.maximum(source_size // 8, 1) * 8 if shift else source_size
    direction = TURNED if seed % 3 else permutation(rng, flips=True, permutes=True)
    spacing = rng.uniform(0.4, 4, size=3)
    target = Geometry.from_affine(affine_of(direction * spacing, rng.normal(size=3) * 100), size)
    move = permutation(rng, flips=flips, permutes=permutes)
    # The source's box lies anywhere around the target's, often partly outside.
    middle = (np.array(size) - 1) / 2 + (rng.integers(-6, 7, size=3) if shift else 0)
    start = np.rint(middle - move @ ((np.array(source_size) - 1) / 2))
    if not shift:
        start = np.zeros(3)
    step = move * rng.uniform(0.4, 2.5, size=3) if scales else move
    offset = start + (rng.uniform(-0.5, 0.5, size=3) if scales else 0)
    source = Geometry.from_affine(target.affine @ affine_of(step, offset), source_size)
    return target, source, lumps(rng, source.shape, "u2" if seed % 5 == 0 else "u1")


def affine_of(matrix, offset):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, offset
    return affine


KINDS = {
    Relation.SAME: {"shift": False},
    Relation.SHIFT: {},
    Relation.FLIP: {"flips": True, "permutes": True},
    Relation.AXIS_ALIGNED: {"flips": True, "permutes": True, "scales": True},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)
def test_every_relation_of_lattices_gives_what_simpleitk_gives(kind):
    related = labeled = partly = 0
    for seed in range(150):
        target, source, labels = random_case(seed, **KINDS[kind])
        how = sampling(target, source)
        ours = how.apply(labels)
        expected = by_simpleitk(labels, source, target)
        assert ours.dtype == labels.dtype
        assert np.array_equal(ours, expected), (seed, how.lattice)
        related += how.lattice.relation is kind
        labeled += bool(expected.any())
        partly += np.count_nonzero(expected) < np.count_nonzero(labels)
    assert related > 100
    assert labeled > 90
    assert partly > 60 or kind is Relation.SAME


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("scale", [0.5, 2.0, 1.0])
def test_voxels_halfway_between_two_go_where_simpleitk_takes_them(flip, scale):
    """Numbers that binary fractions hold exactly: a tie is a tie, floor(x + 0.5)."""
    source = Geometry((16, 9, 10), (1.0, 1.0, 1.0), (4.0, -2.0, 8.0))
    for offset in (0.5, 0.25, 1.5, -0.5):
        step = np.diag([flip * scale, scale, flip * scale])
        start = np.array([15 if flip < 0 else 0, 0, 9 if flip < 0 else 0]) + offset
        target = Geometry.from_affine(source.affine @ affine_of(step, start), (17, 8, 9))
        labels = np.random.default_rng(3).integers(1, 200, source.shape).astype(np.uint8)
        ours = sampling(target, source).apply(labels)
        assert ours.any()
        assert np.array_equal(ours, by_simpleitk(labels, source, target)), (offset, step)


def test_the_same_grid_costs_nothing():
    target, source, labels = random_case(1, shift=False)
    assert sampling(target, source).apply(labels) is labels


def test_a_flip_of_rows_that_are_no_whole_words_or_no_plain_array_is_the_same():
    source = Geometry((24, 6, 5))
    target = Geometry.from_affine(affine_of(np.diag([-1, 1, -1]), (23, 0, 4)), source.size)
    labels = np.random.default_rng(0).integers(0, 9, source.shape).astype(np.uint8)
    expected = labels[::-1, :, ::-1]
    how = sampling(target, source)
    assert np.array_equal(how.apply(labels), expected)
    assert np.array_equal(how.apply(np.asfortranarray(labels)), expected)
    narrow = labels[:, :3, :23].copy()
    cut = sampling(replace(target, size=(23, 3, 5)), replace(source, size=(23, 3, 5)))
    assert np.array_equal(cut.apply(narrow)[:, :, 1:], narrow[::-1, :, :0:-1])


def test_the_extent_of_labels_is_the_smallest_box_around_them():
    rng = np.random.default_rng(2)
    for _ in range(200):
        labels = np.zeros(rng.integers(1, 9, size=3), np.uint8)
        places = [rng.integers(0, n, size=rng.integers(0, 3)) for n in labels.shape]
        count = min(len(p) for p in places)
        labels[tuple(p[:count] for p in places)] = 1
        found = np.argwhere(labels)
        box = extent(labels)
        if found.size == 0:
            assert box == EMPTY
            continue
        assert [s.start for s in box] == found.min(axis=0).tolist()
        assert [s.stop for s in box] == (found.max(axis=0) + 1).tolist()
