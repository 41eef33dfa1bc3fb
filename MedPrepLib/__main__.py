"""``python -m MedPrepLib``: the same as the ``medprep`` command."""

from MedPrepLib.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
