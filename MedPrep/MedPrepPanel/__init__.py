"""What stands behind the panel of the MedPrep module: the background job, its progress, its words.

Nothing in here computes: the study is run by MedPrepLib in a process of its own.
"""
