"""Look through a study or a cohort without a window: alignment, agreement and consensus as files.

In Slicer::

    Slicer --no-splash --no-main-window --ignore-slicerrc \
        --python-script medprep_batch.py -- STUDY.toml --out FOLDER

and the same in plain Python where slicer-core is installed::

    python medprep_batch.py STUDY.toml --out FOLDER

Exit status: 0 clean, 1 findings at or above --fail-on, 2 wrong call or study file, 3 failed,
130 interrupted.
"""

import argparse
import importlib.util
import logging
import pathlib
import sys

CLEAN, FOUND, WRONG, FAILED, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments):
    """Run the batch; returns the exit status. Nothing is raised: Slicer would go on for ever."""
    try:
        find_library()
        return run(parser().parse_args([a for a in arguments if a != "--"]))
    except SystemExit as error:  # argparse has said what is wrong
        return error.code
    except KeyboardInterrupt:
        say("Interrupted; what is done is kept.")
        return INTERRUPTED
    except ModuleNotFoundError as error:
        say(f"{error}; install what is missing with: PythonSlicer -m pip install {error.name}")
        return FAILED
    except Exception as error:
        if not refused(error):
            logging.exception("This is a fault of MedPrep; please report it.")
            return FAILED
        say(f"Error: {error}")
        return WRONG if isinstance(error, wrong_calls()) else FAILED


def refused(error):
    """True for what is wrong with the input or the disk, and not with the program."""
    from MedPrepLib.errors import MedPrepError

    return isinstance(error, (MedPrepError, OSError))


def wrong_calls():
    """The errors that another call would not have."""
    from MedPrepLib.errors import ConfigError

    return (ConfigError, FileNotFoundError, LookupError)


def say(text):
    """One line for whoever reads the output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parser():
    """What can be asked for."""
    words = argparse.ArgumentParser(
        prog="medprep_batch.py", description="Alignment, agreement and consensus of every case."
    )
    words.add_argument("study", type=pathlib.Path, help="a study file (TOML) or a cohort folder")
    words.add_argument("--out", type=pathlib.Path, help="where to write [batch beside STUDY]")
    words.add_argument("--method", choices=["majority", "staple"], help="[study file]")
    words.add_argument(
        "--ties", type=tie_rule, help="background, foreground, undecided, rater:NAME [study file]"
    )
    words.add_argument("--reviewer", default="", help="follow what NAME decided in the panel")
    words.add_argument("--case", action="append", default=[], help="only this case; repeatable")
    words.add_argument("--scenes", action="store_true", help="keep each case as a scene (.mrb)")
    words.add_argument("--fail-on", choices=["review", "reject", "never"], help="[study file]")
    return words


def tie_rule(text):
    """A rule for ties, or the reason why it is none."""
    if text in ("background", "foreground", "undecided") or (text[6:] and text[:6] == "rater:"):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is no rule; say background, foreground, undecided or rater:NAME"
    )


def run(wanted):
    """Open, work through, and sum up."""
    from MedPrepLib.mrml.batch import BatchOrder, run_batch
    from MedPrepLib.mrml.bootstrap import start
    from MedPrepLib.mrml.session import Session

    session = Session(start(), wanted.reviewer)
    session.open(wanted.study)
    out = wanted.out or wanted.study.resolve().parent / "batch"
    order = BatchOrder(out, way(session.book.study, wanted), tuple(wanted.case), saver(wanted))
    summary = run_batch(session, order, tell)
    for finding in summary.findings:
        if finding.severity.word != "note":
            say(f"{finding.severity.word:>6}  {finding.item}  {finding.public().message}")
    done, missed = len(summary.results), len(summary.not_shown)
    say(f"{done} cases compared, {missed} could not be shown; see {out}")
    return status(summary.findings, wanted.fail_on or session.book.study.run.fail_on)


def way(study, wanted):
    """How to decide: as the study says, but for what was asked for here."""
    import msgspec

    asked = {"method": wanted.method, "ties": wanted.ties}
    chosen = {name: value for name, value in asked.items() if value}
    return msgspec.structs.replace(study.consensus, **chosen)


def saver(wanted):
    """What saves scenes; None when nobody wants them."""
    import slicer

    return slicer.util.saveScene if wanted.scenes else None


def tell(step):
    """One line per case; of a search, nothing."""
    if step.stage == "batch":
        say(f"{step.done}/{step.total} {step.item}")


def status(findings, fail_on):
    """1 when something was found that the caller wants to fail on."""
    from MedPrepLib.findings import Severity

    if fail_on == "never":
        return CLEAN
    limit = Severity.REVIEW if fail_on == "review" else Severity.REJECT
    return FOUND if any(finding.severity >= limit for finding in findings) else CLEAN


def find_library():
    """Make MedPrepLib importable: beside the module, or beside its folder in a checkout."""
    if importlib.util.find_spec("MedPrepLib") is not None:
        return
    for folder in pathlib.Path(__file__).resolve().parents[1:3]:
        if (folder / "MedPrepLib").is_dir():
            sys.path.insert(0, str(folder))
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
