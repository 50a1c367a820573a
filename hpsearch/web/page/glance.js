// How far a search is: its state, the best, the trials that have ended, what runs now, the time left; and its orders.
import { Control, notes } from "./control.js";
import { duration, el, fill, here, kindOf, linkTo, many, number, roughly, wordOf } from "./tools.js";

export class Glance {
  constructor(search, { others, control }) {
    Object.assign(this, { search, others });
    this.name = search.name;
    this.title = el("div");
    this.notes = el("div");
    this.facts = el("dl.facts");
    this.workers = el("div");
    this.ordered = "";
    this.orders = control
      ? new Control(search.name, (text) => {
          this.ordered = text;
          this.showNotes();
        })
      : null;
  }

  get places() {
    return [this.title, this.notes, this.facts, this.workers];
  }

  show() {
    const { search } = this;
    const { head } = search;
    const bad = !head.live && ["failed", "killed"].includes(head.state);
    const kind = head.live ? "live" : bad ? "bad" : "ended";
    document.title = `${this.name} · hpsearch`;
    const others = this.others().filter((each) => each.kind === "experiment" && each.name !== this.name);
    const compare = others.length
      ? el(
          "select",
          {
            "aria-label": "Compare with another experiment",
            onchange: (event) => {
              location.hash = here({ compare: this.name, with: event.target.value });
            },
          },
          el("option", { value: "", selected: true }, "Compare with …"),
          others.slice(0, 200).map((each) => el("option", { value: each.name }, each.name)),
        )
      : null;
    if (!this.titled) {
      this.state = el("span.pill");
      fill(
        this.title,
        el("div.tools", {}, el("h1", {}, this.name), this.state, compare, (this.steering = el("span.orders"))),
        el("p.faint", {}, `${search.metric}, ${search.goal}`),
      );
      this.titled = true;
    }
    this.state.className = `pill ${head.paused ? "paused" : kind}`;
    fill(this.state, head.paused ? "paused" : head.live && head.confirming ? "confirming" : head.state);
    this.showOrders();
    this.showNotes();
    this.showFacts();
    this.showWorkers();
  }

  /** The buttons of orders; made anew only when others are to be there, so that nobody's click is lost. */
  showOrders() {
    const { head } = this.search;
    const now = `${head.live} ${head.paused} ${this.search.axes.length}`;
    if (!this.orders || this.steered === now) return;
    this.steered = now;
    fill(
      this.steering,
      head.live ? [this.orders.pause(head.paused), this.orders.stopAll()] : null,
      this.orders.add(this.search),
      this.orders.budget(this.search),
      this.orders.note(),
    );
  }

  showNotes() {
    const { head } = this.search;
    if (!head.waiting) this.ordered = this.ordered.startsWith("The order waits") ? "" : this.ordered;
    fill(
      this.notes,
      head.alarm && head.live ? el("p.error", {}, head.alarm) : null,
      this.ordered ? el("p.faint", {}, this.ordered) : null,
      this.orders
        ? head.refused.map(([, kind, reason]) => el("p.error.small", {}, `the order to ${kind} was refused: ${reason}`))
        : null,
      notes(head.notes),
    );
  }

