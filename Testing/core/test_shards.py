"""A run in parts: every part does its share, and together they make the cohort of a plain run."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import medprep
from many_cases import write_many

from MedPrepLib.errors import LockedError, RunError
from MedPrepLib.identity import SiteKey, public_names
from MedPrepLib.pipeline import Shard, casework, order_of, run, shard_of
from MedPrepLib.pipeline.lock import locked
from MedPrepLib.pipeline.shards import share
from MedPrepLib.pipeline.tasks import case_tasks, scan_cases
from MedPrepLib.pipeline.workers import Lost
from MedPrepLib.progress import silent
from MedPrepLib.trail import Trail

KEY = SiteKey(bytes(32))


def go(study, out=None, **how):
    return run(order_of(study, out, workers=1, **how), key=KEY)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A study of five cases, made plainly in ``plain`` and by two shards in ``parts``."""
    study = write_many(tmp_path_factory.mktemp("study"), 5)
    go(study, study.parent / "plain")
    first = go(study, study.parent / "parts", shard=Shard(1, 2))
    second = go(study, study.parent / "parts", shard=Shard(2, 2))
    return study, first, second


@pytest.fixture
def copied(sharded, tmp_path):
    """The same, to be changed."""
    shutil.copytree(sharded[0].parent, tmp_path / "study")
    return tmp_path / "study" / "study.toml"


def test_shards_share_the_cases_and_make_no_cohort(sharded) -> None:
    study, first, second = sharded
    assert (first.cases_done, second.cases_done) == (3, 2)
    assert not {r.id for r in first.results} & {r.id for r in second.results}
    assert not (study.parent / "parts" / "manifest.json").exists()
    assert first.plan is None
    assert first.report is None


@pytest.mark.parametrize("how", [{"merge": True}, {}])
def test_what_shards_made_becomes_the_cohort_of_a_plain_run(copied, how) -> None:
    folder = copied.parent
    # The sources lie elsewhere now, which the ledgers notice: so the shards look again.
    for number in (1, 2):
        go(copied, folder / "parts", shard=Shard(number, 2))
    done = go(copied, folder / "parts", **how)
    assert done.cases_done == 0
    assert contents(folder / "parts") == contents(folder / "plain")
    plain, parts = (folder / f"{name}-private" / "identities.csv" for name in ("plain", "parts"))
    assert len(plain.read_text().splitlines()) == len(parts.read_text().splitlines()) == 6
    assert go(copied, folder / "parts").unchanged


def test_shards_log_apart_and_share_one_audit_trail(sharded) -> None:
    private = sharded[0].parent / "parts-private"
    for part in ("001-of-002", "002-of-002"):
        assert "run finished" in (private / "shards" / part / "run.log").read_text()
    begun = [act.details["shard"] for act in Trail(private).acts() if act.what == "run started"]
    assert begun[:2] == ["1/2", "2/2"]
    assert not Trail(private).faults()


@pytest.mark.fault("F49")
def test_a_shard_with_a_key_of_its_own_is_refused(copied) -> None:
    order = order_of(copied, copied.parent / "parts", workers=1, shard=Shard(2, 3))
    with pytest.raises(RunError, match="was made with site key"):
        run(order, key=SiteKey(bytes(31) + b"1"))
    assert run(order, key=KEY).shard == "2/3"


def test_a_shard_that_was_done_is_not_done_again(sharded) -> None:
    study = sharded[0]
    assert go(study, study.parent / "parts", shard=Shard(1, 2)).cases_done == 0


def test_a_shard_knows_what_a_whole_run_did_before(sharded) -> None:
    study = sharded[0]
    assert go(study, study.parent / "plain", shard=Shard(3, 3)).cases_done == 0


