"""What is installed and what works here: for ``medprep doctor`` and for reports of trouble.

``packages`` compares what is installed with what MedPrep asks for, ``codecs`` decodes a tiny image
of every kind, ``machine`` looks at room, memory and the site key. Nothing is changed.
"""

from MedPrepLib.doctor.checkup import Checkup, checkup
from MedPrepLib.doctor.line import Line, State

__all__ = ["Checkup", "Line", "State", "checkup"]
