"""A first look at a folder: what kind of source it is, who drew in it, and what.

``look`` decides by layout and content, ``masks`` reads the names of structures; neither reads more
than a bounded number of files, and nothing is written.
"""

from MedPrepLib.survey.look import Kind, SeenLabel, Survey, survey

__all__ = ["Kind", "SeenLabel", "Survey", "survey"]
