"""The fast search for near-duplicates finds what the plain one finds, pair by pair, bit by bit."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import plain_nearness
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_fingerprints import made_up

from MedPrepLib.leakage import Compared, Fingerprint, agreement, near_duplicates
from MedPrepLib.leakage import candidates as search
from MedPrepLib.leakage.fingerprint import BLOCKS, parts
from MedPrepLib.leakage.nearness import _ranked, _same_signs
from MedPrepLib.ledger import open_ledger
from MedPrepLib.pipeline import splitwork
from MedPrepLib.split import Member

LOW = 0.5
"""A limit that most pairs with a close look reach: more to compare than copies."""


@functools.cache
def people() -> tuple[Fingerprint, ...]:
    return tuple(made_up(90, seed=3))


def apart(count: int) -> list[str]:
    return [f"p{n}" for n in range(count)]


def both(prints, groups, limit=LOW):
    plain = list(plain_nearness.near_duplicates(prints, groups, limit))
    return list(near_duplicates(prints, groups, limit)), plain


def drawn(ranks: np.ndarray, extent=(300.0, 300.0, 300.0)) -> Fingerprint:
    return Fingerprint(ranks.astype(np.uint8).reshape((BLOCKS,) * 3), extent)


def noise(count: int, smooth: int, seed: int = 0) -> list[Fingerprint]:
    """Random images of ``smooth`` knots along an axis, of any extent."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        knots = rng.uniform(0, 255, (smooth,) * 3)
        weights = parts(smooth, 0, 1, BLOCKS)
        image = np.einsum("zc,yb,xa,cba->zyx", weights, weights, weights, knots)
        found.append(drawn(image, tuple(rng.uniform(100, 400, 3))))
    return found


@pytest.mark.fault("F38")
def test_of_made_up_people_the_same_pairs_are_found() -> None:
    ours, plain = both(people()[:24], apart(24))
    assert len(plain) > 20
    assert ours == plain


@settings(max_examples=6, deadline=None)
@given(st.integers(2, 8), st.integers(3, 12), st.integers(0, 9), st.data())
def test_of_random_images_and_groups_the_same_pairs_are_found(count, smooth, seed, data) -> None:
    prints = noise(count, smooth, seed)
    again = data.draw(st.lists(st.integers(0, count - 1), max_size=4))
    prints += [prints[n] for n in again]
    groups = data.draw(
        st.lists(st.sampled_from(["", "a", "b"]), min_size=len(prints), max_size=len(prints))
    )
    ours, plain = both(prints, groups)
    assert ours == plain


def test_among_more_copies_than_are_looked_at_none_of_the_plain_pairs_is_lost() -> None:
    prints = [people()[n % 3] for n in range(120)]
    ours, plain = (each.candidates(prints, apart(120)) for each in (search, plain_nearness))
    assert plain <= ours
    assert len(plain) >= 120 * search.CANDIDATES // 2
    assert len(ours) <= 120 * 2 * search.CANDIDATES


def test_images_that_are_level_in_similarity_are_all_looked_at() -> None:
    """One gray value of one block more: similarities differ by less than rounding."""
    base = people()[0]
    prints = [base]
    for n in range(40):
        ranks = base.ranks.copy()
        ranks.flat[n] ^= 1
        prints.append(Fingerprint(ranks, base.extent_mm))
    found = search.candidates(prints, apart(41))
    assert plain_nearness.candidates(prints, apart(41)) <= found
    assert len(found) == 41 * 40 // 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=70), st.sampled_from([0.8, 0.92, 0.99]))
def test_none_of_the_best_is_left_out_however_little_better_it_is(steps, base) -> None:
    """Steps of the smallest number by which values of float32 differ there."""
    ulp = np.spacing(np.float32(base))
    scores = np.array([np.float32(base) + n * ulp for n in steps], np.float32)
    chosen = search._chosen(np.arange(len(scores)), scores)
    best = np.argsort(-scores, kind="stable")[: search.CANDIDATES]
    assert set(best) <= set(chosen)
    assert len(set(chosen)) == len(chosen) <= 2 * search.CANDIDATES
    assert scores[chosen].min() >= scores[best].min() - 1.1 * search.LEVEL


def test_blank_and_nearly_blank_images_are_no_trouble() -> None:
    blank = drawn(np.full(BLOCKS**3, 127))
    spot = np.zeros(BLOCKS**3)
    spot[5000] = 255
    prints = [
        blank,
        blank,
        drawn(spot),
        drawn(255 - spot),
        drawn(spot, (1.0, 300.0, 9e5)),
        *noise(3, 2),
    ]
    ours, plain = both(prints, apart(len(prints)))
    assert ours == plain


@pytest.mark.parametrize("directions", [(1, 2), (8, 16)])
def test_with_hardly_a_direction_to_tell_by_nothing_is_lost(directions, monkeypatch) -> None:
    """The projection only spares work: with a useless one, the pairs are the same."""
    monkeypatch.setattr(search, "ROUGH", directions[0])
    monkeypatch.setattr(search, "FINE", directions[1])
    prints = people()[:60]
    assert search.candidates(prints, apart(60)) == plain_nearness.candidates(prints, apart(60))


