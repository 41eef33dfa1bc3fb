"""What Python inside Slicer can use of the classes that the harness stands in for.

Written by hand from the headers of CTK (2026-07) and Slicer 5.13. CTK's and Slicer's own classes
reach Python only through what Qt knows of them: properties, signals, public slots, invokable
methods and registered enumerations. A C++ setter that is none of these does not exist there:
``ctkSliderWidget::setRange`` and ``ctkCollapsibleButton::setCollapsed`` are such. What a class
inherits from Qt's own classes is not listed; PySide6 knows it.
"""

from __future__ import annotations

_WIDGETS = {
    "ctkCollapsibleButton": """
        collapsed collapsedHeight flat contentsFrameShape contentsFrameShadow contentsLineWidth
        contentsMidLineWidth buttonTextAlignment indicatorAlignment contentsCollapsed""",
    "ctkCollapsibleGroupBox": "collapsed collapsedHeight",
    "ctkPathLineEdit": """
        label filters currentPath options settingKey showBrowseButton showHistoryButton
        sizeAdjustPolicy minimumContentsLength nameFilters setCurrentPath browse retrieveHistory
        addCurrentPathToHistory comboBox validInputChanged currentPathChanged
        Dirs Files Drives NoSymLinks AllEntries TypeMask Readable Writable Executable
        PermissionMask Modified Hidden System AccessMask AllDirs CaseSensitive NoDotAndDotDot NoDot
        NoDotDot NoFilter AdjustToContents AdjustToContentsOnFirstShow
        AdjustToMinimumContentsLength""",
    "ctkSliderWidget": """
        decimals singleStep pageStep minimum maximum value prefix suffix tickInterval tickPosition
        synchronizeSiblings spinBoxAlignment tracking spinBoxVisible popupSlider invertedAppearance
        invertedControls reset setValue setSpinBoxVisible setDecimals valueChanged valueIsChanging
        decimalsChanged""",
    "ctkComboBox": """
        defaultText defaultIcon forceDefault elideMode scrollWheelEffect currentUserDataAsString
        setCurrentUserDataAsString returnRelease NeverScroll AlwaysScroll ScrollWithFocus
        ScrollWithNoVScrollBar""",
    "ctkCheckBox": "indicatorIcon indicatorIconSize",
    "ctkMenuButton": "",
    "ctkDoubleSpinBox": """
        alignment frame readOnly prefix suffix cleanText decimals decimalsOption minimum maximum
        singleStep value setMode invertedControls sizeHintPolicy isSettingValue setValue
        setValueIfDifferent setValueAlways stepUp stepDown setDecimals setReadOnly valueChanged
        editingFinished decimalsChanged SetAlways SetIfDifferent""",
    "ctkMessageBox": """
        dontShowAgain dontShowAgainButtonRoles dontShowAgainSettingsKey dontShowAgainVisible
        setDontShowAgain onFinished addDontShowAgainButtonRole""",
    "qMRMLWidget": """
        setMRMLScene mrmlScene preInitializeApplication postInitializeApplication pixmapFromIcon
        mrmlSceneChanged""",
    "qMRMLNodeComboBox": """
        currentNodeID currentNodeId nodeTypes showHidden showChildNodeTypes hideChildNodeTypes
        baseName noneEnabled addEnabled removeEnabled editEnabled renameEnabled
        interactionNodeSingletonTag selectNodeUponCreation noneDisplay sizeAdjustPolicy
        setMRMLScene setCurrentNode setCurrentNodeID setCurrentNodeIndex addNode removeCurrentNode
        editCurrentNode renameCurrentNode mrmlScene addAttribute removeAttribute setNodeTypeLabel
        nodeTypeLabel nodeCount nodeFromIndex currentNode sortFilterProxyModel addMenuAction
        currentNodeChanged currentNodeIDChanged nodeActivated nodeAdded nodeAddedByUser
        nodeAddedByUserAction nodeAboutToBeRemoved currentNodeRenamed nodeAboutToBeEdited""",
    "qMRMLCheckableNodeComboBox": """
        check uncheck checkedNodes uncheckedNodes allChecked noneChecked checkState setCheckState
        setUserCheckable checkedNodesChanged""",
    "qMRMLSegmentSelectorWidget": """
        noneEnabled editEnabled segmentationNodeSelectorVisible multiSelection horizontalLayout
        selectNodeUponCreation setCurrentNode setCurrentNodeID setCurrentSegmentID
        setSelectedSegmentIDs currentNode currentNodeID currentSegmentID selectedSegmentIDs
        segmentIDs currentNodeChanged currentSegmentChanged segmentSelectionChanged
        nodeAboutToBeEdited""",
    "qMRMLSubjectHierarchyTreeView": """
        showRootItem highlightReferencedItems contextMenuEnabled editMenuActionVisible
        addNodeMenuActionVisible selectRoleSubMenuVisible multiSelection levelFilter nameFilter
        nodeTypes hideChildNodeTypes visibilityColumnVisible idColumnVisible colorColumnVisible
        transformColumnVisible descriptionColumnVisible pluginAllowList pluginBlockList noneEnabled
        noneDisplay attributeNameFilter attributeValueFilter useTerminologySelector setMRMLScene
        setCurrentItem setCurrentItems setCurrentNode setRootItem setShowRootItem renameCurrentItem
        deleteSelectedItems hideSelectedItems showSelectedItems editCurrentItem addNode expandItem
        collapseItem setMultiSelection mrmlScene subjectHierarchyNode currentItem currentItems
        currentNode rootItem setAttributeFilter removeAttributeFilter addItemAttributeFilter
        removeItemAttributeFilter addNodeAttributeFilter removeNodeAttributeFilter setNodeTypeLabel
        nodeTypeLabel sortFilterProxyModel displayedItemCount findFirstNodeByClass
        currentItemChanged currentNodeChanged currentItemsChanged currentItemModified
        nodeAddedByUser""",
}

