"""Reviews: one file per reviewer and case, every version kept, nothing overwritten."""

from __future__ import annotations

import json
import multiprocessing
import os
from hashlib import sha256
from pathlib import Path

import pytest

from MedPrepLib.errors import ReadError, RunError
from MedPrepLib.results import Box, ConsensusRecord, SliceLabels, SliceRange
from MedPrepLib.review import (
    Accepted,
    DrawnFile,
    Review,
    ReviewStore,
    case_state,
    contradictions,
    drawn_hashes,
    drawn_of,
    fixed_readings,
    inputs_of,
    nothing_found,
    speaks_of,
    unbound,
)

RECORD = ConsensusRecord("majority", ("a", "b"), "background", 3, {"a": "1", "b": "2"})


@pytest.fixture
def store(tmp_path: Path) -> ReviewStore:
    return ReviewStore(tmp_path / "reviews")


def writer(data: bytes):
    return lambda path: path.write_bytes(data)


def test_a_review_comes_back_with_version_time_and_everything_decided(store):
    review = Review(
        "c1", "ana", "approved", difficulty="hard", comment="two lesions", fixes=("ben",),
        inputs={"ben": "abc"},
    )  # fmt: skip
    saved = store.save(review)
    assert saved.says_the_same(review)
    assert (saved.version, saved.previous) == (1, "")
    assert saved.at.endswith("+00:00")
    found, findings = store.latest("c1")
    assert (found, findings) == ({"ana": saved}, ())


def test_every_version_is_kept_in_order(store):
    first = store.save(Review("c1", "ana", comment="begun"))
    second = store.save(Review("c1", "ana", "flagged", comment="wrong side?"))
    third = store.save(Review("c1", "ana", "approved"))
    assert store.history("c1", "ana") == (first, second, third)
    assert [r.version for r in (first, second, third)] == [1, 2, 3]
    assert store.latest("c1")[0]["ana"] == third


def test_saving_the_same_again_makes_no_version(store):
    first = store.save(Review("c1", "ana", "approved"))
    assert store.save(Review("c1", "ana", "approved")) == first
    assert len(store.history("c1", "ana")) == 1


def test_two_reviewers_have_files_of_their_own(store):
    ana = store.save(Review("c1", "ana", "approved"))
    ben = store.save(Review("c1", "ben", "flagged"))
    assert store.latest("c1")[0] == {"ana": ana, "ben": ben}
    assert store.cases() == ("c1",)


@pytest.mark.fault("F27")
def test_names_that_are_no_file_names_keep_apart(store):
    names = ("Dr. Ána/../x", "Dr. Ana/../x", "CON", "a b", "a_b", "Ana", "ana")
    for name in names:
        store.save(Review("c1", name, comment=name))
    found, findings = store.latest("c1")
    assert ({r.comment for r in found.values()}, findings) == (set(names), ())
    inside = {path.parent for path in store.folder.rglob("*.review.json")}
    assert inside == {store.folder / "c1"}


def test_no_review_is_not_an_empty_review(store):
    assert store.history("c1", "ana") == ()
    assert store.latest("c1") == ({}, ())
    assert store.cases() == ()


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb"])
def test_a_reviewer_needs_a_printable_name(store, name):
    with pytest.raises(RunError, match="name"):
        store.save(Review("c1", name))


def test_a_comment_without_end_is_refused(store):
    with pytest.raises(RunError, match="4001 characters"):
        store.save(Review("c1", "ana", comment="x" * 4001))


# --- drawings -------------------------------------------------------------------------------


def test_what_was_drawn_lies_beside_the_review_and_is_never_overwritten(store):
    described = Review("c1", "ana", "approved", drawn=(DrawnFile("mask", "", "", RECORD),))
    first = store.save(described, {"mask": writer(b"one")})
    again = store.save(first, {"mask": writer(b"two")})
    (before,), (after,) = first.drawn, again.drawn
    assert store.path_of(first, before).read_bytes() == b"one"
    assert store.path_of(again, after).read_bytes() == b"two"
    assert after.start == RECORD
    assert {before.name, after.name} == {"ana.v1.seg.nrrd", "ana.v2.seg.nrrd"}


