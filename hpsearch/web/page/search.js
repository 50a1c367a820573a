// One experiment as the browser has it: all rows once, then only what has changed.
import { address, get, largest } from "./tools.js";

const ASK_EVERY = 3000;
const FIELDS = [
  "number",
  "outcome",
  "value",
  "step",
  "seconds",
  "begun",
  "ended",
  "after",
  "reason",
  "lost",
  "params",
  "notes",
  "stopping",
];

function rowOf(told) {
  const row = { curve: null };
  FIELDS.forEach((name, place) => {
    row[name] = told[place];
  });
  return row;
}

export class Search extends EventTarget {
  constructor(name) {
    super();
    this.name = name;
    this.rows = new Map();
    this.source = null;
    this.asking = 0;
    this.seen = null;
  }

  /** Read the whole search but for the learning curves, which are most of it: so that the page is drawn before. */
  async open() {
    const told = await get("api/experiment", { of: this.name });
    this.rows = new Map(told.rows.map((row) => [row[0], rowOf(row)]));
    Object.assign(this, { metric: told.metric, goal: told.goal, unit: told.unit, axes: told.axes, head: told.head });
    this.generation = told.generation;
    this.offset = told.offset;
    return this;
  }

  /** Read the learning curves as they are now: what `follow` tells from the offset on may be told twice. */
  async readCurves() {
    const told = await get("api/curves", { of: this.name });
    if (told.generation !== this.generation) return;
    for (const [trial, steps, values] of told.curves) {
      const row = this.rows.get(trial);
      if (row) row.curve = { steps, values };
    }
    this.say("curves");
  }

  /**
   * Hear what changes from now on. A stream takes one of the six connections that a browser gives to a server, so a page
   * with several searches asks now and then instead, and a page that nobody sees does neither.
   */
  follow({ stream = true } = {}) {
    this.streaming = stream;
    this.seen = () => (document.hidden ? this.rest() : this.listen());
    document.addEventListener("visibilitychange", this.seen);
    this.seen();
  }

  get place() {
    return { of: this.name, generation: this.generation, offset: this.offset };
  }

  listen() {
    this.rest();
    if (!this.streaming) {
      this.asking = setTimeout(() => this.ask(), ASK_EVERY);
      return;
    }
    this.source = new EventSource(address("api/stream", this.place));
    this.source.addEventListener("changes", (event) => this.apply(JSON.parse(event.data)));
    this.source.addEventListener("anew", () => {
      this.close();
      this.say("anew");
    });
    this.source.addEventListener("lost", () => {
      this.rest();
      this.say("away"); // a disk that does not answer for a moment, or a folder that has gone: it may come back
      this.asking = setTimeout(() => this.listen(), ASK_EVERY);
    });
    this.source.addEventListener("open", () => this.say("here"));
    this.source.addEventListener("error", () => {
      this.say("away");
      if (this.source?.readyState === EventSource.CLOSED) this.asking = setTimeout(() => this.listen(), ASK_EVERY);
    });
  }

  async ask() {
    const asked = this.asking;
    try {
      const told = await get("api/changes", this.place);
      if (asked !== this.asking) return;
      this.say("here");
      if (told.anew) this.say("anew");
      else this.apply(told);
    } catch {
      this.say("away");
    }
    if (asked === this.asking) this.listen();
  }

  rest() {
    clearTimeout(this.asking);
    this.asking = 0;
    this.source?.close();
    this.source = null;
  }

  close() {
    this.rest();
    document.removeEventListener("visibilitychange", this.seen);
  }

  apply(changes) {
    const before = this.head;
    const ran = [...this.running].join();
    this.head = changes.head;
    const others = before.live !== changes.head.live || ran !== [...this.running].join();
    this.offset = changes.offset;
    if (changes.axes) this.axes = changes.axes;
    for (const told of changes.rows) {
      const row = rowOf(told);
      row.curve = this.rows.get(row.number)?.curve ?? null;
      this.rows.set(row.number, row);
    }
    for (const trial of changes.gone) this.rows.delete(trial);
    for (const [trial, anew, steps, values] of changes.points) this.lengthen(trial, anew, steps, values);
    this.say("head");
    if (changes.rows.length || changes.gone.length || others) this.say("rows");
    if (changes.points.length) this.say("curves");
    if (changes.confirmed) this.say("confirmed");
  }

  lengthen(trial, anew, steps, values) {
    const row = this.rows.get(trial);
    if (!row) return;
    if (anew || !row.curve) row.curve = { steps: [], values: [] };
    steps.forEach((step, place) => {
      const known = row.curve.steps.at(-1) < step ? -1 : row.curve.steps.indexOf(step);
      if (known < 0) {
        row.curve.steps.push(step);
        row.curve.values.push(values[place]);
      } else row.curve.values[known] = values[place];
    });
  }

  say(what) {
    this.dispatchEvent(new Event(what));
  }

  get list() {
    return [...this.rows.values()];
  }

  get running() {
    return new Set(this.head.running.filter((each) => each.run.startsWith("trials/")).map((each) => each.number));
  }

  better(value, than) {
    return this.goal === "maximize" ? value > than : value < than;
  }

  get complete() {
    return this.list.filter((row) => row.outcome === "complete" && Number.isFinite(row.value));
  }

  /** Seconds of searching so far, without those of the confirmation. */
  get searched() {
    return largest(
      this.list.map((row) => row.after ?? 0),
      this.head.searched,
    );
  }
}
