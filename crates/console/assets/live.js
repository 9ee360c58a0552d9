// An element with data-live-log lists what the stream at that address says, the newest first, and
// keeps the rest of its page up to date. Texts of events are only ever set as text.
"use strict";

(() => {
  const MOST = 50;
  const REFRESH = 5000;

  const live = document.querySelector("[data-live-log]");
  if (!live || !window.EventSource) {
    return;
  }
  const list = live.querySelector("[data-live-list]");
  const state = live.querySelector("[data-live-state]");
  live.hidden = false;

  const rules = (entry) => {
    const names = (entry.rules || []).map((reaction) => reaction.rule);
    const failed = (entry.failures || []).map((failure) => failure.rule + " failed");
    return names.concat(failed).join(", ") || "no rule matched";
  };

  const describe = (entry) => {
    switch (entry.kind) {
      case "event":
        return `event ${entry.name} ${entry.id}: ${entry.duplicate ? "duplicate" : rules(entry)}`;
      case "firing":
        return `firing of ${entry.rule} at ${JSON.stringify(entry.key)}: ${entry.outcome}`;
      case "delivery":
        return `delivery to ${entry.target}, attempt ${entry.attempt}: ${entry.outcome}`;
      case "call":
        return `call of ${entry.operation} at ${entry.target}: ${entry.outcome}`;
      case "answer":
        return `answer of ${entry.target} to ${entry.operation}: ${entry.ok ? "ok" : entry.code}`;
      case "left_out":
        return `entries are left out here: ${entry.reason}`;
      default:
        return entry.kind;
    }
  };

  const address = (entry) => {
    if (entry.kind === "delivery" || entry.kind === "call") {
      return "/deliveries/" + encodeURIComponent(entry.delivery);
    }
    return Number.isInteger(entry.seq) ? "/events/" + entry.seq : null;
  };

  const add = (entry) => {
    const item = document.createElement("li");
    if (entry.at) {
      const time = document.createElement("time");
      time.dateTime = entry.at;
      time.textContent = entry.at.slice(11, 19);
      item.append(time, " ");
    }
    const link = address(entry);
    const text = document.createElement(link ? "a" : "span");
    if (link) {
      text.href = link;
    }
    text.textContent = describe(entry);
    item.append(text);
    list.prepend(item);
    while (list.children.length > MOST) {
      list.lastElementChild.remove();
    }
  };

  const changed = keepCurrent(() => document.getElementById("now"), REFRESH, (now) =>
    htmx.ajax("GET", "/", { source: now, target: now, select: "#now", swap: "outerHTML",
      headers: { "X-Automatic": "true" } }));

  const source = new EventSource(live.dataset.liveLog);
  source.onopen = () => {
    state.textContent = "Connected.";
    // What happened since the page was made is not in the stream.
    changed();
  };
  source.onmessage = (message) => {
    try {
      add(JSON.parse(message.data));
      changed();
    } catch {
      state.textContent = "An entry could not be read.";
    }
  };
  source.onerror = () => {
    state.textContent = source.readyState === EventSource.CLOSED
      ? "The stream has ended. Reload the page, and log in again if it asks for that."
      : "The connection was lost; trying again.";
  };
})();
