"""A small scripted module in the way Slicer's template has it, for the tests of the harness."""

from __future__ import annotations

from pathlib import Path

SCRIPT = """
import qt
import slicer
import vtk
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

from SamplePanel import words


class Sample(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "Sample"
        self.parent.categories = ["Testing"]


@parameterNodeWrapper
class SampleParameterNode:
    note: str
    volume: slicer.vtkMRMLScalarVolumeNode


class SampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.life = ["made"]

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        form = slicer.util.loadUI(self.resourcePath("UI/Sample.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic = SampleLogic()
        self.added = []
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.ui.greetButton.connect("clicked(bool)", self.onGreet)
        self.parameters = SampleParameterNode(self.logic.getParameterNode())
        self.tag = self.parameters.connectGui(self.ui)
        self.life.append("set up")

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        self.added.append(node.GetName())

    def onGreet(self, checked):
        self.ui.greetingLabel.text = words.greeting(self.ui.noteEdit.text)

    def enter(self):
        self.life.append("entered")

    def exit(self):
        self.life.append("left")

    def cleanup(self):
        self.life.append("cleaned up")
        self.parameters.disconnectGui(self.tag)
        self.removeObservers()


class SampleLogic(ScriptedLoadableModuleLogic):
    pass


class SampleTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.delayDisplay("Starting")
        self.assertEqual(words.greeting("you"), "hello, you")
"""

WORDS = """
def greeting(name):
    if not name:
        raise ValueError("nobody to greet")
    return f"hello, {name}"
"""

FORM = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Sample</class>
 <widget class="qMRMLWidget" name="Sample">
  <layout class="QVBoxLayout" name="verticalLayout">
   <item>
    <widget class="ctkCollapsibleButton" name="foldButton">
     <property name="text"><string>Inputs</string></property>
     <layout class="QFormLayout" name="formLayout">
      <item row="0" column="0">
       <widget class="QLabel" name="noteLabel">
        <property name="text"><string>Note:</string></property>
       </widget>
      </item>
      <item row="0" column="1">
       <widget class="QLineEdit" name="noteEdit">
        <property name="SlicerParameterName" stdset="0"><string>note</string></property>
       </widget>
      </item>
      <item row="1" column="1">
       <widget class="qMRMLNodeComboBox" name="volumeSelector">
        <property name="nodeTypes">
         <stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist>
        </property>
        <property name="noneEnabled"><bool>true</bool></property>
        <property name="SlicerParameterName" stdset="0"><string>volume</string></property>
       </widget>
      </item>
      <item row="2" column="1">
       <widget class="ctkPathLineEdit" name="pathEdit">
        <property name="filters">
         <set>ctkPathLineEdit::Files|ctkPathLineEdit::Readable</set>
        </property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item>
    <widget class="ctkCollapsibleButton" name="advancedButton">
     <property name="text"><string>Advanced</string></property>
     <property name="collapsed"><bool>true</bool></property>
     <layout class="QVBoxLayout" name="advancedLayout">
      <item>
       <widget class="QCheckBox" name="loudCheckBox">
        <property name="text"><string>loud</string></property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item><widget class="QPushButton" name="greetButton">
    <property name="text"><string>Greet</string></property>
   </widget></item>
   <item><widget class="QLabel" name="greetingLabel"/></item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends>
   <header>qMRMLWidget.h</header><container>1</container></customwidget>
  <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends>
   <header>ctkCollapsibleButton.h</header><container>1</container></customwidget>
  <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends>
   <header>qMRMLNodeComboBox.h</header></customwidget>
  <customwidget><class>ctkPathLineEdit</class><extends>QWidget</extends>
   <header>ctkPathLineEdit.h</header></customwidget>
 </customwidgets>
 <connections>
  <connection>
   <sender>Sample</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>volumeSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
  <connection>
   <sender>loudCheckBox</sender><signal>toggled(bool)</signal>
   <receiver>noteEdit</receiver><slot>setDisabled(bool)</slot>
  </connection>
 </connections>
</ui>
"""


def write_sample_module(folder: Path) -> Path:
    """Write the module; returns its script."""
    module = folder / "Sample"
    for name, text in {
        "Sample.py": SCRIPT,
        "SamplePanel/__init__.py": "",
        "SamplePanel/words.py": WORDS,
        "Resources/UI/Sample.ui": FORM,
    }.items():
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text(text, "utf-8")
    return module / "Sample.py"
