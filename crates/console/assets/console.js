// Improvements of pages that also work without this.
"use strict";

// An element with data-copy copies that text.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button && navigator.clipboard) {
    navigator.clipboard.writeText(button.dataset.copy);
  }
});
