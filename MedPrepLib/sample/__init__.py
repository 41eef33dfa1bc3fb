"""A small synthetic study, written from code: to try MedPrep without any data of one's own."""

from MedPrepLib.sample.study import write_sample
from MedPrepLib.sample.written import SampleCase, SampleStudy

__all__ = ["SampleCase", "SampleStudy", "write_sample"]
