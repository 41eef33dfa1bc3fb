"""A chest CT in Hounsfield units: body wall, ribs, spine, lungs with vessels, heart, table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.sample.noise import FloatField, Seed
from MedPrepLib.sample.phantom import NOWHERE_MM, Lesion, Painted, Phantom, lesion_field, painted
from MedPrepLib.sample.shapes import F, Frame, blurred, inside, mix, stripes, unit

AIR_HU, FAT_HU, MUSCLE_HU, LUNG_HU = -1000.0, -95.0, 50.0, -855.0


@dataclass(frozen=True, eq=False)
class _Parts:
    """Signed distances of the large structures, shared by the steps that paint them."""

    frame: Frame
    seed: Seed
    body: FloatField
    hull: FloatField
    heart: FloatField
    spine: FloatField
    lungs: FloatField


def thorax(geometry: Geometry, center_mm: Triple, seed: Seed, lesion: Lesion | None) -> Phantom:
    """An invented chest CT on ``geometry``; the body's middle lies at ``center_mm`` (LPS)."""
    return painted(geometry, center_mm, lambda frame: _paint(frame, seed, lesion))


def _paint(still: Frame, seed: Seed, lesion: Lesion | None) -> Painted:
    parts = _parts(still, seed)
    found = lesion_field(still, lesion, seed.of("lesion"))
    image = _table(still, np.full(still.x.shape, AIR_HU, dtype=np.float32))
    image = _wall(parts, image)
    image = _bones(parts, image)
    image = _lungs(parts, image)
    image = _middle(parts, image)
    image = _lesion(parts, image, found)
    image = blurred(image + F(26) * still.white(seed.of("noise")))
    image = np.clip(image, F(-1024), F(3071))
    return image, np.maximum(parts.lungs, found), found


def _parts(still: Frame, seed: Seed) -> _Parts:
    build = seed.of("build")
    frame = still.scaled(
        (
            build.of("width").uniform(0.9, 1.06),
            build.of("depth").uniform(0.88, 1.1),
            build.of("height").uniform(0.9, 1.15),
        )
    ).warped(seed.of("warp"), 60.0, 4.0)
    x, y, z = frame.x, frame.y, frame.z
    u, v = x * x / F(152 * 152), y * y / F(108 * 108)
    body = (F(1) - np.sqrt(u + v + F(0.35) * u * v)) * F(118)
    hull = frame.ellipsoid((0.0, -2.0, -18.0), (122.0, 82.0, 150.0))
    hx, hz = build.of("heart x").uniform(18, 30), build.of("heart z").uniform(-50, -34)
    heart = frame.ellipsoid((hx, -22.0, hz), (50.0, 42.0, 46.0))
    spine = frame.cylinder(0.0, 62.0, 19.0)
    wide = F(8) + F(24) * unit(F(1) - np.abs(y - F(8)) / F(72))
    level = build.of("dome").uniform(-92, -76)
    side = (np.abs(x) - F(62)) / F(66)
    dome = F(level) + F(36) * (F(1) - side * side - y * y / F(95 * 95)) - F(0.06) * x
    lungs = np.minimum(hull, np.abs(x) - wide)
    lungs = np.minimum(lungs, np.minimum(-heart, z - dome))
    lungs = np.minimum(lungs, -spine - F(2))
    return _Parts(frame, seed, body, hull, heart, spine, lungs)


def _table(still: Frame, image: FloatField) -> FloatField:
    """The couch: a thin curved shell filled with foam. It does not follow the patient's shape."""
    top = still.y - F(126) + F(0.0011) * still.x * still.x
    edge = F(150) - np.abs(still.x)
    foam = np.minimum(np.minimum(top, F(22) - top), edge)
    image = mix(image, -925.0, inside(foam))
    shell = np.minimum(F(1.6) - np.minimum(np.abs(top), np.abs(top - F(22))), edge)
    return mix(image, -120.0, inside(shell, 3.0))


def _wall(parts: _Parts, image: FloatField) -> FloatField:
    frame, seed = parts.frame, parts.seed
    image = mix(image, FAT_HU, inside(parts.body, 3.0))
    image = mix(image, 20.0, inside(np.minimum(parts.body, F(2.2) - parts.body)))
    texture = frame.smooth(seed.of("fat"), 14.0)
    depth = parts.body - F(15) - F(3.5) * texture
    return mix(image, MUSCLE_HU + F(9) * texture, inside(np.maximum(depth, parts.hull), 4.0))


