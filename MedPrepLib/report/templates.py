"""Templates into pages: everything that data say is cleaned and escaped, nothing is loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from MedPrepLib.report import casepages, text

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent


def fill(
    template: str, styles: Sequence[str], scripts: Sequence[str], images: str, **values: object
) -> bytes:
    """A whole page. Every text from data is cleaned of control characters and escaped.

    ``styles`` and ``scripts`` are files of this folder; ``images``: where pictures may be from.
    """
    style, script = (_joined(names) for names in (tuple(styles), tuple(scripts)))
    page = _environment().get_template(template).render(
        csp=_policy(style, script, images), style=style, script=script, **values
    )  # fmt: skip
    return page.encode("utf-8")


@cache
def _joined(names: Sequence[str]) -> str:
    return "".join((HERE / name).read_text(encoding="utf-8") for name in names)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        auto_reload=False,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        dice=text.dice,
        name=text.name,
        short=text.short,
        plural=text.plural,
        thousands=text.thousands,
        percent=text.percent,
    )
    environment.globals.update(severe=casepages.severe, dice_words=casepages.dice_words)
    return environment


def _finalize(value: object) -> object:
    """Clean whatever the template prints; only what it declares safe passes as it is.

    That is the style and the script of this folder, pictures in base64 and drawn paths, which
    have no character that means anything in HTML, and would be cut as too long.
    """
    return value if hasattr(value, "__html__") else text.clean(str(value))


@cache
def _policy(style: str, script: str, images: str) -> str:
    """Nothing but pictures may be loaded, and only this very style and script run (CSP level 2)."""
    return (
        f"default-src 'none'; img-src {images}; "
        f"style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
