// A panel for each parameter, and the order and scales of the axes.
import { dark, escaped, integers, limits, narrow, thinned } from "./charts.js";
import { colour, largest, number } from "./tools.js";

/** The order of the axes: what mattered most first, then as the space has them. Only what varies. */
export function orderedAxes(search, shares) {
  const share = new Map(shares.map(([, part, path]) => [path, part]));
  return search.axes
    .map((axis, place) => ({ ...axis, place }))
    .filter((axis) => (axis.options ? axis.options.length > 1 : axis.low < axis.high))
    .sort((a, b) => (share.get(b.path) ?? 0) - (share.get(a.path) ?? 0));
}

const PANEL = 150;
const BETWEEN = 62;

/** A panel for each parameter, on the scale that the space declares; the later a trial, the darker its point. */
export function slicesPlot(search, shares, { most = 9 } = {}) {
  const axes = orderedAxes(search, shares).slice(0, most);
  const columns = narrow.matches ? 1 : Math.min(3, axes.length || 1);
  const rows = Math.ceil(axes.length / columns) || 1;
  const complete = search.complete.sort((a, b) => a.number - b.number);
  if (!complete.length || !axes.length) {
    const why = complete.length ? "No parameter has several values." : "No trial is complete yet.";
    return { empty: why, shown: 0, all: complete.length, axes: 0 };
  }
  const drawn = thinned(complete, Math.floor(6000 / Math.max(1, axes.length)));
  const best = search.rows.get(search.head.best?.number);
  const found = limits(
    complete.map((row) => row.value),
    best ? [best.value] : [],
  );
  const latest = largest(
    complete.map((row) => row.number),
    1,
  );
  const data = [];
  const inner = rows * PANEL + (rows - 1) * BETWEEN;
  const layout = { height: inner + 12 + 48, showlegend: false, margin: { l: 62, r: 12, t: 12, b: 48 } };
  axes.forEach((axis, index) => {
    const suffix = index ? String(index + 1) : "";
    const [column, row] = [index % columns, Math.floor(index / columns)];
    const there = drawn.filter((each) => each.params[axis.place] !== null && each.params[axis.place] !== undefined);
    const put = (value) => (axis.options ? axis.options.indexOf(value) : value);
    const points = (list, marker, hover) => ({
      type: "scatter",
      mode: "markers",
      x: list.map((each) => put(each.params[axis.place])),
      y: list.map((each) => each.value),
      xaxis: `x${suffix}`,
      yaxis: `y${suffix}`,
      customdata: list.map((each) => [each.number, escaped(number(each.params[axis.place]))]),
      marker,
      hovertemplate: hover,
    });
    const scale = dark.matches
      ? [
          [0, "#3a4f63"],
          [1, "#7cc7f2"],
        ]
      : [
          [0, "#b9d7ea"],
          [1, "#00466f"],
        ];
    const hover = `trial %{customdata[0]}, ${escaped(axis.name)} %{customdata[1]}: %{y:.4g}<extra></extra>`;
    data.push(
      points(
        there,
        {
          size: drawn.length > 300 ? 4 : 6,
          color: there.map((each) => each.number),
          colorscale: scale,
          cmin: 0,
          cmax: latest,
        },
        hover,
      ),
    );
    const there2 = best && best.params[axis.place] !== null && best.params[axis.place] !== undefined ? [best] : [];
    data.push(points(there2, { size: 12, symbol: "circle-open", color: colour("best"), line: { width: 2.5 } }, hover));
    const gap = narrow.matches ? 0 : 0.06;
    const width = (1 - gap * (columns - 1)) / columns;
    const above = (row * (PANEL + BETWEEN)) / inner;
    layout[`xaxis${suffix}`] = {
      ...xAxis(axis),
      domain: [column * (width + gap), column * (width + gap) + width],
      anchor: `y${suffix}`,
      title: { text: escaped(axis.name), standoff: 4 },
    };
    layout[`yaxis${suffix}`] = {
      domain: [Math.max(0, 1 - above - PANEL / inner), 1 - above],
      anchor: `x${suffix}`,
      showticklabels: column === 0,
      ...(index ? { matches: "y" } : {}),
      ...(found ? { range: found.range } : {}),
      ...(column === 0 ? { title: { text: escaped(search.metric), font: { size: 11 } } } : {}),
    };
  });
  return { data, layout, shown: drawn.length, all: complete.length, axes: axes.length };
}

function xAxis(axis) {
  if (axis.options) {
    const shown = axis.options.map((option) => {
      const text = number(option);
      return escaped(text.length > 14 ? `${text.slice(0, 13)}…` : text);
    });
    return {
      tickvals: axis.options.map((_, place) => place),
      ticktext: shown,
      range: [-0.6, axis.options.length - 0.4],
      ...(shown.length > 4 ? { tickangle: -35 } : {}),
    };
  }
  const room = 0.04;
  if (axis.log) {
    const [low, high] = [Math.log10(axis.low), Math.log10(axis.high)];
    return {
      type: "log",
      range: [low - room * (high - low), high + room * (high - low)],
      exponentformat: "power",
      dtick: high - low > 1.5 ? 1 : undefined,
    };
  }
  const reach = room * (axis.high - axis.low);
  return {
    range: [axis.low - reach, axis.high + reach],
    ...(axis.whole ? integers({}, axis.high - axis.low) : { nticks: 6 }),
  };
}
