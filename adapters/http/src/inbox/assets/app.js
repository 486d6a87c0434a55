// Keeps the pages fresh: asks for the page again, and changes only what has changed, so that
// whoever reads is not disturbed. The pages work without it.
(() => {
  "use strict";

  const PAUSE = 1000;
  const OFFLINE_PAUSE = 2000;
  const TIMEOUT = 5000;
  const status = document.getElementById("status");
  // What the server sent for an element, before the times in it were put in the reader's own words.
  const sources = new WeakMap();
  let timer = 0;
  let asking = false;

  const blocks = (page) => page.querySelectorAll("[data-live]");
  const list = (block) => block.querySelector(":scope > [data-rows]");

  // Two rows may have one key: the second is told apart by its turn.
  function keyed(rows) {
    const turns = new Map();
    return Array.from(rows.children, (row) => {
      const turn = turns.get(row.dataset.key) ?? 0;
      turns.set(row.dataset.key, turn + 1);
      return [`${row.dataset.key} ${turn}`, row];
    });
  }

  function remember(page) {
    for (const block of blocks(page)) {
      sources.set(block, block.outerHTML);
      for (const row of list(block)?.children ?? []) sources.set(row, row.outerHTML);
    }
  }

  // Text that is marked, and a link that has the focus, stay until they are let go.
  function inUse(element) {
    const selection = document.getSelection();
    const marked = selection && !selection.isCollapsed && selection.containsNode(element, true);
    return marked || element.contains(document.activeElement);
  }

  // What the reader opened or closed in a row stays so.
  function replaceRow(row, next) {
    const details = row.querySelector("details");
    const nextDetails = next.querySelector("details");
    if (details && nextDetails) nextDetails.open = details.open;
    row.replaceWith(next);
  }

  function updateRows(rows, next) {
    const present = new Map(keyed(rows));
    const wanted = keyed(next);
    const keys = new Set(wanted.map(([key]) => key));
    let complete = true;
    for (const [key, row] of present) {
      if (!keys.has(key)) row.remove();
    }
    let place = rows.firstElementChild;
    for (const [key, fresh] of wanted) {
      const row = present.get(key);
      if (!row) {
        fresh.classList.add("fresh");
        rows.insertBefore(fresh, place);
        continue;
      }
      if (row !== place) rows.insertBefore(row, place);
      place = row.nextElementSibling;
      if (sources.get(row) === sources.get(fresh)) continue;
      if (inUse(row)) complete = false;
      else replaceRow(row, fresh);
    }
    return complete;
  }

  function update(block, next) {
    if (sources.get(block) === sources.get(next)) return;
    const rows = list(block);
    const nextRows = list(next);
    if (rows && nextRows) {
      if (!updateRows(rows, nextRows)) return;
    } else {
      if (inUse(block)) return;
      block.className = next.className;
      block.replaceChildren(...next.childNodes);
    }
    sources.set(block, sources.get(next));
  }

  function inWords(at) {
    const seconds = Math.round((Date.now() - at) / 1000);
    if (seconds < 5) return "just now";
    if (seconds < 60) return `${seconds} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    const today = at.toDateString() === new Date().toDateString();
    return today ? at.toLocaleTimeString() : at.toLocaleString();
  }

  function tellTimes() {
    for (const time of document.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      const words = time.classList.contains("full") ? at.toLocaleString() : inWords(at);
      if (time.textContent === words) continue;
      time.textContent = words;
      time.title = at.toLocaleString();
    }
  }

  function tell(online) {
    const words = online ? "Live" : "Offline, trying again";
    if (status.textContent === words) return;
    status.textContent = words;
    status.classList.toggle("offline", !online);
    status.hidden = false;
  }

  async function refresh() {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(TIMEOUT) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    remember(page);
    for (const block of blocks(document)) {
      const next = page.getElementById(block.id);
      if (next) update(block, next);
    }
    document.title = page.title;
  }

  async function tick() {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    let online = true;
    try {
      await refresh();
    } catch {
      online = false;
    }
    asking = false;
    tell(online);
    tellTimes();
    timer = setTimeout(tick, online ? PAUSE : OFFLINE_PAUSE);
  }

  function faultForm(form) {
    const error = document.getElementById("fault-error");
    const show = (words) => {
      error.textContent = words;
      error.hidden = words === "";
    };
    const send = async (request) => {
      show("");
      try {
        const answer = await fetch("/inbox/faults", request);
        if (answer.ok) return await tick();
        const problem = await answer.json();
        const faults = problem.errors ?? [];
        const words = faults.map((fault) => `${(fault.pointer ?? "").slice(1)} ${fault.message}`);
        show(words.join("; ") || problem.detail);
      } catch {
        show("The server does not answer.");
      }
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { channel, kind, count, to } = form.elements;
      const rule = {
        channel: channel.value,
        kind: kind.value,
        count: count.value === "" ? null : Number(count.value),
        to: to.value.trim() || null,
      };
      const headers = { "content-type": "application/json" };
      send({ method: "POST", headers, body: JSON.stringify(rule) });
    });
    document.getElementById("fault-clear").addEventListener("click", () => {
      send({ method: "DELETE" });
    });
    form.hidden = false;
  }

  remember(document);
  tellTimes();
  const form = document.getElementById("fault-form");
  if (form) faultForm(form);
  if (blocks(document).length > 0) {
    tell(true);
    document.addEventListener("visibilitychange", tick);
    timer = setTimeout(tick, PAUSE);
  }
})();
