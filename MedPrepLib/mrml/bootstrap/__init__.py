"""A scene without Slicer: what its application sets up before any window, on PyPI's slicer-core.

``boot`` makes a scene with the logics of the core modules; ``start`` also puts it where scripts
look for it, so that ``slicer.util.loadVolume`` or ``saveScene`` work in plain Python. In a running
Slicer ``start`` changes nothing.
"""

from MedPrepLib.mrml.bootstrap.application import start
from MedPrepLib.mrml.bootstrap.files import FileManager
from MedPrepLib.mrml.bootstrap.scene import Booted, boot

__all__ = ["Booted", "FileManager", "boot", "start"]
