"""The study file: one typed tree for the command line, the panel and batch scripts."""

from MedPrepLib.config.load import case_recipe, config_hash, load_study, parse_study
from MedPrepLib.config.settings import Study

__all__ = ["Study", "case_recipe", "config_hash", "load_study", "parse_study"]
