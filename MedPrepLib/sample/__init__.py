"""A small synthetic study, written from code: to try MedPrep without any data of one's own."""

from MedPrepLib.sample.study import SampleCase, SampleStudy, write_sample

__all__ = ["SampleCase", "SampleStudy", "write_sample"]
