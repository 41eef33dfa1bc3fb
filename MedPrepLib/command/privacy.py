"""``medprep share-check``, ``scan-phi``, ``audit-trail``: what leaves the site, who did what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from MedPrepLib.command.output import echo_json, echo_table, plain
from MedPrepLib.command.progress import listener

if TYPE_CHECKING:
    from MedPrepLib.phi import PhiScan
    from MedPrepLib.sharing import ShareCheck

FOUND = 1
SHOWN_GROUPS = 20
STUDY = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Cohort folder [cohort beside STUDY]."
)


@click.command("share-check")
@click.argument("cohort", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--k", type=click.IntRange(2, 100), help="Fewest patients of a group [study file].")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def share_check(cohort: Path, k: int | None, as_json: bool) -> int:
    """Tell whether a COHORT may be given away: small groups, faces, text in pixels.

    Exits with 1 when fewer than k patients look alike somewhere (k-anonymity), or when cases may
    carry text in their pixels.
    """
    from MedPrepLib.sharing import share_check as check

    answer = check(cohort, k or 0)
    if as_json:
        echo_json({**_record(answer), "fit": answer.fit})
    else:
        _echo_check(answer)
    return 0 if answer.fit else FOUND


def _record(answer: ShareCheck) -> dict[str, object]:
    import msgspec

    record: dict[str, object] = msgspec.to_builtins(answer)
    return record


def _echo_check(answer: ShareCheck) -> None:
    groups = answer.groups
    small = groups.small
    click.echo(f"Smallest group of patients who look alike: {groups.smallest} (k = {groups.k}).")
    if small:
        rows = [
            (", ".join(group.cases[:3]), *_texts(group.known), str(group.patients))
            for group in small[:SHOWN_GROUPS]
        ]
        header = ("cases", "center", "sex", "age", "device", "modality", "body part", "patients")
        echo_table(header, rows)
        if len(small) > SHOWN_GROUPS:
            click.echo(f"... and {len(small) - SHOWN_GROUPS} more groups")
        for remedy in groups.remedies:
            click.echo(plain(f"{remedy.cases_left} cases would be left with {remedy.setting}"))
    for what, cases in (
        ("BURNED_IN_RISK: may carry text in the pixels", answer.burned_in),
        ("FACE_POSSIBLE: may show a face; nothing is defaced", answer.faces),
        ("whose headers name no part of the body may show a face, too", answer.faces_unknown),
    ):
        if cases:
            click.echo(plain(f"{len(cases)} cases {what}: {', '.join(cases)}"))
    if answer.given_names:
        click.echo("Names of cases and patients are the study's own (privacy.case_names).")
    if answer.origins_kept:
        click.echo('Grids tell where patients lay (privacy.origin = "zero" resets them).')
    click.echo("Text burned into pixels is judged by headers only.")


def _texts(known: object) -> tuple[str, ...]:
    import msgspec

    return tuple(str(value) for value in msgspec.structs.astuple(known))  # type: ignore[arg-type]


@click.command("scan-phi")
@click.argument("study", type=STUDY)
@click.argument("others", nargs=-1, type=click.Path(exists=True, path_type=Path))
@OUT
@click.option("--show", is_flag=True, help="Print the identities that were found, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def scan_phi(
    study: Path, others: tuple[Path, ...], out: Path | None, show: bool, as_json: bool
) -> int:
    """Look for the identities of STUDY's sources in its cohort, and in OTHERS (exports, logs).

    Names, ids, dates, UIDs, institutions and file names of the sources are read again. Exits
    with 1 when one of them stands in something that was written, or as a word of its own in the
    title, description or citation of [card].
    """
    from MedPrepLib.phi import scan_phi as scan
    from MedPrepLib.pipeline.order import order_of

    with listener("none" if as_json else "auto") as listen:
        answer = scan(order_of(study, out), others, listen)
    if as_json:
        echo_json(_phi_record(answer, show))
    else:
        _echo_phi(answer, show)
    return FOUND if answer.leaks else 0


def _phi_record(answer: PhiScan, show: bool) -> dict[str, object]:
    leaks = [
        {"file": leak.file, "category": leak.category, **({"text": leak.text} if show else {})}
        for leak in answer.leaks
    ]
    counts = {"identities": answer.identities, "left_out": answer.left_out, "files": answer.files}
    return {**counts, "leaks": leaks}


def _echo_phi(answer: PhiScan, show: bool) -> None:
    for leak in answer.leaks:
        shown = f": {leak.text}" if show else ""
        click.echo(plain(f"{leak.file}: {leak.category}{shown}"))
    click.echo(
        f"{answer.identities} identities of the sources were looked for in {answer.files} files "
        f"({answer.left_out} are too short or public words of the study): "
        f"{len(answer.leaks) or 'none'} found."
    )


@click.command("audit-trail")
@click.argument("study", type=STUDY)
@OUT
@click.option("--verify", is_flag=True, help="Only check the chains; exit with 1 for a fault.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def audit_trail(study: Path, out: Path | None, verify: bool, as_json: bool) -> int:
    """Tell who did what to which case of STUDY, when; and whether the record was changed.

    Reviews, re-admissions and runs are recorded in files of JSON lines, each of which holds the
    hash of the one before.
    """
    from MedPrepLib.pipeline.order import order_of
    from MedPrepLib.pipeline.record import anchors, reviews_trail
    from MedPrepLib.trail import Trail

    order = order_of(study, out)
    runs, reviews = Trail(order.private), reviews_trail(order)
    faults = [("runs", fault) for fault in runs.faults()]
    faults += [("reviews", fault) for fault in reviews.faults(anchors(runs))]
    acts = sorted((*runs.acts(), *reviews.acts()), key=lambda act: act.at)
    if as_json:
        told = [{"trail": name, "line": f.line, "message": f.message} for name, f in faults]
        echo_json({"acts": [] if verify else acts, "faults": told})
        return FOUND if faults else 0
    for act in () if verify else acts:
        details = ", ".join(f"{key}={value}" for key, value in act.details.items() if value)
        click.echo(plain(f"{act.at}  {act.who}  {act.what}  {act.case}  {details}"))
    for name, fault in faults:
        click.echo(plain(f"{name}, line {fault.line}: {fault.message}"))
    heads = (("runs", runs.head()), ("reviews", reviews.head()))
    ends = "; ".join(f"{name}: {head.lines} lines, {head.digest[:16]}" for name, head in heads)
    click.echo(f"{'Changed' if faults else 'Unchanged'}. {ends}")
    return FOUND if faults else 0
