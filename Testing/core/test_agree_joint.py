"""The joint counts that agreement and consensus stand on, against a plain dictionary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MedPrepLib import joint, words
from MedPrepLib.errors import GeometryError, LabelError


def plain_count(maps):
    return Counter(zip(*(m.ravel().tolist() for m in maps), strict=True))


def as_dict(counted):
    rows = [tuple(row) for row in counted.tuples.tolist()]
    assert rows == sorted(set(rows)), "rows are distinct and ordered"
    return dict(zip(rows, counted.counts.tolist(), strict=True))


def blobs(shape, raters, labels, seed, dtype=np.uint8):
    """Smooth label maps that agree on most words, as readings of one image do."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, labels + 1, size=[max(1, n // 6 + 1) for n in shape]).astype(dtype)
    base = base.repeat(6, 0).repeat(6, 1).repeat(6, 2)[: shape[0], : shape[1], : shape[2]]
    maps = []
    for _ in range(raters):
        own = base.copy()
        changed = rng.random(shape) < 0.02
        own[changed] = rng.integers(0, labels + 1, size=int(changed.sum()))
        maps.append(own)
    return maps


@pytest.mark.parametrize("raters", [1, 2, 3, 8, 9, 17])
@pytest.mark.parametrize(("labels", "dtype"), [(1, np.uint8), (5, np.uint8), (700, np.uint16)])
def test_joint_counts_equal_a_plain_count(raters, labels, dtype):
    maps = blobs((7, 11, 13), raters, labels, seed=raters, dtype=dtype)
    assert as_dict(joint.joint_counts(maps)) == plain_count(maps)


def test_counts_are_exact_over_many_chunks_and_batches(monkeypatch):
    monkeypatch.setattr(words, "_CHUNK_WORDS", 16)
    monkeypatch.setattr(words, "_BATCH_WORDS", 32)
    monkeypatch.setattr(joint, "_MERGE_ROWS", 10)
    maps = blobs((13, 17, 19), 4, 3, seed=3)
    assert as_dict(joint.joint_counts(maps)) == plain_count(maps)


def test_noise_is_counted_exactly():
    rng = np.random.default_rng(5)
    maps = [rng.integers(0, 105, size=(20, 60, 50), dtype=np.uint8) for _ in range(3)]
    assert as_dict(joint.joint_counts(maps)) == plain_count(maps)


def test_labels_of_every_16_bit_value_are_told_apart():
    first = np.arange(65_536, dtype=np.uint16).reshape(4, 128, 128)
    maps = [np.roll(first.ravel(), s).reshape(first.shape) for s in range(5)]
    counted = joint.joint_counts(maps)
    assert as_dict(counted) == plain_count(maps)
    assert counted.total == first.size


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_small_maps_are_counted_exactly(data):
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    raters = data.draw(st.integers(1, 4))
    size = int(np.prod(shape))
    maps = [
        np.array(
            data.draw(st.lists(st.integers(0, 255), min_size=size, max_size=size)), np.uint8
        ).reshape(shape)
        for _ in range(raters)
    ]
    assert as_dict(joint.joint_counts(maps)) == plain_count(maps)


def test_readings_of_mixed_integer_types_are_counted_together():
    narrow, wide = blobs((5, 6, 7), 2, 4, seed=0)
    counted = joint.joint_counts([narrow, wide.astype(np.uint16), narrow.astype(np.uint64)])
    assert as_dict(counted) == plain_count([narrow, wide, narrow])


def test_a_view_that_is_not_contiguous_is_counted_as_what_it_shows():
    first, second = blobs((9, 10, 11), 2, 2, seed=1)
    views = [first[1:, ::2, 1:], second[1:, ::2, 1:]]
    assert as_dict(joint.joint_counts(views)) == plain_count(views)


def test_value_counts_lists_every_value_once():
    labels = np.array([[[0, 0, 3], [3, 3, 9]]], dtype=np.uint8)
    assert joint.value_counts(labels) == {0: 2, 3: 3, 9: 1}


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(GeometryError, match="different shapes"):
        joint.joint_counts([np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8)])


def test_signed_maps_are_refused():
    with pytest.raises(LabelError, match="int16"):
        joint.joint_counts([np.zeros((2, 2, 2), np.int16)])


def test_labels_above_the_largest_value_are_refused():
    with pytest.raises(LabelError, match="70000"):
        joint.joint_counts([np.full((2, 2, 2), 70_000, np.uint32)])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_words_that_mix_labels_are_counted_however_often_they_repeat(dtype):
    stripes = np.tile(np.array([3, 0, 7, 7, 0, 0, 3, 255], dtype), 4096)
    solid = np.full(8192, 7, dtype)
    labels = np.concatenate([stripes, solid, stripes[:64], solid[:8]])
    counts = joint.value_counts(labels)
    values, voxels = np.unique(labels, return_counts=True)
    assert counts == dict(zip(values.tolist(), voxels.tolist(), strict=True))
