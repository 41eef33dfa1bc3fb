"use strict";
(() => {
  const keyOf = (row, column, numeric) => {
    const cell = row.cells[column];
    const key = cell.dataset.key ?? cell.textContent.trim();
    return numeric ? (key === "" ? NaN : Number(key)) : key;
  };

  const sortBy = (head) => {
    const table = head.closest("table");
    const numeric = head.dataset.kind === "number";
    const down = head.getAttribute("aria-sort") === "ascending";
    const sign = down ? -1 : 1;
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = Array.from(table.tBodies[0].rows, (row) => [keyOf(row, head.cellIndex, numeric), row]);
    rows.sort(([a], [b]) => {
      if (!numeric) return sign * a.localeCompare(b, "en", { numeric: true });
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (a - b);
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };

  for (const button of document.querySelectorAll("table.sortable thead button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }

  const filter = document.getElementById("filter");
  filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    const rows = Array.from(document.getElementById("case-table").tBodies[0].rows);
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    filter.parentElement.querySelector("output").textContent = wanted ? `${shown} of ${rows.length}` : "";
  });

  const openTarget = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", openTarget);
  document.addEventListener("click", (event) => {
    // The same link twice changes no hash, but its case may have been closed meanwhile.
    const link = event.target.closest("a[href^='#case-']");
    if (link && link.getAttribute("href") === location.hash) openTarget();
  });
  openTarget();

  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("main details:not([open])"));
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
