"""How much a split by slices flatters a model: its AUC beside that of a split by patients.

Run from the repository root: ``python Testing/bench/bench_leakage.py [--patients 60]``. Half of
the patients are ill; on each slice of an ill one the disease shows faintly. Every patient and
scanner has a look of its own (build, gain, texture), which all slices of a scan share. A model
that sees other slices of a test patient in training learns whose slice it is, and with it the
diagnosis; on new patients that is worth nothing. Features are the block means of a slice, models
those of scikit-learn, folds its StratifiedKFold (slices) and MedPrep's split (patients).
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from MedPrepLib.config.settings import Split
from MedPrepLib.split import Member, split

GRID = 16
FOLDS = 5
SIGNALS = {"no signal at all": 0.0, "a faint signal": 2.0, "a clear signal": 6.0}
"""Height of what the disease adds in one spot, in standard deviations of patients' textures."""


def slices_of(patients: int, slices: int, signal: float, seed: int):
    """Block means (patients * slices, 256), whose they are, and who is ill."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[-1 : 1 : GRID * 1j, -1 : 1 : GRID * 1j]
    ill = np.arange(patients) % 2
    images = []
    for sick in ill:
        width, height = rng.normal(0.8, 0.06), rng.normal(0.65, 0.06)
        body = 1 / (1 + np.exp(((xx / width) ** 2 + (yy / height) ** 2 - 1) * 8))
        texture = rng.normal(0, 0.15, (GRID, GRID))
        gain = rng.normal(1, 0.08)
        lesion = np.exp(-((xx - 0.3) ** 2 + (yy + 0.1) ** 2) / 0.02) * signal * 0.15 * sick
        for z in np.linspace(-1, 1, slices):
            drift = texture * (1 + 0.3 * z) + rng.normal(0, 0.05, (GRID, GRID))
            images.append((gain * body * (1 - 0.2 * z**2) + drift + lesion).ravel())
    return np.array(images), np.repeat(np.arange(patients), slices), np.repeat(ill, slices)


def by_slice(labels, _owners, seed):
    from sklearn.model_selection import StratifiedKFold

    folds = np.empty(len(labels), int)
    rounds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels)
    for fold, (_, held) in enumerate(rounds):
        folds[held] = fold
    return folds


def by_patient(labels, owners, seed):
    members = [
        Member(f"c{n}", f"p{n}", "a", frozenset({"ill"} if labels[owners == n][0] else ()))
        for n in np.unique(owners)
    ]
    plan, _ = split(members, Split(test_fraction=0, folds=FOLDS), seed)
    return np.array([plan.places[f"c{n}"].fold for n in owners])


def auc(features, labels, folds, model):
    from sklearn.base import clone
    from sklearn.metrics import roc_auc_score

    scores = []
    for fold in range(FOLDS):
        fitted = clone(model).fit(features[folds != fold], labels[folds != fold])
        held = folds == fold
        scores.append(roc_auc_score(labels[held], fitted.predict_proba(features[held])[:, 1]))
    return float(np.mean(scores))


def models():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    return {
        "logistic regression": linear,
        "random forest": RandomForestClassifier(60, random_state=0, n_jobs=1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    wanted = parser.parse_args()
    try:
        chosen = models()
    except ModuleNotFoundError:
        print("scikit-learn is not installed: nothing to compare (pip install scikit-learn)")
        return
    warnings.simplefilter("ignore")
    print(f"{wanted.patients} patients, {wanted.slices} slices each, {FOLDS} folds; mean AUC")
    print(f"{'':38} {'slices':>8} {'patients':>9} {'inflation':>10}")
    for name, signal in SIGNALS.items():
        for title, model in chosen.items():
            rows = []
            for seed in range(wanted.repeats):
                x, owners, y = slices_of(wanted.patients, wanted.slices, signal, seed)
                ways = (by_slice(y, owners, seed), by_patient(y, owners, seed))
                rows.append([auc(x, y, folds, model) for folds in ways])
            leaky, honest = np.mean(rows, axis=0)
            line = f"{name + ', ' + title:38} {leaky:8.3f} {honest:9.3f} {leaky - honest:+10.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