def test_the_same_drawing_is_not_written_twice(store):
    first = store.save(Review("c1", "ana"), {"mask": writer(b"one")})
    second = store.save(
        Review("c1", "ana", "approved", drawn=first.drawn), {"mask": writer(b"one")}
    )
    assert second.version == 2
    assert second.drawn == first.drawn
    assert len(list((store.folder / "c1").glob("*.seg.nrrd"))) == 1


def test_reviews_of_before_there_were_annotated_labels_still_follow_each_other(store):
    begun = Review("c1", "ana", "approved", drawn=(DrawnFile("mask", "", "", start=RECORD),))
    store.save(begun, {"mask": writer(b"drawn")})
    path = store.folder / "c1" / "ana.review.json"
    tree = json.loads(path.read_bytes())
    (first,) = tree["versions"]
    assert first["drawn"][0]["start"].pop("annotated") is None
    plain = json.dumps(first, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    chained = {"version": 2, "verdict": "flagged", "previous": sha256(plain.encode()).hexdigest()}
    tree["versions"].append(first | chained)
    path.write_text(json.dumps(tree))
    assert [review.verdict for review in store.history("c1", "ana")] == ["approved", "flagged"]


def test_places_that_were_accepted_are_kept_with_their_source(store):
    accepted = (Accepted("tumor", (3, 4, 5), "ben"),)
    drawn = (DrawnFile("mask", "", "", RECORD, accepted=accepted),)
    saved = store.save(Review("c1", "ana", drawn=drawn), {"mask": writer(b"x")})
    assert store.history("c1", "ana")[0].drawn[0].accepted == accepted
    assert saved.drawn[0].accepted == accepted


def test_a_drawing_that_was_changed_afterwards_is_noticed(store):
    saved = store.save(Review("c1", "ana"), {"slices": writer(b"label,start,stop\n")})
    (drawn,) = saved.drawn
    path = store.path_of(saved, drawn)
    path.write_bytes(b"label,start,stop\ntumor,1,2\n")
    with pytest.raises(ReadError, match="changed afterwards"):
        store.path_of(saved, drawn)
    path.unlink()
    with pytest.raises(ReadError, match="missing"):
        store.path_of(saved, drawn)


def test_a_drawing_that_fails_leaves_the_review_as_it_was(store):
    first = store.save(Review("c1", "ana", "flagged"))

    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.save(Review("c1", "ana", "approved"), {"mask": fails})
    assert store.history("c1", "ana") == (first,)
    assert sorted(p.suffix for p in (store.folder / "c1").iterdir()) == [".json", ".lock"]


# --- files that are not right ---------------------------------------------------------------


def edited(store: ReviewStore, change) -> Path:
    for comment in ("one", "two", "three"):
        store.save(Review("c1", "ana", comment=comment))
    path = store.folder / "c1" / "ana.review.json"
    tree = json.loads(path.read_text("utf-8"))
    change(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["versions"].pop(0),
        lambda tree: tree["versions"].pop(1),
        lambda tree: tree["versions"][1].update(comment="something else"),
        lambda tree: tree["versions"][0].update(at="2001-01-01T00:00:00+00:00"),
        lambda tree: tree["versions"][2].update(case="c2"),
        lambda tree: tree["versions"][2].update(reviewer="ben"),
        lambda tree: tree.update(versions=[]),
        lambda tree: tree.update(format="other"),
        lambda tree: tree.update(format_version=99),
    ],
)
def test_a_file_that_was_edited_is_a_finding_and_not_a_review(store, change):
    edited(store, change)
    found, (finding,) = store.latest("c1")
    assert (found, finding.code) == ({}, "REVIEW_UNREADABLE")
    with pytest.raises(ReadError):
        store.history("c1", "ana")
    with pytest.raises(ReadError):
        store.save(Review("c1", "ana", "approved"))


