// What the page does by itself; all of it can be read and followed without, but for the live figure.
const base = document.body.dataset.base;
const $ = (selector, within = document) => within.querySelector(selector);

// The live figure: asked for when the next packet is due, then each half second.
const live = $("[data-live]");
const banner = $(".lost");
let missed = 0;
let asked = performance.now();

function show(now) {
  if (String(now.step) !== live.dataset.step) return location.reload();
  for (const part of live.querySelectorAll("[data-show]")) part.textContent = now[part.dataset.show];
  live.classList.toggle("stale", now.is_stale);
  Object.assign(live.dataset, { age: now.age_s, ageing: now.is_stale ? "" : now.ageing });
  const pill = $("[data-pill]");
  if (pill) {
    pill.textContent = now.pill;
    pill.parentElement.className = `pill ${now.tone}`;
  }
}

async function look() {
  if (document.hidden) return again(1);
  try {
    const sensor = new URLSearchParams(location.search).get("sensor");
    const answer = await fetch(`${base}/live${sensor ? `?sensor=${encodeURIComponent(sensor)}` : ""}`,
      { headers: { "X-Requested-With": "page" }, signal: AbortSignal.timeout(8000) });
    if (answer.status === 401) return location.assign(`${base}/login?next=${encodeURIComponent(location.pathname)}`);
    if (!answer.ok) throw new Error(answer.status);
    const now = await answer.json();
    if (missed > 1) {
      banner.textContent = banner.dataset.back;
      setTimeout(() => { banner.hidden = true; }, 4000);
    }
    live.classList.remove("unheard");
    missed = 0;
    asked = performance.now();
    show(now);
    again(now.next_s);
  } catch {
    missed += 1;
    if (missed > 1) {
      banner.hidden = false;
      banner.textContent = banner.dataset.lost;
      live.classList.add("unheard");
    }
    again([1, 2, 5, 10][Math.min(missed, 4) - 1]);
  }
}

const again = (seconds) => setTimeout(look, 1000 * seconds);

function grow() {
  const { age, ageing } = live.dataset;
  const seconds = Number(age) + (performance.now() - asked) / 1000;
  const part = $('[data-show="age"]', live);
  if (part && ageing && !missed) part.textContent = ageing.replace("%", Math.floor(seconds));
}

if (live) {
  again(Number(live.dataset.next));
  setInterval(grow, 1000);
  document.addEventListener("visibilitychange", () => document.hidden || (missed = 0));
}

// A chart is one stop of the tabulator; arrows, Home and End go through its bars.
for (const plot of document.querySelectorAll("[data-readout]")) {
  const bars = [...plot.querySelectorAll(".bar")];
  const line = $("[data-readout-line]");
  const usual = line ? [...line.childNodes] : [];
  const tell = (bar) => {
    if (!line) return;
    const words = document.createElement("b");
    words.textContent = bar.dataset.words;
    line.replaceChildren(words, ` ${bar.dataset.value}`);
  };
  const back = () => line && line.replaceChildren(...usual);
  bars.forEach((bar, place) => {
    bar.addEventListener("pointerenter", () => tell(bar));
    bar.addEventListener("focus", () => tell(bar));
    bar.addEventListener("blur", back);
    bar.addEventListener("keydown", (event) => {
      const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: bars.length - 1 }[event.key];
      if (to === undefined || !bars[to]) return;
      event.preventDefault();
      bar.tabIndex = -1;
      bars[to].tabIndex = 0;
      bars[to].focus();
    });
  });
  plot.addEventListener("pointerleave", back);
}

// The old base's page kept its view in the hash: #watt-day-1416000000.
const old = /^#(?:watt|euros)-(now|day|week|month)(?:-(\d+))?$/.exec(location.hash);
if (old && live) {
  const unit = location.hash.startsWith("#euros") ? "?in=eur" : "";
  const at = old[2] ? `/at/${old[2]}` : "";
  location.replace(old[1] === "now" ? `${base}/` : `${base}/${old[1]}${at}${unit}`);
}
