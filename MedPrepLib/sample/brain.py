"""A head MR in arbitrary units: scalp, skull, gray and white matter, ventricles, lesion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from MedPrepLib.geometry import Geometry, Triple
from MedPrepLib.sample.noise import FloatField, Seed
from MedPrepLib.sample.phantom import NOWHERE_MM, Lesion, Painted, Phantom, lesion_field, painted
from MedPrepLib.sample.shapes import F, Frame, blurred, inside, mix, stripes, unit, with_blob


@dataclass(frozen=True)
class Contrast:
    """The brightness of each tissue in one kind of MR sequence (arbitrary units)."""

    air: float
    bone: float
    fat: float
    muscle: float
    fluid: float
    gray: float
    white: float
    core: float
    rim: float
    edema: float


CONTRASTS = {
    "T1": Contrast(12, 70, 980, 430, 190, 540, 760, 330, 1080, 520),
    "T2": Contrast(12, 60, 620, 210, 1150, 560, 390, 1020, 640, 850),
    "FLAIR": Contrast(12, 55, 560, 260, 120, 640, 470, 560, 980, 900),
}
"""T1 is after contrast agent (the rim of the lesion enhances); FLAIR suppresses fluid."""


@dataclass(frozen=True, eq=False)
class _Parts:
    frame: Frame
    seed: Seed
    tissue: Contrast
    head: FloatField
    hull: FloatField
    cerebrum: FloatField
    cerebellum: FloatField
    stem: FloatField


def brain(
    geometry: Geometry, center_mm: Triple, seed: Seed, lesion: Lesion | None, sequence: str
) -> Phantom:
    """An invented head MR on ``geometry``; the middle of the brain lies at ``center_mm`` (LPS)."""
    tissue = CONTRASTS[sequence]
    return painted(geometry, center_mm, lambda frame: _paint(frame, seed, lesion, tissue))


def _paint(still: Frame, seed: Seed, lesion: Lesion | None, tissue: Contrast) -> Painted:
    parts = _parts(still, seed, tissue)
    found = lesion_field(still, lesion, seed.of("lesion"))
    image = _head(parts)
    image = _cortex(parts, image)
    image = _depth(parts, image)
    image = _lesion(parts, image, found)
    gain = F(1) + F(0.07) * still.smooth(seed.of("coil"), 90.0)
    noise = seed.of("noise")
    sigma = F(20)
    real = blurred(image) * gain + sigma * still.white(noise.of("real"))
    other = sigma * still.white(noise.of("imaginary"))
    organ = np.maximum(np.maximum(parts.cerebrum, parts.cerebellum), parts.stem)
    # The magnitude of two noisy channels: Rician noise, as in real MR.
    return np.sqrt(real * real + other * other), np.maximum(organ, found), found


def _parts(still: Frame, seed: Seed, tissue: Contrast) -> _Parts:
    build = seed.of("build")
    factors = (
        build.of("width").uniform(0.93, 1.05),
        build.of("length").uniform(0.92, 1.05),
        build.of("height").uniform(0.93, 1.06),
    )
    frame = still.scaled(factors).warped(seed.of("warp"), 45.0, 2.0)
    x, y, z = frame.x, frame.y, frame.z
    tall = np.where(z > 0, z / F(86), z / F(190))
    u, v = x / F(80), y / F(100)
    face = frame.ellipsoid((0.0, -97.0, -52.0), (13.0, 15.0, 20.0))
    head = np.maximum((F(1) - np.sqrt(u * u + v * v + tall * tall)) * F(88), face)
    dome = frame.ellipsoid((0.0, 0.0, 0.0), (67.0, 85.0, 72.0))
    floor = z + F(34) - F(0.22) * y + F(0.006) * (y + F(10)) * (y + F(10)) - F(0.12) * np.abs(x)
    cerebrum = np.minimum(dome, floor)
    cerebellum = frame.ellipsoid((0.0, 46.0, -43.0), (50.0, 31.0, 23.0))
    stem = frame.ellipsoid((0.0, 16.0, -58.0), (14.0, 13.0, 50.0))
    hull = np.maximum(np.maximum(cerebrum, cerebellum), stem) + F(3)
    return _Parts(frame, seed, tissue, head, hull, cerebrum, cerebellum, stem)


def _head(parts: _Parts) -> FloatField:
    frame, seed, t = parts.frame, parts.seed, parts.tissue
    image = np.full(frame.x.shape, t.air, dtype=np.float32)
    image = mix(image, t.fat, inside(parts.head))
    patches = frame.smooth(seed.of("muscle"), 16.0)
    low = unit(-frame.z / F(30))
    muscle = unit(patches + F(1.6) * low) * inside(parts.head - F(6))
    image = mix(image, t.muscle, muscle)
    shell = F(3.6) - np.abs(parts.hull + F(4.2))
    image = mix(image, t.bone, inside(np.minimum(shell, parts.head - F(4))))
    for side in (-1.0, 1.0):
        eye = (side * 31.0, -76.0, -36.0)
        image = with_blob(image, frame, t.fluid, eye, (12.5, 12.5, 12.5))
        sinus = (side * 24.0, -70.0, -68.0)
        image = with_blob(image, frame, t.air, sinus, (13.0, 15.0, 16.0))
    nose = frame.ellipsoid((0.0, -74.0, -52.0), (8.0, 22.0, 24.0))
    image = mix(image, t.air, inside(nose + F(3) * patches))
    return mix(image, t.fluid, inside(np.minimum(parts.hull, parts.head - F(6))))


def _cortex(parts: _Parts, image: FloatField) -> FloatField:
    """White matter under a folded gray ribbon: sulci where a noise field crosses zero."""
    frame, seed, t = parts.frame, parts.seed, parts.tissue
    fold = frame.smooth(seed.of("fold a"), 13.0)
    fold = fold + F(0.5) * frame.smooth(seed.of("fold b"), 7.0)
    depth = parts.cerebrum
    # Sulci are narrow and close at 22 mm below the surface.
    valley = F(1.7) - F(7.5) * np.abs(fold) - F(0.13) * np.maximum(depth, F(0))
    cleft = F(1.4) - np.abs(frame.x)
    cleft = np.minimum(cleft, -frame.ellipsoid((0.0, 2.0, -6.0), (30.0, 52.0, 34.0)))
    valley = np.maximum(valley, cleft)
    ribbon = np.maximum(F(4.6) - depth, valley + F(4.6))
    image = mix(image, t.white, inside(depth))
    image = mix(image, t.gray, inside(np.minimum(depth, ribbon)))
    image = mix(image, t.fluid, inside(np.minimum(depth + F(1), valley)))
    leaves = F(1.2) - stripes(frame.z + F(0.25) * frame.y, 6.5) + F(0.35) * fold
    small = parts.cerebellum
    image = mix(image, t.white, inside(small))
    image = mix(image, t.gray, inside(np.minimum(small, F(13) - small + F(2) * leaves)))
    image = mix(image, t.fluid, F(0.4) * inside(np.minimum(small, leaves - small * F(0.1))))
    return mix(image, t.white, F(0.85) * inside(parts.stem))


def _depth(parts: _Parts, image: FloatField) -> FloatField:
    frame, build, t = parts.frame, parts.seed.of("build"), parts.tissue
    wide = build.of("ventricle").uniform(0.8, 1.4)
    gray = 0.8 * t.gray + 0.2 * t.white  # nuclei are mixed with fibers
    image = with_blob(image, frame, gray, (0.0, 2.0, -46.0), (9.0, 9.0, 8.0), 3.0)
    for side in (-1.0, 1.0):
        for center, radii in _NUCLEI:
            there = (side * center[0], center[1], center[2])
            image = with_blob(image, frame, gray, there, radii, 3.0)
    for side in (-1.0, 1.0):
        spread = F(side) * (F(7.5) + F(0.006) * (frame.y + F(6)) * (frame.y + F(6)))
        bent = replace(frame, x=frame.x - spread)
        lateral = (5.5 * wide, 35.0, 7.5 * wide)
        image = with_blob(image, bent, t.fluid, (0.0, 2.0, 12.0), lateral)
    image = with_blob(image, frame, t.fluid, (0.0, 4.0, -4.0), (2.2, 13.0, 9.0))
    return with_blob(image, frame, t.fluid, (0.0, 31.0, -40.0), (6.0, 5.0, 9.0))


_NUCLEI: tuple[tuple[Triple, Triple], ...] = (
    ((16.0, -17.0, 8.0), (6.0, 14.0, 11.0)),
    ((12.0, 9.0, -1.0), (9.0, 14.0, 9.0)),
    ((27.0, -3.0, -2.0), (6.5, 17.0, 10.0)),
)
"""Caudate, thalamus and putamen of the left side: center and radii, mm."""


def _lesion(parts: _Parts, image: FloatField, found: FloatField) -> FloatField:
    """A necrotic core in an enhancing rim, with edema fading into the white matter around it."""
    if found.max() <= NOWHERE_MM:
        return image
    t = parts.tissue
    texture = parts.frame.smooth(parts.seed.of("tumor"), 8.0)
    swelling = unit(F(1.3) + F(0.1) * found + F(0.4) * texture)
    swelling = swelling * inside(np.minimum(parts.cerebrum, parts.hull) - F(5), 4.0)
    image = mix(image, t.edema, F(0.75) * swelling)
    image = mix(image, t.rim, inside(found))
    return mix(image, t.core + F(0.06 * t.core) * texture, inside(found - F(4.5) - texture))
