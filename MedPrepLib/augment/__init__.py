"""Augmentation that keeps anatomy true: rotation, flips, elastic fields, contrast, noise."""

from MedPrepLib.augment.policy import AugmentError, Draw, Policy, policy_of
from MedPrepLib.augment.preview import preview_of, strip

__all__ = ["AugmentError", "Draw", "Policy", "policy_of", "preview_of", "strip"]
