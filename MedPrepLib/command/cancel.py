"""Being asked to stop by a file: 3D Slicer starts a launcher whose child survives its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.2


@contextmanager
def cancelled_by(path: Path | None) -> Iterator[None]:
    """Inside, the appearance of the file interrupts the program as Ctrl+C does.

    A file that is there already cancels at once. The file is left for its maker to remove.
    """
    if path is None:
        yield
        return
    done = threading.Event()

    def watch(file: Path) -> None:
        while not done.wait(POLL_S):
            if file.exists():
                _interrupt_main()
                return

    # A program started in the background of a shell inherits an ignored SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = threading.Thread(target=watch, args=(path,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        signal.signal(signal.SIGINT, before)


def _interrupt_main() -> None:
    """Wake the main thread, which may be waiting for its workers, with a KeyboardInterrupt."""
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident or 0
        signal.pthread_kill(main, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
