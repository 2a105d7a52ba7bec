// The page works without this: it adds copying, the countdown, and news without reloading by hand.
"use strict";
(() => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const words = button.textContent;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 2000);
    });
  }
  const left = document.querySelector("[data-countdown]");
  const tick = () => {
    const seconds = Math.floor((Date.parse(left.dataset.countdown) - Date.now()) / 1000);
    if (seconds < 0) { left.textContent = " (over)"; return; }
    const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const first = Math.max(0, parts.findIndex(([size]) => seconds >= size));
    const shown = parts.slice(first, first + 2).map(([size, unit], place) => {
      const above = place + first === 0 ? Infinity : parts[place + first - 1][0];
      return Math.floor((seconds % above) / size) + " " + unit;
    });
    left.textContent = " (" + shown.join(" ") + " left)";
  };
  if (left) { tick(); setInterval(tick, 1000); }
  const { watch, state } = document.body.dataset;
  let wait = 2000;
  const look = async () => {
    try {
      const answer = await fetch(watch, { cache: "no-store" });
      if (answer.ok) {
        wait = 2000;
        if ((await answer.json()).state !== state) { location.reload(); return; }
      } else { wait = Math.min(wait * 2, 60000); }
    } catch { wait = Math.min(wait * 2, 60000); }
    setTimeout(look, document.hidden ? Math.max(wait, 15000) : wait);
  };
  if (watch) setTimeout(look, wait);
})();
