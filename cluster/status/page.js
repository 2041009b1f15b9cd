
"use strict";
(() => {
  const every = 2000;
  const state = document.getElementById("refresh");
  const button = document.createElement("button");
  let paused = false;
  button.type = "button";
  const say = (text) => { state.textContent = text; };
  const label = () => { button.textContent = paused ? "Resume" : "Pause"; say(paused ? "paused " : "refreshes itself "); };
  button.addEventListener("click", () => { paused = !paused; label(); });
  state.after(button);
  label();
  const replace = (now, next) => {
    const at = new Map([...now.querySelectorAll(".scroll")].map((s) => [s.id, s.scrollLeft]));
    const focus = now.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...now.querySelectorAll("details[open]")].map((d) => d.id);
    now.replaceChildren(...next.childNodes);
    for (const [id, left] of at) { const s = document.getElementById(id); if (s) s.scrollLeft = left; }
    for (const id of open) { const d = document.getElementById(id); if (d) d.open = true; }
    if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
  };
  const refresh = async () => {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
      if (!answer.ok) throw new Error("status " + answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const now of document.querySelectorAll("[data-live]")) {
        const other = next.getElementById(now.id);
        if (other) replace(now, other);
      }
      label();
    } catch (e) {
      say("not refreshed (" + e.message + ") ");
    }
  };
  const loop = async () => { await refresh(); setTimeout(loop, every); };
  setTimeout(loop, every);
})();
