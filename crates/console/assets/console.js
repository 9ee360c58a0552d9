// Improvements of pages that also work without this.
"use strict";

// An element with data-copy copies that text.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button && navigator.clipboard) {
    navigator.clipboard.writeText(button.dataset.copy);
  }
});

// The box that selects all others of its form.
const selectAll = () => {
  for (const label of document.querySelectorAll("[data-select-all]")) {
    label.hidden = false;
  }
};
document.addEventListener("DOMContentLoaded", selectAll);
document.addEventListener("change", (event) => {
  const label = event.target.closest("[data-select-all]");
  const form = label && label.closest("form");
  for (const box of form ? form.querySelectorAll('input[name="id"]') : []) {
    box.checked = event.target.checked;
  }
});

// An element with data-live is read again when the stream at that address has something new, at
// most once in two seconds. What is read replaces it, and brings the address with it.
(() => {
  const PAUSE = 2000;
  let source = null;
  let address = null;
  let waiting = null;
  const element = () => document.querySelector("[data-live]");
  const refresh = () => {
    waiting = null;
    const found = element();
    // Not while somebody works in it: what has the focus would be gone.
    if (found && !document.hidden && !found.contains(document.activeElement)) {
      htmx.trigger(found, "live");
    }
  };
  const changed = () => {
    if (waiting === null) {
      waiting = setTimeout(refresh, PAUSE);
    }
  };
  const connect = () => {
    const found = element();
    const next = found ? found.dataset.live : null;
    if (next === address) {
      return;
    }
    if (source) {
      source.close();
    }
    address = next;
    source = next ? new EventSource(next) : null;
    if (source) {
      for (const kind of ["message", "event", "firing", "answer", "left_out"]) {
        source.addEventListener(kind, changed);
      }
    }
  };
  document.addEventListener("DOMContentLoaded", connect);
  document.addEventListener("htmx:afterSwap", connect);
})();
