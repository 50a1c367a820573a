"use strict";
const plots = JSON.parse(document.getElementById("plots").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 40rem)");

// Colours that vanish on a dark page, and what stands there: the scale of values runs from the page's side to the bright.
const bright = {
  "#0072B2": "#3d9bd9", "#000000": "#ffffff", "#444444": "#c8c8c8", "#888888": "#a0a0a0",
  "#e8d95a": "#3d4f7a", "#a59c74": "#6b7486", "#575d6d": "#b3a86e", "#00224e": "#fdea45",
};
function inked(value) {
  if (typeof value === "string") return bright[value] || value;
  if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(inked);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inked(item)]));
  return value;
}

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim();
  const line = style.getPropertyValue("--line").trim();
  const axis = (own) => ({ ...own, gridcolor: line, linecolor: line, zerolinecolor: line });
  return {
    margin: narrow.matches ? { l: 40, r: 10, t: 30, b: 45 } : { l: 60, r: 20, t: 40, b: 50 },
    ...layout,
    ...Object.fromEntries(["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d+$/.test(key))].map((key) => [key, axis(layout[key])])),
    font: { color: ink, size: narrow.matches ? 11 : 13 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: style.getPropertyValue("--faint").trim(), activecolor: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
  };
}

function draw(place) {
  const plot = plots[place.dataset.plot];
  const name = { format: "svg", filename: place.dataset.plot };
  if (plot.layout.height) place.style.height = `${plot.layout.height}px`; // what a resize takes the height from
  Plotly.react(place, dark.matches ? inked(plot.data) : plot.data, themed(plot.layout), { responsive: true, displaylogo: false, toImageButtonOptions: name, ...(narrow.matches && { displayModeBar: false }) });
}

// A picture of parallel coordinates takes three of the sixteen WebGL contexts that a browser gives to a page: where there
// are many of them, each is drawn while it can be seen.
const places = [...document.querySelectorAll("[data-plot]")];
const costly = places.filter((place) => plots[place.dataset.plot].data.some((trace) => trace.type === "parcoords"));
const seen = new Set(costly.length > 4 ? [] : costly);
const watcher = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    if (isIntersecting && !seen.has(target)) {
      seen.add(target);
      draw(target);
    } else if (!isIntersecting && seen.delete(target)) {
      target.style.minHeight = `${target.offsetHeight}px`;
      Plotly.purge(target);
    }
  }
});

function drawAll() {
  for (const place of places) {
    if (seen.has(place) || !costly.includes(place)) draw(place);
  }
}

drawAll();
if (costly.length > 4) costly.forEach((place) => watcher.observe(place));
dark.addEventListener("change", drawAll);
narrow.addEventListener("change", drawAll);