  showFacts() {
    const { head, rows, metric } = this.search;
    const trials = [...rows.values()];
    const ended = trials.filter((row) => row.outcome !== null);
    const goal = head.trials;
    const best = head.best;
    const fact = (title, value, ...more) =>
      el(
        "div.fact",
        {},
        el("dt", {}, title),
        el("dd", {}, value, ...more.filter(Boolean).map((each) => el("small", {}, each))),
      );
    const parts = ["complete", "pruned", "bad"].map((kind) => [
      kind,
      ended.filter((row) => kindOf(row.outcome, false) === kind).length,
    ]);
    const track = el(
      "div.track",
      { role: "img", "aria-label": `${ended.length} of ${goal} trials have ended` },
      parts.map(([kind, count]) => {
        const part = el("span");
        part.style.width = `${goal ? (100 * count) / goal : 0}%`;
        part.style.background = `var(--${kind})`;
        return part;
      }),
    );
    const running = leader(this.search);
    fill(
      this.facts,
      fact(
        `best ${metric}`,
        best ? el("a", { href: linkTo(this.name, best.number) }, number(best.value)) : "—",
        best ? `trial ${best.number}, ${this.search.unit} ${best.step}${best.seeds}` : `no trial is complete${head.live ? " yet" : ""}`,
        running,
      ),
      fact(
        "trials",
        `${ended.length} of ${goal}`,
        track,
        Object.entries(head.counts)
          .map(([outcome, count]) => `${count} ${wordOf(outcome)}`)
          .join(", "),
      ),
      head.confirming ? fact("confirmation", `${head.finished} of ${head.goal_count}`, "replicates of the best") : null,
      fact("time", duration(head.elapsed), head.live ? "" : "of running"),
      head.paused
        ? fact("left", "paused", "hpsearch resume goes on")
        : head.live
          ? fact(
              "left",
              head.left === null ? "not known yet" : head.left <= 0 ? "ending" : `about ${roughly(head.left)}`,
              head.left === null ? "until a training has come far enough" : "by what trainings have taken",
            )
          : null,
    );
  }

  showWorkers() {
    const { head, unit } = this.search;
    if (!head.live) {
      fill(this.workers);
      return;
    }
    const idle = head.workers ? Math.max(0, head.workers - head.running.length) : 0;
    fill(
      this.workers,
      el(
        "h2",
        {},
        head.paused
          ? "Paused: trainings rest at their next report or step"
          : head.workers
            ? `Workers: ${head.running.length} of ${head.workers} at work`
            : `At work: ${many(head.running.length, "training")}`,
      ),
      el(
        "div.workers",
        {},
        head.running.map((each) => {
          const at =
            each.step === null
              ? "begun"
              : `${unit} ${each.step}${each.length ? ` of ${each.length}` : ""}, ${number(each.value)}`;
          const track = el("div.track", {}, el("span"));
          track.firstChild.style.width = `${each.length ? Math.min(100, (100 * (each.step ?? 0)) / each.length) : 0}%`;
          track.firstChild.style.background = "var(--running)";
          const row = each.run.startsWith("trials/") ? this.search.rows.get(each.number) : null;
          const stop =
            this.orders && row
              ? row.stopping
                ? el("span.faint.small", {}, " ends soon")
                : el("span.stop", {}, this.stopButton(each.number))
              : null;
          return el(
            "div.worker",
            {},
            el(
              "div",
              {},
              el("span", {}, el("a", { href: here({ experiment: this.name, run: each.run }) }, each.title), `: ${at}`),
              stop,
            ),
            track,
            el("span.faint.small", {}, [duration(each.seconds), each.now].filter(Boolean).join(" · ")),
            each.silent ? el("p.error.small", {}, `no sign of life for ${duration(each.silent)}`) : null,
          );
        }),
        Array.from({ length: Math.min(idle, 16) }, () => el("div.worker.idle", {}, "idle")),
      ),
    );
  }

  /** The same button each time: the cards of the workers are made anew every second. */
  stopButton(trial) {
    this.stops ??= new Map();
    if (!this.stops.has(trial)) this.stops.set(trial, this.orders.stop(trial));
    return this.stops.get(trial);
  }
}

/** The running trial that is better than the best complete one, if there is one. */
function leader(search) {
  const best = search.head.best;
  const ahead = search.head.running.filter(
    (each) =>
      each.run.startsWith("trials/") && Number.isFinite(each.value) && (!best || search.better(each.value, best.value)),
  );
  if (!ahead.length) return "";
  const first = ahead.reduce((a, b) => (search.better(b.value, a.value) ? b : a));
  return `trial ${first.number} is at ${number(first.value)} now`;
}