_APPLICATION = {
    "qSlicerApplication": """
        slicerHome defaultScenePath slicerSharePath temporaryPath cachePath startupWorkingPath
        launcherExecutableFilePath slicerUserSettingsFilePath slicerRevisionUserSettingsFilePath
        extensionsInstallPath isInstalled releaseType repositoryUrl repositoryBranch
        repositoryRevision revision majorVersion minorVersion applicationLocale
        applicationLocaleName documentationBaseUrl documentationVersion documentationLanguage
        platform arch os isCustomMainApplication mainApplicationName mainApplicationDisplayName
        restart setRenderPaused pauseRender resumeRender loadFiles openUrl startupEnvironment
        environment setEnvironmentVariable isEnvironmentVariableValueSet mrmlScene applicationLogic
        moduleLogic extensionsManagerModel applicationUpdateManager errorLogModel moduleManager
        coreIOManager defaultSettings userSettings settings revisionUserSettings
        moduleDocumentationUrl dicomDatabase translationFolders loadTranslations loadLanguage
        showConsoleMessage toSlicerHomeAbsolutePath toSlicerHomeRelativePath logUsageEvent
        mrmlSceneChanged urlReceived usageEventLogged openNodeModule confirmRestart launchDesigner
        openExtensionsManagerDialog commandOptions ioManager pythonManager pythonConsole
        testingUtility layoutManager setLayoutManager settingsDialog openSettingsDialog
        startupCompleted renderPaused testingEnabled processEvents sendEvent""",
    "qSlicerMainWindow": """
        setHomeModuleCurrent setLayout moduleSelector pythonConsole errorLogWidget
        errorLogDockWidget initialWindowShown""",
    "qSlicerModuleSelectorToolBar": """
        selectedModule setModuleManager selectModule selectNextModule selectPreviousModule
        showModuleFinder modulesMenu modulesMenuComboBox moduleSelected""",
    "qSlicerModuleManager": """
        factoryManager modulesNames module moduleLoaded moduleAboutToBeUnloaded""",
    "qSlicerModuleFactoryManager": """
        loadModules loadedModuleNames unloadModules isLoaded loadedModule registerModule
        registeredModuleNames isRegistered instantiatedModuleNames isInstantiated moduleInstance
        searchPaths modulesToIgnore""",
    "qSlicerScriptedLoadableModule": """
        name title categories index hidden widgetRepresentationCreationEnabled helpText
        acknowledgementText contributors slicerWikiUrl defaultDocumentationLink dependencies path
        isInstalled isBuiltIn associatedNodeTypes setMRMLScene logic mrmlScene icon logo action
        extensions widgetRepresentation createNewWidgetRepresentation""",
    "qSlicerScriptedLoadableModuleWidget": """
        moduleName reload self isEntered enter exit setEditedNode nodeEditable setMRMLScene
        mrmlSceneChanged module""",
    "qSlicerLayoutManager": """
        spacing viewportNames setViewport viewport isViewportUsedInLayout enabled layout
        threeDViewCount tableViewCount plotViewCount setEnabled setMRMLScene setLayout
        addMaximizedViewNode removeMaximizedViewNode removeAllMaximizedViewNodes
        setLayoutNumberOfCompareViewRows setLayoutNumberOfCompareViewColumns resetThreeDViews
        resetSliceViews setRenderPaused pauseRender resumeRender registerViewFactory
        mrmlViewFactories mrmlViewFactory mrmlScene viewWidget viewWidgets sliceWidget threeDWidget
        sliceViewNames tableWidget plotWidget mrmlSliceLogics mrmlViewLogics setMRMLColorLogic
        mrmlColorLogic layoutLogic activeMRMLThreeDViewNode activeThreeDRenderer
        activeMRMLTableViewNode activeMRMLPlotViewNode activeMRMLThreeDViewNodeChanged
        layoutChanged nodeAboutToBeEdited setScriptedDisplayableManagerDirectory selectModule""",
    "qMRMLSliceWidget": """
        sliceOrientation sliceViewName sliceViewLabel sliceViewColor sliceOffsetSliderOrientation
        setMRMLScene setMRMLSliceNode setSliceOrientation fitSliceToBackground sliceController
        controllerWidget mrmlSliceNode mrmlAbstractViewNode sliceLogic logic imageDataConnection
        mrmlSliceCompositeNode interactorStyle overlayCornerAnnotation setSliceLogics sliceView
        viewWidget mrmlScene mrmlSceneChanged""",
}
_APPLICATION["qSlicerCoreModule"] = _APPLICATION["qSlicerScriptedLoadableModule"]

ALLOWED = {name: frozenset(text.split()) for name, text in {**_WIDGETS, **_APPLICATION}.items()}
