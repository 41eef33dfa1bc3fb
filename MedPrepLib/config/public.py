"""What of a study file may leave the site: every setting but those that name people or places.

Comments, paths, names of columns and names of annotation files may hold anything; they stay in
the study file. What is left is complete: settings that were not given stand there with their
value, so that a cohort tells how it was made even where defaults change. Only ``[run]`` is left
out, which says how the work is done and changes nothing of what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from MedPrepLib.config.settings import Study
from MedPrepLib.config.template import toml, toml_key

WITHHELD = "(kept in the study file)"
PRIVATE_OF_SOURCES = ("path", "masks", "columns", "centers", "annotations")
PRIVATE = ("labels_file", "reading_dates", "reviews", "readmitted", "split.fixed")
"""Settings that may name people or places on the disk, by their path."""


def shown_tree(study: Study) -> dict[str, Any]:
    """All settings for people to read; private ones that were given say ``WITHHELD``."""
    tree: dict[str, Any] = msgspec.to_builtins(study)
    del tree["run"]
    for source in tree["sources"]:
        for key in PRIVATE_OF_SOURCES:
            source[key] = WITHHELD if source.get(key) else ""
    for table, key in _private_places(tree):
        if key in table:
            table[key] = WITHHELD if table[key] else ""
    return tree


def public_tree(study: Study) -> dict[str, Any]:
    """The public settings; the path of a source, which has no default, reads as ``WITHHELD``."""
    # Through the types, so that 1 and 1.0 are the same setting wherever it was given.
    typed = msgspec.convert(msgspec.to_builtins(study), Study)
    tree: dict[str, Any] = msgspec.to_builtins(typed)
    del tree["run"]
    for source in tree["sources"]:
        for key in PRIVATE_OF_SOURCES:
            source.pop(key, None)
        source["path"] = WITHHELD
    for table, key in _private_places(tree):
        table.pop(key, None)
    return tree


def public_text(study: Study) -> str:
    """The public settings as TOML that config.parse_study reads."""
    tree = public_tree(study)
    sources = tree.pop("sources")
    lines = list(_table(tree, ""))
    for source in sources:
        lines += ["", "[[sources]]", *_values(source)]
    return "\n".join(lines) + "\n"


def _private_places(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for path in PRIVATE:
        *tables, key = path.split(".")
        table = tree
        for name in tables:
            table = table[name]
        yield table, key


def _table(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    """Plain values first, then a section per table: TOML's tables go on until the next one."""
    yield from _values(tree)
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            inner = f"{path}.{toml_key(key)}" if path else toml_key(key)
            yield from ("", f"[{inner}]", *_table(value, inner))


def _values(tree: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if value is not None and not (isinstance(value, Mapping) and value):
            yield f"{toml_key(key)} = {toml(value)}"
