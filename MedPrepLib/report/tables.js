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
    const order = new Intl.Collator("en", { numeric: true }).compare;
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = Array.from(table.tBodies[0].rows, (row) => [keyOf(row, head.cellIndex, numeric), row]);
    rows.sort(([a], [b]) => {
      if (!numeric) return sign * order(a, b);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (a - b);
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };

  for (const button of document.querySelectorAll("table.sortable thead button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }

  const filter = document.getElementById("filter");
  const rowsOf = () => Array.from(document.getElementById("case-table").tBodies[0].rows);
  const shownRows = () => rowsOf().filter((row) => !row.hidden);
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rowsOf()) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    filter.parentElement.querySelector("output").textContent =
      words.length ? `${shownRows().length} of ${rowsOf().length}` : "";
  };
  filter.parentElement.hidden = false;
  filter.addEventListener("input", apply);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || event.key === "Enter") step(0);
  });

  // Rows are walked by their links, so that Enter opens what has the focus.
  const step = (by) => {
    const links = shownRows().map((row) => row.querySelector("a"));
    if (links.length === 0) return;
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)].focus();
  };
  const search = () => {
    filter.focus();
    filter.select();
  };
  document.getElementById("row-after").addEventListener("click", () => step(1));
  document.getElementById("row-before").addEventListener("click", () => step(-1));
  document.getElementById("to-filter").addEventListener("click", search);
  if (location.hash === "#filter") search();
  if (filter.value) apply();

  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    for (const details of opened) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
