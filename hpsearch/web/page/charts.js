// Pictures by plotly.js, loaded after the page is there. Texts of the runs are escaped: plotly reads some HTML in them.
import { colour, el, fill, largest, number, smallest } from "./tools.js";

let loading = null;
export function plotly() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "plotly.js";
    script.onload = () => done(window.Plotly);
    script.onerror = () => failed(new Error("plotly.js could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

export const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
export const narrow = window.matchMedia("(max-width: 40rem)");
export const dark = window.matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const [ink, line] = [colour("ink"), colour("line")];
  const made = {
    margin: { l: 62, r: 12, t: 12, b: 44 },
    autosize: true,
    showlegend: true,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    hovermode: "closest",
    ...layout,
    font: { color: ink, size: 12 },
    hoverlabel: { bgcolor: colour("soft"), bordercolor: line, font: { color: ink } },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
  };
  for (const name of Object.keys(layout)) {
    if (!/^[xy]axis\d*$/.test(name)) continue;
    made[name] = { gridcolor: line, linecolor: line, zeroline: false, automargin: true, ...layout[name] };
  }
  return made;
}

/** A picture that is drawn anew when it can be seen and something has changed, and in the colours of the day or night. */
export class Picture {
  constructor(place, make, { click } = {}) {
    this.place = place;
    this.make = make;
    this.click = click;
    this.stale = true;
    this.seen = false;
    this.watcher = new IntersectionObserver(
      (changes) => {
        this.seen = changes.at(-1).isIntersecting;
        this.draw();
      },
      { rootMargin: "200px" },
    );
    this.watcher.observe(place);
    this.again = () => this.update();
    dark.addEventListener("change", this.again);
    narrow.addEventListener("change", this.again);
  }

  update() {
    this.stale = true;
    this.draw();
  }

  async draw() {
    if (!this.seen || !this.stale || this.drawing) return;
    this.drawing = true;
    try {
      const Plotly = await plotly();
      this.stale = false;
      const made = this.make();
      if (made.empty) this.write(Plotly, made.empty);
      else await this.plot(Plotly, made);
    } catch (error) {
      this.write(window.Plotly, error.message);
    } finally {
      this.drawing = false;
    }
    if (this.stale) this.draw();
  }

  async plot(Plotly, made) {
    if (this.written) fill(this.place);
    this.written = false;
    await Plotly.react(this.place, made.data, themed(made.layout), { responsive: true, displayModeBar: false });
    if (this.click && !this.listening) {
      this.listening = true;
      this.place.on("plotly_click", (event) => this.click(event.points[0]));
    }
  }

  /** A sentence where the picture would be. */
  write(Plotly, sentence) {
    if (this.place.classList.contains("js-plotly-plot")) Plotly.purge(this.place);
    this.listening = false;
    this.written = true;
    fill(this.place, el("p.empty", {}, sentence));
  }

  remove() {
    this.watcher.disconnect();
    dark.removeEventListener("change", this.again);
    narrow.removeEventListener("change", this.again);
    if (this.place.classList.contains("js-plotly-plot")) window.Plotly.purge(this.place);
  }
}

/** Every n-th of many, so that the page stays quick; the first and the last are among them. */
export function thinned(list, most) {
  if (list.length <= most) return list;
  const stride = (list.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, place) => list[Math.round(place * stride)]);
}

/**
 * Limits of an axis where a few exploded values would flatten the others, and how many lie outside; else null.
 * They reach three ranges beyond the quartiles; what is `kept` is always inside.
 */
export function limits(values, kept = []) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length < 8) return null;
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const spread = at(0.75) - at(0.25) || Math.abs(at(0.5)) || 1;
  const low = smallest(kept, Math.max(sorted[0], at(0.25) - 3 * spread));
  const high = largest(kept, Math.min(sorted.at(-1), at(0.75) + 3 * spread));
  if (sorted.at(-1) - sorted[0] < 3 * (high - low)) return null;
  const outside = sorted.filter((value) => value < low || value > high).length;
  if (!outside) return null; // all are the same
  const room = 0.05 * (high - low);
  return { range: [low - room, high + room], outside, far: sorted.at(-1) > high ? sorted.at(-1) : sorted[0] };
}

export const integers = (axis, most) => ({ ...axis, ...(most < 12 ? { dtick: 1 } : {}), tickformat: ",d" });

