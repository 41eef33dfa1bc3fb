"""The site key, looked at from outside."""

from __future__ import annotations

import os
import stat

from MedPrepLib.doctor.line import Line
from MedPrepLib.identity import KEY_BYTES, site_key_path


def key_line() -> Line:
    """Whether the site key is there, whole, and its owner's alone; it is neither read nor made."""
    path = site_key_path()
    if not path.exists():
        return Line("site key", "ok", "not there yet: the first run makes it; keep a backup then")
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_size != KEY_BYTES:
        said = f"{path} holds {status.st_size} bytes, not {KEY_BYTES}"
        return Line("site key", "broken", said, f"restore {path} from your backup")
    if os.name == "posix" and mode & 0o077:
        return Line(
            "site key", "broken", f"others may read it (mode {mode:o})", f"chmod 600 {path}"
        )
    return Line("site key", "ok", f"{path} (mode {mode:o}); keep a backup")
