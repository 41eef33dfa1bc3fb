"""Public names for patients and cases: what stands in a cohort instead of an identity.

A pseudonym is an HMAC-SHA256 under a key that stays at the site, shortened to 12 base-32
characters (60 bits). A plain hash would not do: a seven-digit patient number is found from its
SHA-256 in seconds. The key lies outside every cohort, readable by its owner only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from MedPrepLib.cohort import Case, Patient
from MedPrepLib.errors import MedPrepError, RunError
from MedPrepLib.trail import Trail

KEY_BYTES = 32
NAME_LENGTH = 12
LONG_NAME = 26
"""Characters of names that would be equal otherwise: 130 bits."""
_PLACEHOLDERS = (
    "anon,anonym,anonymous,anonymized,anonymised,anonymisiert,deid,de-id,deidentified,"
    "de-identified,removed,redacted,withheld,unknown,unbekannt,undefined,none,null,nil,nan,na,n/a,"
    "noid,no id,no name,patient,patientid,patient id,test,dummy,phantom"
)
GENERIC_IDS = frozenset(_PLACEHOLDERS.split(","))
"""Ids, normalized, that exports put on everybody; cases that carry one are never grouped."""

Policy = Literal["pseudonym", "given"]
Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True, repr=False)
class SiteKey:
    """The secret that turns identities into pseudonyms. Never printed, logged or packed."""

    secret: bytes

    @property
    def key_id(self) -> str:
        """Eight hex digits that tell keys apart without giving anything away."""
        return hashlib.sha256(b"id" + self.secret).hexdigest()[:8]

    def pseudonym(self, kind: str, *parts: str, length: int = 0) -> str:
        """12 characters of ``a-z2-7`` for these parts; ``kind`` keeps name spaces apart.

        ``length``: characters, at most 52, in place of the usual 12.
        """
        message = "\x1f".join((kind, *parts)).encode("utf-8", "surrogatepass")
        digest = hmac.new(self.secret, message, hashlib.sha256).digest()
        return base64.b32encode(digest).decode("ascii")[: length or NAME_LENGTH].lower()


def site_key_path() -> Path:
    """Where the key lies: ``MEDPREP_KEY_FILE``, else ``medprep/site.key`` in the user's config."""
    given = os.environ.get("MEDPREP_KEY_FILE")
    if given:
        return Path(given)
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "medprep" / "site.key"


def load_site_key(path: Path | None = None) -> SiteKey:
    """The site's key, made on first use.

    Raises RunError when others may read the file, or when it does not hold a key.
    """
    path = path or site_key_path()
    if not path.exists():
        _create_key(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise RunError(f"{path} may be read by others (mode {mode:o}); run: chmod 600 {path}")
    secret = path.read_bytes()
    if len(secret) != KEY_BYTES:
        raise RunError(
            f"{path} holds {len(secret)} bytes, not a key of {KEY_BYTES}; restore it from your "
            "backup (without it, new runs cannot be linked to old cohorts)"
        )
    return SiteKey(secret)


def key_trail(path: Path) -> Trail:
    """Who made, backed up or restored the key at ``path``, when; its id, never the key itself."""
    return Trail(path.with_name(f"{path.name}.trail"))


def _create_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    secret = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    key_trail(path).add("", "key created", key=SiteKey(secret).key_id)


def normalized_id(patient_id: str) -> str:
    """A patient id as it is compared: text (leading zeros count), no outer or double blanks.

    Letters count without case, and whichever way Unicode writes them (NFKC).
    """
    same = unicodedata.normalize("NFKC", patient_id)
    return re.sub(r"\s+", " ", same).strip().casefold()


def is_generic(patient_id: str) -> bool:
    """True for blank ids and placeholders that exports give to everybody.

    Also for ids of nothing but zeros, of x, or of signs: ``0000``, ``XXXX``, ``--``.
    """
    plain = normalized_id(patient_id)
    return plain in GENERIC_IDS or bool(re.fullmatch(r"0*|x+|[\W_]+", plain))


@lru_cache(maxsize=1 << 16)
def known_id(patient_id: str) -> str:
    """A patient's id (0010,0020) as it is compared; empty for a placeholder, which names nobody."""
    return "" if is_generic(patient_id) else normalized_id(patient_id)


def are_two_patients(one: str, other: str) -> bool:
    """True for two ids that name different patients."""
    mine, others = known_id(one), known_id(other)
    return bool(mine and others and mine != others)


_DATE_OR_NUMBER = re.compile(r"\d{1,4}([./-])\s?\d{1,2}\1\s?\d{1,4}|\d{5,}")
_SHORTEST_NAME = 3
"""Shorter ids stand in any text by accident."""


def may_identify(text: str, names: Iterable[str] = ()) -> bool:
    """True for a free text with a date, a number as long as patient ids are, or one of ``names``.

    Not a proof of the contrary: a family name that is not among ``names`` is not found.
    """
    if _DATE_OR_NUMBER.search(text):
        return True
    plain = normalized_id(text)
    wanted = (normalized_id(name) for name in names)
    return any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", plain)
        for name in wanted
        if len(name) >= _SHORTEST_NAME
    )