@pytest.mark.parametrize("missing", ["never run", "interrupted"])
def test_missing_shards_are_named_and_nothing_is_written(tmp_path, missing) -> None:
    study = write_many(tmp_path, 5)
    go(study, shard=Shard(1, 3))
    go(study, shard=Shard(3, 3), stop="scan" if missing == "interrupted" else "report")
    with pytest.raises(RunError) as refused:
        go(study, merge=True)
    named = "2, 3" if missing == "interrupted" else "2"
    assert f"incomplete: shard {named} of 3." in str(refused.value)
    assert not (tmp_path / "cohort" / "manifest.json").exists()
    assert go(study).cases_done == (3 if missing == "interrupted" else 2), "a run does the rest"


def test_a_merge_without_shards_says_what_to_do(tmp_path) -> None:
    with pytest.raises(RunError, match=r"no shard .* --shard 1/N"):
        go(write_many(tmp_path, 1), merge=True)


def test_a_case_that_no_shard_could_finish_does_not_hold_up_the_merge(tmp_path, monkeypatch):
    study = write_many(tmp_path, 2)

    class Nobody:
        def __init__(self, *_):
            pass

        def run(self, tasks):
            yield from ((task, Lost("died", 1.0)) for task in tasks)

    go(study, shard=Shard(1, 2))
    monkeypatch.setattr("MedPrepLib.pipeline.cases.WorkerPool", Nobody)
    go(study, shard=Shard(2, 2))
    done = go(study, merge=True)
    assert [case.rejections for case in done.excluded] == [("WORKER_DIED",)]
    monkeypatch.undo()
    assert len(go(study).included) == 2, "a run tries again"


def test_shares_are_of_one_size_and_the_largest_cases_are_dealt_out(tmp_path) -> None:
    study = write_many(tmp_path, 11)
    order = order_of(study)
    scanned = scan_cases(order, None, silent)
    tasks = case_tasks(
        order, scanned, public_names((c.case for c in scanned.candidates), KEY, "given")
    )
    for count in (1, 2, 3, 16):
        parts = [share(tasks, Shard(number + 1, count)) for number in range(count)]
        assert sorted(t.name for part in parts for t in part) == sorted(t.name for t in tasks)
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        backwards = share(tasks[::-1], Shard(1, count))
        assert [t.name for t in backwards] == [t.name for t in parts[0]]


@pytest.mark.fault("F10")
def test_a_shard_and_a_whole_run_never_write_at_the_same_time(sharded, monkeypatch) -> None:
    monkeypatch.setattr("MedPrepLib.pipeline.lock.PATIENCE_S", 0.2)
    study = sharded[0]
    private = study.parent / "parts-private"
    with locked(private), pytest.raises(LockedError, match="parts-private is being written"):
        go(study, study.parent / "parts", shard=Shard(1, 2))
    with locked(private / "shards" / "001-of-002"):
        with pytest.raises(LockedError, match="001-of-002 is being written by process"):
            go(study, study.parent / "parts", merge=True)
        go(study, study.parent / "parts", shard=Shard(2, 2))


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/10000", "1/2/3"])
def test_what_is_no_shard_is_refused(text) -> None:
    with pytest.raises(RunError, match="is no shard"):
        shard_of(text)


def test_the_commands_say_what_a_shard_did_and_merge_it(tmp_path) -> None:
    study = write_many(tmp_path, 2)
    for number in (1, 2):
        done = medprep("run", study, "--shard", f"{number}/2", "--progress", "json")
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines[-1]["cases_done"] == 1
        (note,) = (line["note"] for line in lines if "note" in line)
        assert note.startswith("1 worker: ")
        assert "largest case needs 0.2 GB" in note or "MB" in note
    done = medprep("merge", study)
    assert done.returncode == 0, done.stderr
    assert "2 cases: 2 included" in done.stdout
    assert (tmp_path / "cohort" / "manifest.json").is_file()


def test_passing_findings_are_what_a_shard_keeps_apart() -> None:
    """A codec, memory or the right to read may be there the next time."""
    in_the_place = {"ACCESS_DENIED", "CODEC_MISSING", "WORKER_MEMORY"}
    assert {"SOURCE_OFFLINE", "SOURCE_CHANGED"} | in_the_place == casework.PASSING
