"""A Slicer without Slicer: real MRML from slicer-core, Qt from PySide6, the rest stand-ins.

A test takes the fixture ``panel`` (see conftest.py) and reads::

    def test_the_run_button_waits_for_a_study(panel):
        medprep = panel.open_module(MODULE)
        assert not medprep.ui.runButton.enabled
        panel.type_text(medprep.ui.studyLineEdit, "/no/such/file.toml")
        assert "no such file" in medprep.ui.runButton.toolTip

It cannot show what only Slicer has: views, the Segment Editor, file dialogs, translations.
"""