def _bones(parts: _Parts, image: FloatField) -> FloatField:
    frame = parts.frame
    x, y, z = frame.x, frame.y, frame.z
    course = stripes(z - F(0.55) * y + F(0.1) * np.abs(x), 27.0)
    rib = np.minimum(F(4.2) - np.abs(parts.hull + F(7.5)), F(7.0) - course)
    rib = np.minimum(rib, np.minimum(np.abs(x) - F(20), parts.body - F(8)))
    sternum = frame.ellipsoid((0.0, -88.0, 0.0), (21.0, 6.5, 130.0))
    canal = frame.cylinder(0.0, 87.0, 8.0)
    arch = np.maximum(frame.cylinder(0.0, 87.0, 13.5), F(5) - np.abs(x) - np.abs(y - F(104)) / F(4))
    process = np.minimum(F(4.5) - np.abs(y - F(86)), F(30) - np.abs(x))
    disc = F(4.5) - stripes(z, 31.0)
    level = np.where(disc > -3, F(-20), np.maximum(arch, process))
    for bone in (rib, sternum, np.maximum(level, np.minimum(arch, F(3.5)))):
        marrow = F(190) + F(330) * unit(F(1) - bone / F(3.5))
        image = mix(image, marrow, inside(bone, 2.5))
    body = parts.spine - F(1.5)
    marrow = F(170) + F(260) * unit(F(1) - body / F(4))
    image = mix(image, marrow, inside(body))
    image = mix(image, 75.0, inside(np.minimum(body, disc)))
    return mix(image, 30.0, inside(canal))


def _lungs(parts: _Parts, image: FloatField) -> FloatField:
    """Parenchyma, denser at the back, and vessels: tubes where two noise fields cross zero."""
    frame, seed = parts.frame, parts.seed
    texture = frame.smooth(seed.of("lung"), 7.0)
    tissue = F(LUNG_HU) + F(22) * texture + F(0.55) * frame.y
    image = mix(image, tissue, inside(parts.lungs, 3.0))
    aside = np.abs(frame.x) - F(34)
    hilum = np.sqrt(aside * aside + frame.y * frame.y + F(0.5) * frame.z * frame.z)
    for name, length, thick in (("large", 30.0, 0.34), ("small", 15.0, 0.30)):
        a = frame.smooth(seed.of(f"{name} a"), length)
        b = frame.smooth(seed.of(f"{name} b"), length)
        width = F(thick) * np.maximum(unit(F(1.25) - hilum / F(95)), F(0.1))
        tube = (width - np.sqrt(a * a + b * b)) / F(0.25)
        weight = unit(F(0.5) + tube) * inside(parts.lungs + F(1))
        image = mix(image, 35.0, weight)
    fissure = frame.z + F(0.75) * frame.y + F(24) - F(0.1) * frame.x
    sheet = np.minimum(F(0.9) - np.abs(fissure), parts.lungs)
    return mix(image, -690.0, inside(sheet, 3.0))


def _middle(parts: _Parts, image: FloatField) -> FloatField:
    """Heart, aorta, airways, and the organs below the diaphragm."""
    frame, seed = parts.frame, parts.seed
    z = frame.z
    fat = frame.smooth(seed.of("mediastinum"), 18.0)
    image = mix(
        image,
        -75.0,
        unit(fat - F(0.9))
        * inside(parts.hull - F(4))
        * inside(-parts.lungs - F(3))
        * inside(-parts.spine - F(4)),
    )
    image = mix(
        image,
        -85.0,
        inside(F(2.5) - np.abs(parts.heart + F(0.5)), 3.0) * inside(-parts.lungs - F(1)),
    )
    contrast = seed.of("contrast").uniform(60, 190)
    image = mix(image, 45.0 + 0.35 * contrast, inside(parts.heart - F(1)))
    chambers = frame.ellipsoid((26.0, -24.0, -42.0), (28.0, 24.0, 27.0))
    image = mix(image, contrast, inside(np.minimum(chambers, parts.heart - F(9)), 5.0))
    for vessel in (frame.cylinder(19.0, 40.0, 12.0), frame.cylinder(-14.0, -22.0, 9.0)):
        above = np.maximum(vessel, F(-9))
        image = mix(image, contrast, inside(above))
    fork = np.clip((F(22) - z) * F(0.85), F(0), F(46))
    air = np.maximum(frame.cylinder(fork, 10.0, 7.5), frame.cylinder(-fork, 10.0, 7.5))
    air = np.minimum(air, F(40) - np.abs(np.maximum(fork, F(0)) - F(4)))
    image = mix(image, 30.0, inside(air + F(2)))
    image = mix(image, AIR_HU + 4.0, inside(air))
    if frame.reaches((0.0, 0.0, -100.0), (500.0, 500.0, 85.0)):
        image = _abdomen(parts, image)
    return image


def _abdomen(parts: _Parts, image: FloatField) -> FloatField:
    frame = parts.frame
    below = np.minimum(parts.hull - F(2), -parts.lungs - F(2))
    liver = frame.ellipsoid((-45.0, -8.0, -116.0), (82.0, 74.0, 76.0))
    image = mix(image, 62.0, inside(np.minimum(np.minimum(below, liver), -frame.z - F(38))))
    stomach = frame.ellipsoid((56.0, -18.0, -108.0), (34.0, 36.0, 42.0))
    image = mix(image, 15.0, inside(np.minimum(below, stomach)))
    bubble = np.minimum(np.minimum(below - F(3), stomach - F(3)), -frame.y - F(26))
    return mix(image, AIR_HU, inside(bubble))


def _lesion(parts: _Parts, image: FloatField, found: FloatField) -> FloatField:
    """A solid nodule whose rim is a little less dense."""
    if found.max() <= NOWHERE_MM:
        return image
    texture = parts.frame.smooth(parts.seed.of("nodule"), 6.0)
    rim = unit(found / F(4))
    return mix(image, F(-120) + F(155) * rim + F(14) * texture, inside(found, 2.5))