/** Points for the complete trials and a line for the best so far, over the trials or over time. */
export function historyPlot(searches, { over = "trials", say = () => {} } = {}) {
  const place = over === "time" ? (row) => row.after ?? 0 : (row) => row.number;
  const [data, every, bests] = [[], [], []];
  let most = 0;
  for (const { search, name, ink } of searches) {
    const complete = search.complete.sort((a, b) => place(a) - place(b));
    if (!complete.length) continue;
    const steps = [];
    for (const row of complete) if (!steps.length || search.better(row.value, steps.at(-1).value)) steps.push(row);
    const end = over === "time" ? Math.max(search.searched, place(complete.at(-1))) : largest([...search.rows.keys()]);
    most = Math.max(most, end);
    for (const row of complete) every.push(row.value);
    bests.push(...steps.slice(-3).map((row) => row.value));
    const points = thinned(complete, 2000);
    const hover = (what) => `trial %{customdata}: %{y:.4g}<extra>${escaped(what)}</extra>`;
    data.push({
      type: "scatter",
      mode: "markers",
      name: "complete trials",
      showlegend: !name,
      legendgroup: name,
      x: points.map(place),
      y: points.map((row) => row.value),
      customdata: points.map((row) => row.number),
      marker: { color: ink ?? colour("complete"), size: 6, opacity: 0.55 },
      hovertemplate: hover(name ?? ""),
    });
    const last = steps.at(-1);
    data.push({
      type: "scatter",
      mode: "lines",
      name: escaped(name ?? "best so far"),
      legendgroup: name,
      x: [...steps.map(place), end],
      y: [...steps, last].map((row) => row.value),
      customdata: [...steps, last].map((row) => row.number),
      line: { color: ink ?? colour("best"), shape: "hv", width: 2.5 },
      hovertemplate: hover(name ?? "best so far"),
    });
  }
  if (!data.length) return { empty: "No trial is complete yet." };
  const found = limits(every, bests);
  say(
    found
      ? `${found.outside} ${found.outside === 1 ? "value is" : "values are"} outside the picture, as far as ${number(found.far)}; double-click shows all.`
      : "",
  );
  const [scale, title] = over === "time" ? timeScale(most) : [1, "trial"];
  if (scale !== 1) for (const trace of data) trace.x = trace.x.map((value) => value / scale);
  return {
    data,
    layout: {
      xaxis:
        over === "time" ? { title: { text: title }, rangemode: "tozero" } : integers({ title: { text: title } }, most),
      yaxis: { title: { text: escaped(searches[0]?.search.metric ?? "") }, ...(found ? { range: found.range } : {}) },
    },
  };
}

function timeScale(seconds) {
  if (seconds < 300) return [1, "seconds of searching"];
  return seconds < 3 * 3600 ? [60, "minutes of searching"] : [3600, "hours of searching"];
}

const CURVES = 240;

/** The curves that are drawn: all of few trials; of many the running ones, the best, and every n-th of the others. */
function drawnCurves(search) {
  const drawn = search.list.filter((row) => row.curve?.steps.length);
  if (drawn.length <= CURVES) return drawn;
  const running = search.running;
  const ranked = search.complete.sort((a, b) => (search.better(a.value, b.value) ? -1 : 1)).slice(0, 40);
  const chosen = new Set([...ranked, ...drawn.filter((row) => running.has(row.number))]);
  const rest = drawn.filter((row) => !chosen.has(row));
  return [...thinned(rest, CURVES - chosen.size), ...chosen].filter((row) => row.curve?.steps.length);
}

