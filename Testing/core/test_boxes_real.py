"""Boxes and slice labels of real raters: lung nodules that four radiologists outlined."""

from __future__ import annotations

import itertools

import numpy as np
import SimpleITK as sitk

from MedPrepLib.agree.boxes import agree_boxes
from MedPrepLib.agree.slices import agree_slices
from MedPrepLib.boxes import index_box, iou
from MedPrepLib.consensus.boxes import merge_boxes
from MedPrepLib.consensus.slices import vote_slices
from MedPrepLib.images import from_sitk
from MedPrepLib.labels import Label, LabelSchema
from MedPrepLib.slicelabels import slice_flags, slice_labels
from MedPrepLib.targets import derive

SCHEMA = LabelSchema((Label("nodule", 1),))


def nodules_in(shared_data):
    return sorted(p.parent for p in (shared_data / "multirater" / "lidc").glob("*/nodule.json"))


def raters_of(nodule):
    paths = sorted(nodule.glob("rater*.nii.gz"))
    return {p.name[:6]: sitk.ReadImage(str(p), sitk.sitkUInt8) for p in paths}


def outer_box(image):
    """Start and size (i, j, k), by SimpleITK."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(image)
    found = shapes.GetBoundingBox(1)
    start, size = np.array(found[:3]), np.array(found[3:])
    return start, start + size


def test_four_radiologists_boxes_are_merged_at_the_median_of_their_faces(shared_data):
    joined = apart = 0
    for nodule in nodules_in(shared_data):
        images = raters_of(nodule)
        faces = {rater: outer_box(image) for rater, image in images.items()}
        grid = from_sitk(next(iter(images.values()))).geometry
        boxes = {
            rater: [index_box("nodule", tuple(a.tolist()), tuple(b.tolist()), grid)]
            for rater, (a, b) in faces.items()
        }
        for row in agree_boxes(boxes, ["nodule"]):
            wanted = iou(boxes[row.rater_a][0], boxes[row.rater_b][0])
            assert row.matched == (wanted >= 0.5)
            assert row.mean_iou == (wanted if row.matched else None)
        found = merge_boxes(boxes, geometry=grid)
        assert sum(len(m.raters) for m in (*found.boxes, *found.dissent)) == len(boxes)
        for merged in found.boxes:
            starts, stops = zip(*(faces[r] for r in merged.raters), strict=True)
            assert merged.box.start == tuple(np.floor(np.median(starts, axis=0)))
            assert merged.box.stop == tuple(np.ceil(np.median(stops, axis=0)))
            joined += len(merged.raters) == 4
        apart += not found.boxes
    assert (joined, apart) == (28, 7)  # of 48 nodules


def test_slices_of_real_masks_are_voted_on_as_their_voxels_say(shared_data):
    for nodule in nodules_in(shared_data)[:12]:
        shown = {}
        readings = []
        for rater, image in raters_of(nodule).items():
            volume = from_sitk(image)
            targets = derive(volume.array, volume.geometry, SCHEMA)
            slices = volume.geometry.size[2]
            readings.append(slice_labels(rater, slices, targets.slices, SCHEMA.names))
            shown[rater] = volume.array.any(axis=(1, 2))
        votes = np.sum(list(shown.values()), axis=0)
        voted = vote_slices(readings, SCHEMA.names)
        assert slice_flags(voted.labels, "nodule").tolist() == (2 * votes > len(shown)).tolist()
        assert voted.tied == {"nodule": int((2 * votes == len(shown)).sum())}
        pairs = agree_slices(readings, SCHEMA.names)
        assert len(pairs) == len(list(itertools.combinations(shown, 2)))
        for row in pairs:
            a, b = shown[row.rater_a], shown[row.rater_b]
            assert row.dice == 2 * (a & b).sum() / (a.sum() + b.sum())
