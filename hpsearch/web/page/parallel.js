// Parallel coordinates: a line for each trial over its parameters and its value. Drawn on a canvas, as plotly's need WebGL.
import { dark, limits, thinned } from "./charts.js";
import { orderedAxes } from "./slices.js";
import { colour, el, largest, number, smallest } from "./tools.js";

const HEIGHT = 340;
const ROOM = { top: 46, bottom: 34, side: 44 };
const LEAST = 118;
const MOST_LINES = 3000;
const FROM = { light: [150, 182, 208], dark: [66, 88, 110] };
const TO = { light: [0, 80, 140], dark: [124, 199, 242] };

/** The scale of an axis: from a value to a place between 0 (below) and 1; null for what a trial does not have. */
function scaleOf(axis) {
  if (axis.options) {
    const last = Math.max(1, axis.options.length - 1);
    const places = new Map(
      axis.options.map((option, place) => [option, axis.options.length === 1 ? 0.5 : place / last]),
    );
    return {
      at: (value) => places.get(value) ?? null,
      ticks: axis.options.map((option) => [places.get(option), number(option)]),
    };
  }
  const turn = axis.log ? Math.log10 : (value) => value;
  const [low, high] = [turn(axis.low), turn(axis.high)];
  const at = (value) =>
    value === null || value === undefined || !Number.isFinite(value)
      ? null
      : Math.min(1, Math.max(0, (turn(value) - low) / (high - low || 1)));
  const marks = axis.log ? powers(low, high) : round(axis.low, axis.high, axis.whole);
  return { at, ticks: marks.map((mark) => [at(mark), number(mark)]) };
}

function powers(low, high) {
  const marks = [];
  for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power += Math.max(1, Math.ceil((high - low) / 6)))
    marks.push(10 ** power);
  return marks.length > 1 ? marks : [10 ** low, 10 ** high];
}

