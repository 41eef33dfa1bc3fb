"""Whether a path lies on a network file system."""

from __future__ import annotations

import re
import sys
from pathlib import Path

NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|ceph|lustre|gpfs|beegfs|glusterfs|ncpfs|fuse(?!blk|ctl).*"
)
"""Types of Linux file systems; FUSE because most of its drives are remote."""

_MOUNTS = Path("/proc/self/mountinfo")


def network_filesystem(path: Path) -> str:
    """The type of the network file system that ``path`` (which need not exist) would lie on.

    Empty for a local one, and where the system does not say (anything but Linux, but for
    Windows' own network paths).
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    place = place.resolve()
    if sys.platform == "win32":
        return "UNC" if str(place).startswith("\\\\") else ""
    if not _MOUNTS.exists():
        return ""
    kind = mounted_type(str(place), _MOUNTS.read_text(encoding="utf-8", errors="replace"))
    return kind if NETWORK.fullmatch(kind) else ""


def mounted_type(place: str, mounts: str) -> str:
    """The type of the file system that a path is on, by the text of mountinfo (proc(5))."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields.split(" ")[4])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    return kind
