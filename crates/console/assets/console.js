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

// Nothing that a page reads by itself replaces what somebody works in: the focus would be gone.
const isInUse = (part) => part.contains(document.activeElement);
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.requestConfig.headers["X-Automatic"] && isInUse(detail.target)) {
    detail.shouldSwap = false;
  }
});

// Reads a part of the page again when it may be out of date, at most once in `pause` milliseconds,
// and while somebody sees it, but does not work in it. Returns what says that it may be out of date.
const keepCurrent = (find, pause, read) => {
  let isStale = false;
  let last = Date.now();
  const changed = () => {
    isStale = true;
  };
  setInterval(() => {
    const part = find();
    const isSeen = part && !document.hidden;
    if (!isStale || !isSeen || isInUse(part) || Date.now() - last < pause) {
      return;
    }
    last = Date.now();
    isStale = false;
    read(part);
  }, 500);
  // What was read is not shown, or nothing was read. The same request would be refused again.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const isRefused = detail.xhr.status >= 400 && detail.xhr.status < 500;
    if (!detail.shouldSwap && !isRefused) {
      changed();
    }
  });
  document.addEventListener("htmx:sendError", changed);
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
