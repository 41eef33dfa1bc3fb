"""The bridge to 3D Slicer: MRML nodes to values and back. Nothing of Qt, and no global scene.

Every function that makes nodes takes the scene. Nodes hold copies of voxels, so that whatever
happens to them in Slicer changes no value. ``volumes``, ``segmentations``, ``markups`` and
``tables`` each know one kind of node, ``transforms`` what lies above them, ``hierarchy`` and
``views`` where they are shown; ``casenodes`` is a whole case in a scene, and ``scenebook`` makes a
case of what is in a scene already. ``desk`` is an open case with what is decided about it,
``session`` a person at work on a book of cases. ``bootstrap`` starts a scene in plain Python.
"""

from MedPrepLib.mrml.casenodes import CaseNodes
from MedPrepLib.mrml.desk import Desk
from MedPrepLib.mrml.markups import add_boxes, boxes_of
from MedPrepLib.mrml.scenebook import SceneBook
from MedPrepLib.mrml.segmentations import add_segmentation, parts_of, replace_segments
from MedPrepLib.mrml.session import Session
from MedPrepLib.mrml.tables import add_table
from MedPrepLib.mrml.transforms import TransformedError
from MedPrepLib.mrml.volumes import add_volume, volume_of

__all__ = [
    "CaseNodes",
    "Desk",
    "SceneBook",
    "Session",
    "TransformedError",
    "add_boxes",
    "add_segmentation",
    "add_table",
    "add_volume",
    "boxes_of",
    "parts_of",
    "replace_segments",
    "volume_of",
]