def person(case: Case) -> tuple[str, str, str]:
    """What makes two cases one person: (center, issuer, normalized id).

    A generic id identifies nobody: such a case is a person of its own.
    """
    patient = case.patient
    own = known_id(patient.id)
    return (patient.center, patient.issuer, own) if own else (patient.center, "", f"case:{case.id}")


@dataclass(frozen=True)
class Names:
    """Public names of cases and patients, by private id and person."""

    cases: dict[str, str]
    patients: dict[tuple[str, str, str], str]

    def patient_of(self, case: Case) -> str:
        """The public name of the person whom the case shows."""
        return self.patients[person(case)]


def public_names(cases: Iterable[Case], key: SiteKey, policy: Policy) -> Names:
    """Names for everything that will be written.

    "pseudonym": HMACs under the site key; should two be equal, both are made longer. "given":
    the study's own names, for studies whose names are free of identity; reduced to
    ``[A-Za-z0-9._-]``. Raises MedPrepError when two cases would get the same name.
    """
    ordered = sorted(cases, key=lambda c: c.id)
    if policy == "given":
        case_names = {case.id: slug(case.id) for case in ordered}
        people = {person(case): _given_patient(case.patient, person(case)) for case in ordered}
    else:
        case_names = _pseudonyms(key, "case", {case.id: (case.id,) for case in ordered})
        who = [person(case) for case in ordered]
        people = _pseudonyms(key, "patient", {one: one for one in who})
    _require_distinct(case_names.values(), "cases")
    _require_distinct(people.values(), "patients")
    return Names(case_names, people)


def _pseudonyms(key: SiteKey, kind: str, parts: Mapping[Item, tuple[str, ...]]) -> dict[Item, str]:
    """A pseudonym per item; those that are equal (once in 10^9 for 50,000 items) are told whole."""
    names = {item: key.pseudonym(kind, *words) for item, words in parts.items()}
    counts = Counter(names.values())
    return {
        item: name if counts[name] == 1 else key.pseudonym(kind, *parts[item], length=LONG_NAME)
        for item, name in names.items()
    }


def _given_patient(patient: Patient, who: tuple[str, str, str]) -> str:
    own = patient.id if not is_generic(patient.id) else who[2].removeprefix("case:")
    return slug(".".join(part for part in (patient.center, patient.issuer, own) if part))


def slug(name: str) -> str:
    """A name as a safe file name on every system: ``[A-Za-z0-9._-]``, at most 64 characters.

    Names that lose something get eight hex digits of their hash, so that they stay distinct.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:64]
    kept_all = plain == re.sub(r"[\\/ ]", "_", name)
    if plain and kept_all and plain.upper().split(".")[0] not in _RESERVED:
        return plain
    return f"x{plain[:54]}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{n}{i}" for n in ("COM", "LPT") for i in range(1, 10))]
)


def _require_distinct(names: Iterable[str], what: str) -> None:
    seen: dict[str, None] = {}
    for name in names:
        folded = name.casefold()  # file systems may ignore case
        if folded in seen:
            raise MedPrepError(
                f"two {what} of the study would both be called {name!r}; rename one of them, or "
                'use privacy.case_names = "pseudonym"'
            )
        seen[folded] = None
