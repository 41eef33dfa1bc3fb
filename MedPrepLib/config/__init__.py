"""The study file: one typed tree for the command line, the panel and batch scripts."""

from MedPrepLib.config.load import (
    CASE_SECTIONS,
    case_recipe,
    config_hash,
    load_study,
    parse_study,
    study_text,
)
from MedPrepLib.config.public import public_text, public_tree
from MedPrepLib.config.settings import Study

__all__ = [
    "CASE_SECTIONS",
    "Study",
    "case_recipe",
    "config_hash",
    "load_study",
    "parse_study",
    "public_text",
    "public_tree",
    "study_text",
]