@pytest.mark.fault("F20")
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 200_000])
def test_anything_else_in_the_folder_is_a_finding(store, data):
    store.save(Review("c1", "ben", "approved"))
    (store.folder / "c1" / "ana.review.json").write_bytes(data)
    found, (finding,) = store.latest("c1")
    assert set(found) == {"ben"}
    assert "ana.review.json" in finding.message


@pytest.mark.fault("F27")
def test_a_case_name_never_leads_out_of_the_folder(store):
    with pytest.raises(ValueError, match="cannot be a file name"):
        store.save(Review("../outside", "ana"))


# --- at the same time -----------------------------------------------------------------------


def _save_many(folder: str, number: int, count: int) -> None:
    store = ReviewStore(folder)
    for n in range(count):
        store.save(Review("c1", "ana", comment=f"{number}.{n}"))


def test_two_windows_of_one_reviewer_lose_no_version(store):
    store.save(Review("c1", "ana", comment="first"))
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_save_many, args=(str(store.folder), n, 10)) for n in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    comments = [review.comment for review in store.history("c1", "ana")]
    assert sorted(comments[1:]) == sorted(f"{w}.{n}" for w in range(2) for n in range(10))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_reviews_are_for_their_owner_only(store):
    store.save(Review("c1", "ana"), {"mask": writer(b"x")})
    for path in [store.folder, *store.folder.rglob("*")]:
        if path.suffix != ".lock":
            assert path.stat().st_mode & 0o077 == 0, path


# --- several reviewers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([], "to do"),
        ([""], "begun"),
        (["", "approved"], "approved"),
        (["approved", "flagged"], "flagged"),
    ],
)
def test_a_flag_beats_an_approval_beats_a_beginning(verdicts, state):
    reviews = [Review("c1", f"r{n}", verdict) for n, verdict in enumerate(verdicts)]
    assert case_state(reviews) == state


def test_the_drawing_of_the_last_approval_counts():
    mask = DrawnFile("mask", "x.seg.nrrd", "0")
    reviews = {
        "ana": Review("c1", "ana", "approved", drawn=(mask,), at="2026-01-02T10:00:00+00:00"),
        "ben": Review("c1", "ben", "approved", drawn=(mask,), at="2026-01-03T10:00:00+00:00"),
        "eva": Review("c1", "eva", "flagged", drawn=(mask,), at="2026-01-04T10:00:00+00:00"),
    }
    found = drawn_of(reviews, "mask")
    assert found is not None
    assert found[0].reviewer == "ben"
    assert drawn_of(reviews, "boxes") is None


def approvals(*said: str) -> dict[str, Review]:
    """Approvals of one day after the other: "mask", "boxes", "nothing", or "" for a look alone."""
    return {
        f"r{day}": Review(
            "c1", f"r{day}", "approved",
            nothing_found=what == "nothing",
            drawn=(DrawnFile(what, "x", "0"),) if what in ("mask", "boxes") else (),
            at=f"2026-01-0{day}T10:00:00+00:00",
        )
        for day, what in enumerate(said, start=1)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "empty", "mask"),
    [
        (["mask", "nothing"], "r2", None),
        (["nothing", "mask"], None, "r2"),
        (["mask", "nothing", "boxes"], None, None),
        (["nothing", ""], "r1", None),
        (["mask", ""], None, "r1"),
        ([""], None, None),
    ],
)
def test_the_last_approval_that_says_what_is_there_counts(said, empty, mask):
    reviews = approvals(*said)
    found, drawn = nothing_found(reviews), drawn_of(reviews, "mask")
    assert (found.reviewer if found else None) == empty
    assert (drawn[0].reviewer if drawn else None) == mask


