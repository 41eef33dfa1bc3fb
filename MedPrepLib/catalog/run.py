"""What is found out about the run itself."""

from __future__ import annotations

from MedPrepLib.catalog.kinds import declare

_note, _review, _reject, _final = declare("run")

WORKER_DIED = _final(
    "WORKER_DIED",
    "The worker process died while it worked on this case, also when retried alone.",
    "Check memory and the file; run the case alone.",
)
WORKER_TIMEOUT = _final(
    "WORKER_TIMEOUT",
    "A case took longer than the limit and was stopped.",
    "Check the storage, or raise run.timeout_s.",
)
WORKER_MEMORY = _final(
    "WORKER_MEMORY",
    "A case asked for more memory than a worker may have.",
    "Raise run.memory_gb or use a machine with more memory; check the image's size in its header.",
)
SOURCE_OFFLINE = _final(
    "SOURCE_OFFLINE",
    "A drive did not answer, also when it was asked again after a while.",
    "Run the same command again when the drive is back: only such cases are done again.",
)
ACCESS_DENIED = _final(
    "ACCESS_DENIED",
    "A file of a case may not be read by the account that runs MedPrep.",
    "Let that account read it and run the same command again: only such cases are done again.",
)
SOURCE_CHANGED = _final(
    "SOURCE_CHANGED",
    "A source file changed or vanished while it was being used.",
    "Wait until the export is complete and run again.",
)
