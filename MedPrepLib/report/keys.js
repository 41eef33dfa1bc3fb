"use strict";
(() => {
  const dialog = document.getElementById("keys");
  const on = document.getElementById("keys-on");
  const SETTING = "medprep-report-keys";
  // A browser may keep nothing for local files: the keys are then on again on the next page.
  const kept = (change) => {
    try { return change(window.localStorage); } catch { return null; }
  };
  on.checked = kept((store) => store.getItem(SETTING)) !== "off";
  on.addEventListener("change", () => kept((store) => store.setItem(SETTING, on.checked ? "on" : "off")));

  for (const button of document.querySelectorAll(".show-keys")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());

  const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select") !== null;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || dialog.open) return;
    if (event.key === "?") {
      dialog.showModal();
      return;
    }
    if (!on.checked) return;
    const link = document.querySelector(`[data-keys~="${CSS.escape(event.key)}"]`);
    if (link === null) return;
    event.preventDefault();
    link.click();
  });
})();