function round(low, high, whole) {
  const rough = (high - low) / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((times) => times * size).find((each) => each >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const marks = [];
  for (let mark = Math.ceil(low / step - 1e-9) * step; mark <= high + 1e-9 * step; mark += step)
    marks.push(Number(mark.toPrecision(12)));
  return marks;
}

export class Parallel {
  /** `chosen` is told which trials pass where somebody has dragged along an axis; null when all do. */
  constructor(place, search, { shares, chosen }) {
    Object.assign(this, { place, search, shares, chosen });
    this.brushes = new Map();
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "parallel coordinates of all trials; the table below has the same values");
    this.none = el("p.empty", { hidden: true }, "No parameter has several values yet.");
    place.replaceChildren(this.canvas, this.none);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(place);
    this.again = () => this.draw();
    dark.addEventListener("change", this.again);
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.drag(event));
    this.canvas.addEventListener("pointerup", () => this.release());
    this.canvas.addEventListener("pointercancel", () => this.release());
  }

  remove() {
    this.observer.disconnect();
    dark.removeEventListener("change", this.again);
  }

  axes(width) {
    const count = Math.max(2, Math.floor((width - 2 * ROOM.side) / LEAST));
    const axes = orderedAxes(this.search, this.shares()).slice(0, Math.min(10, count));
    const complete = this.search.complete;
    if (complete.length) {
      const values = complete.map((row) => row.value);
      const best = this.search.rows.get(this.search.head.best?.number);
      const found = limits(values, best ? [best.value] : []);
      const [low, high] = found ? found.range : [smallest(values), largest(values)];
      axes.push({
        name: this.search.metric,
        place: -1,
        low,
        high: high > low ? high : low + 1,
        log: false,
        whole: false,
      });
    }
    return axes.map((axis, index) => ({
      ...axis,
      ...scaleOf(axis),
      x: ROOM.side + (index * (width - 2 * ROOM.side)) / Math.max(1, axes.length - 1),
    }));
  }

  value(row, axis) {
    if (axis.place >= 0) return row.params[axis.place] ?? null;
    return row.outcome === "complete" ? row.value : null;
  }

  y(at) {
    return at === null ? HEIGHT - 12 : ROOM.top + (1 - at) * (HEIGHT - ROOM.top - ROOM.bottom);
  }

  passes(row, axes) {
    return axes.every((axis) => {
      const brush = this.brushes.get(axis.name);
      if (!brush) return true;
      const y = this.y(axis.at(this.value(row, axis)));
      return y >= brush[0] && y <= brush[1];
    });
  }

  draw() {
    const width = this.place.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = HEIGHT * ratio;
    this.canvas.style.height = `${HEIGHT}px`;
    this.drawn = this.axes(width);
    this.canvas.hidden = this.drawn.length < 2;
    this.none.hidden = !this.canvas.hidden;
    if (this.canvas.hidden) return;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, HEIGHT);
    this.lines(pen);
    this.scales(pen);
  }

  lines(pen) {
    const axes = this.drawn;
    const rows = this.search.list.filter((row) => row.outcome !== null || row.params.length);
    const complete = rows
      .filter((row) => row.outcome === "complete" && Number.isFinite(row.value))
      .sort((a, b) => (this.search.better(a.value, b.value) ? 1 : -1));
    const others = rows.filter((row) => row.outcome !== "complete");
    const mode = dark.matches ? "dark" : "light";
    const stroke = (row, style, line, alpha) => {
      pen.globalAlpha = this.passes(row, axes) ? alpha : 0.04;
      pen.strokeStyle = style;
      pen.lineWidth = line;
      pen.beginPath();
      axes.forEach((axis, index) => {
        const y = this.y(axis.at(this.value(row, axis)));
        if (index) pen.lineTo(axis.x, y);
        else pen.moveTo(axis.x, y);
      });
      pen.stroke();
    };
    const dense = Math.min(0.75, Math.max(0.05, 200 / rows.length));
    const grey = colour("pruned");
    pen.setLineDash([2, 3]);
    for (const row of thinned(others, MOST_LINES / 4)) stroke(row, grey, 1, 0.9 * dense);
    pen.setLineDash([]);
    const drawn =
      complete.length > MOST_LINES
        ? [...thinned(complete.slice(0, -200), MOST_LINES - 200), ...complete.slice(-200)]
        : complete;
    const top = drawn.length - Math.min(25, Math.ceil(drawn.length / 10));
    drawn.forEach((row, place) => {
      const share = drawn.length > 1 ? place / (drawn.length - 1) : 1;
      const mixed = FROM[mode].map((from, channel) => Math.round(from + (TO[mode][channel] - from) * share));
      stroke(row, `rgb(${mixed.join(",")})`, place >= top ? 1.5 : 1, place >= top ? 0.85 : dense);
    });
    const best = this.search.rows.get(this.search.head.best?.number);
    if (best) stroke(best, colour("best"), 2.6, 1);
    pen.globalAlpha = 1;
  }

  scales(pen) {
    const [ink, faint, paper] = [colour("ink"), colour("faint"), colour("paper")];
    const gap = this.drawn.length > 1 ? this.drawn[1].x - this.drawn[0].x : 200;
    this.drawn.forEach((axis, index) => {
      pen.strokeStyle = faint;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(axis.x, this.y(1) - 4);
      pen.lineTo(axis.x, this.y(0) + 4);
      pen.stroke();
      const last = index === this.drawn.length - 1;
      pen.font = "600 12px system-ui, sans-serif";
      pen.fillStyle = ink;
      pen.textAlign = index === 0 ? "left" : last ? "right" : "center";
      const x = index === 0 ? 2 : last ? this.place.clientWidth - 2 : axis.x;
      this.write(pen, axis.name, x, index % 2 && gap < 150 ? 30 : 16, gap * (gap < 150 ? 1.7 : 0.95));
      pen.font = "11px system-ui, sans-serif";
      pen.textAlign = last ? "right" : "left";
      let above = Infinity;
      const missing = this.search.list.some((row) => axis.at(this.value(row, axis)) === null);
      for (const [at, text] of [...axis.ticks, ...(missing ? [[null, axis.place < 0 ? "no value" : "none"]] : [])]) {
        if (at === undefined) continue;
        const y = this.y(at);
        if (above - y < 12 && at !== null) continue;
        above = at === null ? above : y;
        pen.fillStyle = faint;
        pen.fillRect(axis.x - 3, y - 0.5, 6, 1);
        pen.lineWidth = 3;
        pen.strokeStyle = paper;
        pen.strokeText(text, axis.x + (last ? -6 : 6), y + 4, gap - 12);
        pen.fillStyle = ink;
        pen.fillText(text, axis.x + (last ? -6 : 6), y + 4, gap - 12);
      }
      const brush = this.brushes.get(axis.name);
      if (brush) {
        pen.fillStyle = colour("best");
        pen.globalAlpha = 0.3;
        pen.fillRect(axis.x - 7, brush[0], 14, brush[1] - brush[0]);
        pen.globalAlpha = 1;
      }
    });
  }

  write(pen, text, x, y, most) {
    let shown = text;
    while (shown.length > 3 && pen.measureText(shown).width > most) shown = `${shown.slice(0, -2)}…`;
    pen.fillText(shown, x, y);
  }

  press(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const axis = this.drawn?.find((each) => Math.abs(each.x - x) < 14);
    if (!axis) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.dragging = { axis, from: event.clientY - box.top, top: box.top };
    this.brushes.delete(axis.name);
  }

  drag(event) {
    if (!this.dragging) return;
    const { axis, from, top } = this.dragging;
    const to = event.clientY - top;
    if (Math.abs(to - from) > 3) this.brushes.set(axis.name, [Math.min(from, to), Math.max(from, to)]);
    this.draw();
  }

  release() {
    if (!this.dragging) return;
    this.dragging = null;
    this.draw();
    const axes = this.drawn;
    this.chosen(
      this.brushes.size
        ? new Set(this.search.list.filter((row) => this.passes(row, axes)).map((row) => row.number))
        : null,
    );
  }
}