def test_what_is_left_of_a_drawing_beside_nothing_found_is_none():
    left = (DrawnFile("mask", "x", "0"),)
    reviews = {"ana": Review("c1", "ana", "approved", nothing_found=True, drawn=left)}
    assert nothing_found(reviews) is not None
    assert drawn_of(reviews, "mask") is None
    assert contradictions(reviews) == ()


def test_approvals_contradict_each_other_where_only_some_say_that_nothing_is_there():
    assert [r.reviewer for r in contradictions(approvals("mask", "nothing", ""))] == ["r1", "r2"]
    assert contradictions(approvals("mask", "boxes", "")) == ()
    assert contradictions(approvals("nothing", "nothing")) == ()


def test_a_mask_is_fixed_when_anybody_says_so():
    reviews = {"ana": Review("c1", "ana", fixes=("r1",)), "ben": Review("c1", "ben")}
    assert fixed_readings(reviews) == {"r1"}


# --- readings that a review speaks of ---------------------------------------------------------


MM = (0.0, 0.0, 0.0)
SMALL = Box("tumor", (0, 0, 0), (2, 2, 2), MM, MM, 8)
LARGE = Box("tumor", (0, 0, 0), (3, 3, 3), MM, MM, 27)
NOTED = SliceLabels("ana", 9, ("tumor",), (SliceRange("tumor", 2, 4),))
UNNOTED = SliceLabels("ana", 9, ("tumor",), ())


def test_the_hash_of_boxes_does_not_depend_on_their_order_but_on_who_drew_them():
    one = drawn_hashes({"ana": (SMALL, LARGE), "ben": ()}, ())
    assert one == drawn_hashes({"ben": (), "ana": (LARGE, SMALL)}, ())
    assert one != drawn_hashes({"ana": (SMALL, LARGE)}, ())
    assert one != drawn_hashes({"ben": (SMALL, LARGE), "ana": ()}, ())
    assert one != drawn_hashes({"ana": (SMALL,), "ben": (LARGE,)}, ())


def test_slices_looked_at_and_not_looked_at_have_other_hashes():
    found = [drawn_hashes({}, own)["/slices"] for own in ((), (UNNOTED,), (NOTED,))]
    assert len(set(found)) == 3
    assert found[0] == ""


def reviewed(inputs):
    return Review("c1", "eva", "approved", inputs=inputs)


def test_a_review_speaks_of_masks_boxes_and_slices_as_they_were():
    now = {"ana": "1"} | drawn_hashes({"ana": (SMALL,)}, (NOTED,))
    assert speaks_of(reviewed(now), now)
    assert unbound(reviewed(now), now) == ()
    for change in (
        {"ana": "2"} | drawn_hashes({"ana": (SMALL,)}, (NOTED,)),
        {"ana": "1", "ben": "1"} | drawn_hashes({"ana": (SMALL,)}, (NOTED,)),
        {"ana": "1"} | drawn_hashes({"ana": (LARGE,)}, (NOTED,)),
        {"ana": "1"} | drawn_hashes({"ana": (SMALL,)}, (UNNOTED,)),
        {"ana": "1"} | drawn_hashes({"ana": (SMALL,)}, ()),
    ):
        assert not speaks_of(reviewed(now), change)


def test_a_review_without_hashes_of_boxes_is_compared_by_its_masks():
    now = {"ana": "1"} | drawn_hashes({"ana": (SMALL,)}, ())
    older = reviewed({"ana": "1"})
    assert speaks_of(older, now)
    assert unbound(older, now) == ("boxes",)
    assert not speaks_of(reviewed({"ana": "2"}), now)
    assert unbound(reviewed({}), now) == ("masks", "boxes")


def test_a_look_at_the_packed_masks_keeps_what_was_said_of_boxes():
    whole = {"ana": "1"} | drawn_hashes({"ana": (SMALL,)}, ())
    assert inputs_of({"ana": "1"}, reviewed(whole)) == whole
    assert inputs_of(whole, reviewed({})) == whole
