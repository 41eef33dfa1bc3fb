"""Agreement: how far raters agree, where they do not, and why.

Joint counts (joint.py) say which labels meet in which voxels; everything else is arithmetic on
these few rows. ``pairs`` makes Dice of every pair and judges it, ``versus`` compares with a
reference, ``surface`` measures distances, ``chance`` corrects for it, ``lesions`` matches
components; ``causes`` says why a value is low, ``differences`` and ``disagreement`` where raters
differ. ``details`` puts all of it together.
"""

from MedPrepLib.agree.details import details
from MedPrepLib.agree.pairs import agree, dice, judge, require_one_grid
from MedPrepLib.agree.versus import (
    against_consensus,
    against_reference,
    first_readings,
    judge_against,
)

__all__ = [
    "against_consensus",
    "against_reference",
    "agree",
    "details",
    "dice",
    "first_readings",
    "judge",
    "judge_against",
    "require_one_grid",
]