/** The metric of each trial, step by step: complete ones, pruned and stopped ones dotted, the best on top. */
export function curvesPlot(search, { say = () => {} } = {}) {
  const drawn = drawnCurves(search);
  const running = search.running;
  const best = search.head.best?.number;
  const groups = { pruned: [], bad: [], open: [], complete: [], running: [], best: [] };
  for (const row of drawn) {
    const kind =
      row.number === best
        ? "best"
        : row.outcome === null
          ? running.has(row.number)
            ? "running"
            : "open"
          : kindOfCurve(row.outcome);
    groups[kind].push(row);
  }
  const looks = {
    pruned: ["pruned or stopped", { dash: "dot", width: 1 }, 0.8],
    bad: ["failed in some way", { dash: "dashdot", width: 1 }, 0.8],
    open: ["unfinished", { width: 1 }, 0.6],
    complete: ["complete", { width: 1.2 }, drawn.length > 100 ? 0.35 : 0.65],
    running: ["running", { width: 2 }, 1],
    best: [`trial ${best} (the best)`, { width: 2.8 }, 1],
  };
  const data = [];
  for (const [kind, rows] of Object.entries(groups)) {
    if (!rows.length) continue;
    const [name, line, opacity] = looks[kind];
    const ink = colour(kind === "open" ? "faint" : kind);
    const [x, y, trials] = [[], [], []];
    for (const row of rows) {
      row.curve.steps.forEach((step, place) => {
        x.push(step);
        y.push(row.curve.values[place]);
        trials.push(row.number);
      });
      for (const list of [x, y, trials]) list.push(null);
    }
    const short = rows.some((row) => row.curve.steps.length === 1) || rows.length < 40;
    data.push({
      type: "scatter",
      mode: short ? "lines+markers" : "lines",
      name,
      x,
      y,
      customdata: trials,
      opacity,
      line: { ...line, color: ink },
      marker: { size: kind === "pruned" ? 5 : 4, color: ink, symbol: kind === "pruned" ? "x-thin-open" : "circle" },
      hovertemplate: `trial %{customdata}, ${escaped(search.unit)} %{x}: %{y:.4g}<extra>${name}</extra>`,
    });
  }
  if (!data.length) return { empty: "No training has reported a value yet." };
  // an exploded curve is one whose largest or smallest value is far from those of the others
  const ends = drawn.flatMap(({ curve }) => {
    const known = curve.values.filter(Number.isFinite);
    return known.length ? [smallest(known), largest(known)] : [];
  });
  const found = limits(ends, search.rows.get(best)?.curve?.values.filter(Number.isFinite) ?? []);
  const total = search.list.filter((row) => row.curve?.steps.length).length;
  const many =
    total > drawn.length
      ? `${drawn.length} of ${total} curves are drawn: the best 40, what runs, and every n-th of the others.`
      : "";
  say(
    [many, found ? `Some curves leave the picture, as far as ${number(found.far)}; double-click shows all.` : ""]
      .filter(Boolean)
      .join(" "),
  );
  const most = largest(
    drawn.map((row) => row.curve.steps.at(-1)),
    0,
  );
  return {
    data,
    layout: {
      xaxis: integers({ title: { text: escaped(search.unit) } }, most),
      yaxis: { title: { text: escaped(search.metric) }, ...(found ? { range: found.range } : {}) },
    },
  };
}

function kindOfCurve(outcome) {
  return outcome === "complete" ? "complete" : outcome === "pruned" || outcome === "stopped" ? "pruned" : "bad";
}

/** Lines over the steps of one training; what has the same last name is in one picture. */
export function seriesPlot(told, members, ring) {
  const inks = ["complete", "best", "running", "bad", "faint"];
  const data = members.map(([name, values], place) => ({
    type: "scatter",
    mode: told.steps.length > 60 ? "lines" : "lines+markers",
    name: escaped(name),
    x: told.steps,
    y: values,
    line: { color: colour(inks[place % inks.length]), width: 2 },
    marker: { size: 4 },
    connectgaps: false,
    hovertemplate: `${escaped(told.unit)} %{x}: %{y:.4g}<extra>${escaped(name)}</extra>`,
  }));
  if (ring !== null) {
    data.push({
      type: "scatter",
      mode: "markers",
      name: "its value",
      x: [ring[0]],
      y: [ring[1]],
      marker: { size: 12, symbol: "circle-open", color: colour("best"), line: { width: 2.5 } },
      hovertemplate: "its value: %{y:.4g}<extra></extra>",
    });
  }
  const positive = members.every(([, values]) => values.every((value) => value === null || value > 0));
  const every = members.flatMap(([, values]) => values).filter((value) => value !== null);
  const wide = positive && every.length > 1 && largest(every) / smallest(every) > 100;
  return {
    data,
    layout: {
      xaxis: integers({ title: { text: escaped(told.unit) } }, told.steps.at(-1) ?? 0),
      yaxis: wide ? { type: "log", exponentformat: "power" } : {},
      margin: { l: 58, r: 12, t: 12, b: 40 },
    },
  };
}