def test_no_pair_is_more_similar_than_its_bound() -> None:
    prints = people()
    inner = np.concatenate(list(search._inner(prints)))
    directions = search._directions(prints, inner)
    rows = search._bounding(inner @ directions)
    windows = search._bounding(search._windowed(np.stack([p.ranks for p in prints])) @ directions)
    true = plain_nearness.similarities(prints, prints)
    for count in (1, search.ROUGH, search.FINE):
        cut = (search._bounding(each[..., :count]) for each in (rows, windows))
        bound = search._highest(*cut).T
        assert (bound >= true - search.SLACK / 20).all()
    assert (bound - true)[true > search.LEAST_SIMILAR].max() < 0.1, "it spares nothing"


def test_batches_and_blocks_do_not_show(monkeypatch) -> None:
    prints, groups = people(), apart(len(people()))
    expected = search.candidates(prints, groups)
    for name, value in (("COLUMNS", 7), ("ROWS", 13), ("BOUNDS", 300)):
        monkeypatch.setattr(search, name, value)
        assert search.candidates(prints, groups) == expected


def test_the_order_of_images_does_not_matter() -> None:
    prints, groups = people()[:50], apart(50)
    turned = {(49 - b, 49 - a) for a, b in search.candidates(prints[::-1], groups[::-1])}
    assert turned == search.candidates(prints, groups)


def test_close_comparison_is_the_plain_one_to_the_last_bit() -> None:
    prints = [*people()[:1], *noise(2, 6), *noise(1, 3, 1)]
    rng = np.random.default_rng(0)
    for strength in (8, 30):
        noisy = (np.clip(p.ranks + rng.normal(0, strength, p.ranks.shape), 0, 255) for p in prints)
        prints += [drawn(each, p.extent_mm) for each, p in zip(noisy, prints[:4], strict=False)]
    pairs = [(a, b) for a in prints for b in prints if a is not b]
    values = [agreement(a, b) for a, b in pairs]
    assert values == [plain_nearness.agreement(a, b) for a, b in pairs]
    assert len({value for value in values if value}) > 10


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 3, 255]))
def test_ranks_and_signs_are_the_plain_ones(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.uniform(0, levels, (18, 18, 18)).astype(np.float32) for _ in range(2))
    ours, plain = _ranked(one), plain_nearness._ranked(one)
    assert np.array_equal(ours, plain)
    assert _same_signs(ours, _ranked(other)) == plain_nearness._same_signs(
        plain, plain_nearness._ranked(other)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 24), st.floats(0, 0.45), st.floats(0.55, 1))
def test_weights_average_what_lies_between_two_ends(count, wanted, start, stop) -> None:
    weights = parts(count, start, stop, wanted)
    assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
    middles = np.linspace(start, stop, 2 * wanted + 1)[1::2] * count
    assert weights @ (np.arange(count) + 0.5) == pytest.approx(middles, abs=0.5)


# --- what was compared before -----------------------------------------------------------------
def test_a_cohort_that_grows_compares_only_what_is_new() -> None:
    prints, count = [*people()[:24], people()[3]], 20
    first, groups = Compared(), apart(len(prints))
    before = list(near_duplicates(prints[:count], groups[:count], LOW, first))
    again = Compared(first.to_bytes())
    assert list(near_duplicates(prints[:count], groups[:count], LOW, again)) == before
    assert (first.made > 20, again.made, again.to_bytes()) == (True, 0, first.to_bytes())
    grown, fresh = Compared(first.to_bytes()), Compared()
    found = list(near_duplicates(prints, groups, LOW, grown))
    assert found == list(near_duplicates(prints, groups, LOW, fresh))
    new = [pair for pair in search.candidates(prints, groups) if max(pair) >= count]
    assert 0 < grown.made <= len(new) < fresh.made
    assert grown.to_bytes() == fresh.to_bytes()


def test_another_content_or_extent_is_compared_again() -> None:
    prints = list(people()[:6])
    pairs = [(0, 1), (2, 3), (4, 5)]
    known = Compared()
    shares = known.agreements(prints, pairs)
    ranks = prints[0].ranks.copy()
    ranks[3, 4, 5] ^= 1
    changed = [Fingerprint(ranks, prints[0].extent_mm), prints[1]]
    wider = [prints[2], Fingerprint(prints[3].ranks, (1.0, 2.0, 3.0))]
    again = Compared(known.to_bytes())
    assert again.agreements([*changed, *wider, *prints[4:]], pairs)[2] == shares[2]
    assert again.made == 2
    turned = Compared(known.to_bytes())
    assert turned.agreements(prints, [(5, 4)]) == [agreement(prints[5], prints[4])]
    assert turned.made == 1


@pytest.mark.parametrize("kept", [b"x", b"nonsense" * 3, bytes(24 * 5)])
def test_what_is_no_record_of_comparisons_is_as_good_as_none(kept: bytes) -> None:
    prints = people()[:2]
    known = Compared(kept)
    assert known.agreements(prints, [(0, 1)]) == [agreement(*prints)]
    assert known.made == 1


def test_the_ledger_keeps_comparisons_and_forgets_those_of_images_that_left(tmp_path: Path) -> None:
    members = [
        Member(f"c{n:02}", f"p{n}", "north", frozenset(), fingerprint=str(each))
        for n, each in enumerate([*people()[:12], people()[1]])
    ]
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        found = splitwork._near(members, 0.99, ledger)
        kept = ledger.recall(splitwork._COMPARED)
        assert ("c01", "c12") in [(e.one, e.other) for e in found]
        assert splitwork._near(members, 0.99, ledger) == found
        assert ledger.recall(splitwork._COMPARED) == kept
        splitwork._near(members[:4], 0.99, ledger)
        assert 0 < len(ledger.recall(splitwork._COMPARED)) < len(kept)
        assert splitwork._near([], 0.99, ledger) == ()
