"""The study file: one typed tree for the command line, the panel and batch scripts."""

from MedPrepLib.config.load import load_study, parse_study, recipe_hash
from MedPrepLib.config.settings import Study

__all__ = ["Study", "load_study", "parse_study", "recipe_hash"]
