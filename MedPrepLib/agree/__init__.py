"""Agreement: how far raters agree, where they do not, and why.

Joint counts (joint.py) say which labels meet in which voxels; everything else is arithmetic on
these few rows. ``pairs`` makes Dice of every pair and judges it, ``shift`` finds displaced masks.
"""

from MedPrepLib.agree.pairs import agree, dice, judge, require_one_grid
from MedPrepLib.agree.shift import find_shifts

__all__ = ["agree", "dice", "find_shifts", "judge", "require_one_grid"]
