// The table of all trials: sorted, filtered, and only the rows that can be seen are there.
import { duration, el, fill, kindOf, linkTo, number, wordOf } from "./tools.js";

const ROW = 32;
const SPARE = 12;
const COMPARED = /^([^<>=!~]+)(<=|>=|!=|<|>|=|~)(.+)$/;

/** What a filter such as `width=256 learning_rate<0.01 nan` asks for: every part of it must hold. */
export function asked(text, axes, metric) {
  const parts = text.trim().split(/\s+/).filter(Boolean);
  return parts.map((part) => {
    const found = part.match(COMPARED);
    const read = found && reader(found[1], axes, metric);
    if (!read) {
      const word = part.toLowerCase();
      return (row, shown) => shown(row).includes(word);
    }
    const [sign, wanted] = [found[2], found[3]];
    return (row) => compares(read(row), sign, wanted);
  });
}

function reader(name, axes, metric) {
  const fixed = {
    trial: (row) => row.number,
    value: (row) => row.value,
    [metric]: (row) => row.value,
    step: (row) => row.step,
    time: (row) => row.seconds,
    outcome: (row) => wordOf(row.outcome, false),
  };
  if (Object.hasOwn(fixed, name)) return fixed[name];
  const place = axes.findIndex((axis) => axis.name === name || axis.path === name);
  return place < 0 ? null : (row) => row.params[place];
}

