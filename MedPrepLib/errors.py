"""Errors for bad *calls*. Bad *data* never raises: it becomes a Finding (see findings.py).

Every class is also the built-in a Python programmer would expect, so that ``except ValueError``
keeps working in a notebook.
"""


class MedPrepError(Exception):
    """Anything MedPrep refuses to do; the message names the value, the limit and the way out."""


class GeometryError(MedPrepError, ValueError):
    """Numbers that do not describe a voxel grid, or voxels that do not fit their grid."""


class LabelError(MedPrepError, ValueError):
    """A label schema that contradicts itself, or a label that is not in the schema."""


class ConfigError(MedPrepError, ValueError):
    """A study file with unknown keys, wrong types or values out of range.

    ``problems`` holds one line per fault, each beginning with the path of the setting.
    """

    def __init__(self, problems: list[str], source: str = "study file") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__(f"{source}: " + "; ".join(problems))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[str], str]]:
        return ConfigError, (list(self.problems), self.source)


class ReadError(MedPrepError, OSError):
    """A file that cannot be read as what it claims to be."""


class SourceChangedError(ReadError):
    """A source file that vanished, or is not the one that was scanned (size or time differ)."""


class UnsupportedError(MedPrepError, NotImplementedError):
    """Something valid that this version, or this installation, cannot read."""


class CohortError(MedPrepError, OSError):
    """A folder that is not a cohort, or a cohort that this version cannot open."""


class CorruptCaseError(CohortError):
    """Bytes of a cohort that differ from what was written; names the case and the file."""


class LockedError(MedPrepError, OSError):
    """Another process is writing the same cohort."""


class StorageError(ReadError):
    """A drive that does not answer just now (EIO, ESTALE, a timeout); worth another try."""


class RunError(MedPrepError, RuntimeError):
    """A run that cannot go on: target not writable, no space, a wrong recipe."""


class OrderError(RunError, ValueError):
    """A run or an export asked for in words that contradict each other: a wrong call."""


class RecipeError(RunError):
    """A cohort was made with other settings; the message lists what differs."""
