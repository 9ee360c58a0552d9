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

// Reads a part of the page again when it may be out of date, at most once in `pause` milliseconds.
// Returns what says that it may be.
const keepCurrent = (find, pause, read) => {
  let isStale = false;
  let last = Date.now();
  const changed = () => {
    isStale = true;
  };
  setInterval(() => {
    const part = find();
    // Not while nobody looks, or somebody works in it: what has the focus would be gone. Afterwards.
    if (!isStale || !part || document.hidden || part.contains(document.activeElement) ||
        Date.now() - last < pause) {
      return;
    }
    last = Date.now();
    isStale = false;
    read(part);
  }, 500);
  // It was not read. Without a session, htmx leads to the login.
  document.addEventListener("htmx:sendError", changed);
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status >= 500) {
      changed();
    }
  });
  return changed;
};

// An element with data-live is read again when the stream at that address has something new. What
// is read replaces it, and brings the address with it.
(() => {
  let source = null;
  let address = null;
  const element = () => document.querySelector("[data-live]");
  const changed = keepCurrent(element, 2000, (found) => htmx.trigger(found, "live"));
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
      // Also when it opens: what happened since the page was made is not in the stream.
      for (const kind of ["open", "message", "event", "firing", "answer", "left_out"]) {
        source.addEventListener(kind, changed);
      }
    }
  };
  document.addEventListener("DOMContentLoaded", connect);
  document.addEventListener("htmx:afterSwap", connect);
})();
