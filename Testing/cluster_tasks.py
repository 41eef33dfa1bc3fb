"""Work for the processes of a cluster, which import it by this name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def double(task: int) -> int:
    return 2 * task


def die_once(path: str) -> int:
    """Kills its worker the first time; the file remembers every time."""
    mark = Path(path)
    with mark.open("a") as file:
        file.write("x")
    if mark.stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return mark.stat().st_size


def die_always(path: str) -> int:
    with Path(path).open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def hang_on_zero(task: int) -> int:
    if task == 0:
        time.sleep(120)
    return task


def raise_on_one(task: int) -> int:
    if task == 1:
        raise ZeroDivisionError("a bug")
    return task


def linger(path: str) -> int:
    """Says that it began, and takes a while."""
    Path(path).touch()
    time.sleep(60)
    return 0


def print_names(task: int) -> int:
    """Prints what nobody else may read: from Python, and past it as C libraries do."""
    print("MUSTERMANN", flush=True)
    os.write(2, b"MAX 1931\n")
    return task