function compares(value, sign, wanted) {
  if (value === null || value === undefined) return sign === "!=";
  const [left, right] = [Number(value), Number(wanted)];
  const numbers = typeof value === "number" && wanted !== "" && !Number.isNaN(right);
  if (sign === "~") return String(value).toLowerCase().includes(wanted.toLowerCase());
  if (sign === "=") return numbers ? left === right : String(value) === wanted;
  if (sign === "!=") return numbers ? left !== right : String(value) !== wanted;
  if (!numbers) return false;
  return { "<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right }[sign];
}

export class Table {
  constructor(search, { open, counted }) {
    Object.assign(this, { search, open, counted });
    this.sorting = { by: "value", up: search.goal === "minimize" };
    this.hidden = new Set();
    this.chosen = null;
    this.text = "";
    this.head = el("thead");
    this.body = el("tbody");
    this.place = el(
      "div.scroll.trials",
      { tabindex: "0", role: "region", "aria-label": "all trials" },
      el("table", {}, this.head, this.body),
    );
    this.place.addEventListener("scroll", () => this.show());
    this.update();
  }

  columns() {
    const { search } = this;
    const running = search.running;
    const columns = [
      { name: "trial", value: (row) => row.number, number: true },
      {
        name: "outcome",
        value: (row) => wordOf(row.outcome, running.has(row.number)),
        cell: (row) => outcomeCell(row, running, search),
      },
      { name: search.metric, key: "value", value: (row) => row.value, cell: (row) => number(row.value), number: true },
      { name: search.unit, key: "step", value: (row) => row.step, cell: (row) => number(row.step), number: true },
      { name: "time", value: (row) => row.seconds, cell: (row) => duration(row.seconds), number: true },
    ];
    search.axes.forEach((axis, place) => {
      columns.push({
        name: axis.name,
        key: `param ${place}`,
        title: axis.path,
        value: (row) => row.params[place] ?? null,
        cell: (row) => (row.params[place] === null || row.params[place] === undefined ? "" : number(row.params[place])),
        number: !axis.options,
      });
    });
    const notes = (row) => (row.notes.length ? row.notes.map(([, text]) => text).join(" · ") : null);
    if (search.list.some((row) => row.notes.length))
      columns.push({ name: "notes", value: notes, cell: (row) => notes(row) ?? "" });
    if (search.list.some((row) => row.reason))
      columns.push({ name: "reason", value: (row) => row.reason, cell: (row) => row.reason ?? "" });
    return columns;
  }

  /** Sort and filter anew, as the rows have changed or somebody asks for others. */
  update() {
    const { search } = this;
    this.shownColumns = this.columns();
    const tests = asked(this.text, search.axes, search.metric);
    const running = search.running;
    const texts = (row) =>
      [
        wordOf(row.outcome, running.has(row.number)),
        `trial ${row.number}`,
        row.reason ?? "",
        ...row.params.map((value) => (value === null ? "" : String(value))),
      ]
        .join(" ")
        .toLowerCase();
    this.rows = search.list.filter(
      (row) =>
        !this.hidden.has(wordOf(row.outcome, running.has(row.number))) &&
        (!this.chosen || this.chosen.has(row.number)) &&
        tests.every((test) => test(row, texts)),
    );
    const column =
      this.shownColumns.find((each) => (each.key ?? each.name) === this.sorting.by) ?? this.shownColumns[0];
    this.rows.sort(order(column, this.sorting.up, search));
    this.counted(this.rows.length, search.rows.size);
    this.heading();
    this.show(true);
  }

  heading() {
    fill(
      this.head,
      el(
        "tr",
        {},
        this.shownColumns.map((column) => {
          const by = column.key ?? column.name;
          const sorted = this.sorting.by === by;
          const mark = sorted ? (this.sorting.up ? " ▲" : " ▼") : "";
          const sort = () => {
            this.sorting = { by, up: sorted ? !this.sorting.up : true };
            this.update();
          };
          return el(
            column.number ? "th.number" : "th",
            {
              title: column.title ?? column.name,
              tabindex: "0",
              role: "columnheader",
              "aria-sort": sorted ? (this.sorting.up ? "ascending" : "descending") : "none",
              onclick: sort,
              onkeydown: (event) => {
                if (event.key === "Enter" || event.key === " ") {
                  event.preventDefault();
                  sort();
                }
              },
            },
            `${column.name}${mark}`,
          );
        }),
      ),
    );
  }

  /** Put the rows that can be seen in place; the space of the others is kept. */
  show(anew = false) {
    const top = Math.max(0, Math.floor(this.place.scrollTop / ROW) - SPARE);
    const count = Math.ceil((this.place.clientHeight || 576) / ROW) + 2 * SPARE;
    const from = Math.min(top, Math.max(0, this.rows.length - count));
    if (!anew && from === this.from) return;
    this.from = from;
    const best = this.search.head.best?.number;
    const rows = this.rows.slice(from, from + count).map((row) =>
      el(
        row.number === best ? "tr.best" : "tr",
        { "data-trial": row.number, onclick: () => this.open(row.number) },
        this.shownColumns.map((column) =>
          el(
            column.number ? "td.number" : "td",
            { title: column.name === "reason" ? row.reason : undefined },
            column.cell ? column.cell(row) : String(column.value(row)),
          ),
        ),
      ),
    );
    const pad = (lines) => {
      if (lines <= 0) return null;
      const made = el("tr.pad", { "aria-hidden": "true" }, el("td", { colspan: this.shownColumns.length }));
      made.style.height = `${lines * ROW}px`;
      return made;
    };
    fill(this.body, pad(from), rows, pad(this.rows.length - from - rows.length));
  }
}

function outcomeCell(row, running, search) {
  const is = running.has(row.number);
  const kind = row.number === search.head.best?.number ? "best" : kindOf(row.outcome, is);
  const link = el(
    "a",
    { href: linkTo(search.name, row.number), onclick: (event) => event.stopPropagation() },
    wordOf(row.outcome, is),
  );
  return el("span", {}, el(`span.dot.${kind}`), link, row.lost ? ` (lost ${row.lost}×)` : "");
}

/** What is missing comes last, whichever way; of values those of complete trials come first: others are of another budget. */
function order(column, up, search) {
  const sign = up ? 1 : -1;
  return (a, b) => {
    if (column.key === "value") {
      const whole = (b.outcome === "complete") - (a.outcome === "complete");
      if (whole) return whole;
    }
    const [left, right] = [column.value(a), column.value(b)];
    if (left === null || left === undefined || right === null || right === undefined) {
      return (left === null || left === undefined) - (right === null || right === undefined) || a.number - b.number;
    }
    if (typeof left === "number" && typeof right === "number") return sign * (left - right) || a.number - b.number;
    return sign * String(left).localeCompare(String(right), undefined, { numeric: true }) || a.number - b.number;
  };
}
