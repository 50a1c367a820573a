"use strict";
const plots = JSON.parse(document.getElementById("plots").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 40rem)");

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim();
  const line = style.getPropertyValue("--line").trim();
  const axis = (own) => ({ ...own, gridcolor: line, linecolor: line, zerolinecolor: line });
  return {
    margin: narrow.matches ? { l: 40, r: 10, t: 30, b: 45 } : { l: 60, r: 20, t: 40, b: 50 },
    ...layout,
    xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    font: { color: ink, size: narrow.matches ? 11 : 13 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: style.getPropertyValue("--faint").trim(), activecolor: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
  };
}

function drawAll() {
  for (const place of document.querySelectorAll("[data-plot]")) {
    const plot = plots[place.dataset.plot];
    const name = { format: "svg", filename: place.dataset.plot };
    Plotly.react(place, plot.data, themed(plot.layout), { responsive: true, displaylogo: false, toImageButtonOptions: name });
  }
}

drawAll();
dark.addEventListener("change", drawAll);
narrow.addEventListener("change", drawAll);
