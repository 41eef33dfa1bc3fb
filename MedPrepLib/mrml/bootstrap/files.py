"""Reading and writing files through the logics of the modules, as ``slicer.util`` asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer

from MedPrepLib.mrml.nodes import nodes_of

Properties = Mapping[str, Any]

FILE_TYPES = {
    ".seg.nrrd": "SegmentationFile",
    ".seg.nhdr": "SegmentationFile",
    ".seq.nrrd": "SequenceFile",
    ".mrk.json": "MarkupsFile",
    ".nii.gz": "VolumeFile",
    ".mrml": "SceneFile",
    ".mrb": "SceneFile",
    ".nrrd": "VolumeFile",
    ".nhdr": "VolumeFile",
    ".nii": "VolumeFile",
    ".mha": "VolumeFile",
    ".mhd": "VolumeFile",
    ".dcm": "VolumeFile",
    ".fcsv": "MarkupsFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
    ".ctbl": "ColorTableFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".txt": "TextFile",
}
"""By the end of the file name, the longer one first."""
WRITER_TYPES = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLVolumeNode": "VolumeFile",
    "vtkMRMLTransformNode": "TransformFile",
    "vtkMRMLTableNode": "TableFile",
    "vtkMRMLMarkupsNode": "MarkupsFile",
    "vtkMRMLColorNode": "ColorTableFile",
    "vtkMRMLModelNode": "ModelFile",
    "vtkMRMLTextNode": "TextFile",
    "vtkMRMLSequenceNode": "SequenceFile",
}
VOLUME_OPTIONS = {
    "labelmap": 0x01,
    "center": 0x02,
    "singleFile": 0x04,
    "autoWindowLevel": 0x08,
    "discardOrientation": 0x10,
}
"""AddArchetypeVolume takes these as bits."""


class FileManager:
    """Reads and writes nodes; answers True or False, as Slicer's own does."""

    def __init__(self, scene: Any, application_logic: Any, logics: Mapping[str, Any]) -> None:
        self._scene = scene
        self._application = application_logic
        self._logics = logics

    def as_slicer_names_it(self) -> SimpleNamespace:
        """What ``slicer.app.coreIOManager()`` gives."""
        return SimpleNamespace(
            fileType=self.file_type,
            fileWriterFileType=self.writer_type,
            loadNodes=self.load,
            saveNodes=self.save,
            addDefaultStorageNodes=self.add_storage_nodes,
        )

    def file_type(self, file_name: str) -> str:
        """Which reader takes the file, by its name alone."""
        name = str(file_name).lower()
        return next((kind for end, kind in FILE_TYPES.items() if name.endswith(end)), "NoFile")

    def writer_type(self, node: Any) -> str:
        """Which writer takes the node."""
        return next((kind for name, kind in WRITER_TYPES.items() if node.IsA(name)), "NoFile")

    def load(
        self, file_type: str, properties: Properties, loaded: Any = None, messages: Any = None
    ) -> bool:
        """Read a file into the scene; the nodes are added to the collection ``loaded``."""
        said = messages or slicer.vtkMRMLMessageCollection()
        if file_type == "SceneFile":
            return self._load_scene(properties, said)
        nodes = [node for node in self._read(file_type, properties, said) if node]
        for node in nodes if loaded is not None else []:
            loaded.AddItem(node)
        return bool(nodes)

    def save(self, file_type: str, properties: Properties, _messages: Any = None) -> bool:
        """Write one node, or with the file type SceneFile the whole scene."""
        name = str(properties["fileName"])
        if file_type == "SceneFile":
            return self._save_scene(name)
        node = self._scene.GetNodeByID(properties["nodeID"])
        storage = node.GetStorageNode()
        if storage is None or not storage.SupportedFileType(name):
            node.AddDefaultStorageNode(name)
            storage = node.GetStorageNode()
        if storage is None:  # such as a short text, which is kept in the scene file
            return False
        storage.SetFileName(name)
        storage.SetUseCompression(bool(properties.get("useCompression", True)))
        return bool(storage.WriteData(node))

    def add_storage_nodes(self) -> None:
        """Give every node that can be stored a storage node."""
        for node in nodes_of(self._scene, "vtkMRMLStorableNode"):
            if node.GetStorageNode() is None and node.GetSaveWithScene():
                node.AddDefaultStorageNode()

    def _read(self, file_type: str, properties: Properties, messages: Any) -> list[Any]:
        path, logics = str(properties["fileName"]), self._logics
        name = properties.get("name") or Path(path).name.partition(".")[0]
        opacities = properties.get("autoOpacities", True)
        readers: dict[str, Callable[[], Any]] = {
            "VolumeFile": lambda: self._read_volume(path, name, properties),
            "SegmentationFile": lambda: logics["Segmentations"].LoadSegmentationFromFile(
                path, opacities, properties.get("name")
            ),
            "TransformFile": lambda: logics["Transforms"].AddTransform(path, self._scene, messages),
            "TableFile": lambda: logics["Tables"].AddTable(path, name, True, "", messages),
            "ModelFile": lambda: logics["Models"].AddModel(path),
            "ColorTableFile": lambda: self._application.GetColorLogic().LoadColorFile(path, name),
            "SequenceFile": lambda: logics["Sequences"].AddSequence(path, messages),
            "TextFile": lambda: self._read_text(path, name),
        }
        if file_type == "MarkupsFile":
            ids = logics["Markups"].LoadMarkups(path, properties.get("name", ""), messages)
            return [self._scene.GetNodeByID(id_) for id_ in (ids or "").split(",") if id_]
        return [readers[file_type]()] if file_type in readers else []

    def _read_volume(self, path: str, name: str, properties: Properties) -> Any:
        options = sum(bit for key, bit in VOLUME_OPTIONS.items() if properties.get(key))
        node = self._logics["Volumes"].AddArchetypeVolume(path, name, options)
        if node and properties.get("show", True):
            selection = self._application.GetSelectionNode()
            labels = node.IsA("vtkMRMLLabelMapVolumeNode")
            choose = selection.SetActiveLabelVolumeID if labels else selection.SetActiveVolumeID
            choose(node.GetID())
            self._application.PropagateVolumeSelection()
        return node

    def _read_text(self, path: str, name: str) -> Any:
        node = self._scene.AddNewNodeByClass("vtkMRMLTextNode", name)
        node.SetForceCreateStorageNode(True)
        node.AddDefaultStorageNode(path)
        node.GetStorageNode().SetFileName(path)
        if node.GetStorageNode().ReadData(node):
            return node
        self._scene.RemoveNode(node)
        return None

    def _load_scene(self, properties: Properties, messages: Any) -> bool:
        name = str(properties["fileName"])
        if properties.get("clear"):
            self._scene.Clear(False)
        if name.lower().endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(name, False, messages))
        self._scene.SetURL(name)
        return bool(self._scene.Import(messages))

    def _save_scene(self, name: str) -> bool:
        suffix = Path(name).suffix.lower()
        if suffix == ".mrml":
            self._scene.SetURL(name)
            self._scene.SetRootDirectory(str(Path(name).parent))
            return bool(self._scene.Commit(name))
        self.add_storage_nodes()
        if suffix == ".mrb":
            return bool(self._scene.WriteToMRB(name))
        Path(name).mkdir(parents=True, exist_ok=True)
        return bool(self._scene.SaveSceneToSlicerDataBundleDirectory(name))
