"use strict";
const body = document.querySelector("tbody");
const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase(), states: row.dataset.states.split(" ") }));
const search = document.querySelector("input");
const buttons = [...document.querySelectorAll("[data-state]")];
const shown = document.querySelector("output");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const pressed = buttons.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.state);
  let count = 0;
  for (const { row, text, states } of rows) {
    row.hidden = !(words.every((word) => text.includes(word)) && (!pressed.length || pressed.some((state) => states.includes(state))));
    count += !row.hidden;
  }
  shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} runs`;
}

function compare(a, b, descending) {
  if (a === b) return 0;
  if (a === "") return 1;
  if (b === "") return -1;
  return (descending ? -1 : 1) * (Number(a) - Number(b));
}

function sort(head) {
  const descending = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const value = ({ row }) => row.cells[head.cellIndex].dataset.value;
  const sorted = [...rows].sort((a, b) => compare(value(a), value(b), descending));
  body.append(...sorted.map(({ row }) => row));
}

search.addEventListener("input", filter);
for (const button of buttons) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    filter();
  });
}
for (const head of document.querySelectorAll("thead th")) head.firstElementChild.addEventListener("click", () => sort(head));
filter();
