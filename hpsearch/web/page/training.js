// The page of one training: how it ended, its curves, its configuration, its output, its artifacts.
import { Picture, seriesPlot } from "./charts.js";
import { Control, notes } from "./control.js";
import { finding } from "./findings.js";
import { Search } from "./search.js";
import { address, bytes, duration, el, fill, get, kindOf, number, wordOf } from "./tools.js";

const AGAIN = 3000;

export class TrainingPage {
  constructor(name, run, { link, control }) {
    Object.assign(this, { name, run, link, control });
    this.pictures = new Map();
    this.orders = control
      ? new Control(name, (text) => {
          fill(this.ordered, text);
          this.soon();
        })
      : null;
  }

  async show(main) {
    this.main = main;
    await this.read();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.later);
    for (const picture of this.pictures.values()) picture.remove();
  }

  async read() {
    let told;
    try {
      told = await get("api/training", { of: this.name, run: this.run });
      this.link(true);
    } catch (error) {
      if (!this.told) throw error;
      this.link(false);
      this.later = setTimeout(() => this.read(), AGAIN);
      return;
    }
    if (this.gone) return;
    this.told = told;
    this.draw();
    if (told.outcome === null && told.live) this.later = setTimeout(() => this.read(), AGAIN);
  }

  draw() {
    const { told } = this;
    if (!this.built) this.build();
    document.title = `${told.title} · ${this.name}`;
    const kind = kindOf(told.outcome, told.live);
    this.state.className = `pill ${kind === "bad" ? "bad" : kind === "running" ? "live" : "ended"}`;
    fill(this.state, wordOf(told.outcome, told.live));
    fill(this.reason, told.reason ? (told.reason.includes("\n") ? el("pre", {}, told.reason) : told.reason) : null);
    const fact = (title, value, more) =>
      el("div.fact", {}, el("dt", {}, title), el("dd", {}, value, more ? el("small", {}, more) : null));
    fill(
      this.facts,
      fact(told.metric, number(told.value), told.step === null ? "" : `at ${told.unit} ${told.step}`),
      fact("time", duration(told.seconds)),
      fact("seed", told.seed),
    );
    this.drawSeries();
    fill(
      this.health,
      told.health.map((each) => finding(each, this.name)),
      told.health.length ? null : el("p.faint", {}, "Nothing is wrong with it."),
    );
    this.drawOrders();
    fill(this.params, rows(told.params));
    fill(this.config, rows(told.config));
    fill(
      this.changes,
      told.changes.map((each) =>
        el(
          "p.small",
          {},
          `${told.unit} ${each.step}: from ${each.donor}, ${each.params.map(([name, value]) => `${name} = ${value}`).join(", ")}`,
        ),
      ),
    );
    this.changes.parentElement.hidden = !told.changes.length;
    this.drawOutput();
    fill(
      this.artifacts,
      told.artifacts.map((file) => {
        const there = address("artifact", { of: this.name, run: this.run, name: file.name });
        const caption = el(
          "figcaption.small",
          {},
          el("a", { href: there, download: file.name }, file.name),
          ` ${bytes(file.bytes)}`,
        );
        return el(
          "figure",
          {},
          file.name.endsWith(".png") ? el("img", { src: there, alt: file.name, loading: "lazy" }) : null,
          caption,
        );
      }),
      told.artifacts.length ? null : el("p.faint", {}, "It has left none."),
    );
  }

  build() {
    const { told } = this;
    this.built = true;
    for (const name of ["state"]) this[name] = el("span.pill");
    for (const name of ["reason", "health", "changes", "artifacts", "output", "plots"]) this[name] = el("div");
    this.plots.className = "grid";
    this.artifacts.className = "artifacts";
    this.facts = el("dl.facts");
    this.params = el("tbody");
    this.config = el("tbody");
    const card = (title, ...content) => el("section.card", {}, el("h2", {}, title), ...content);
    const table = (body) => el("div.scroll", {}, el("table.wrap", {}, body));
    fill(
      this.main,
      el("div.tools", {}, el("h1", {}, told.title), this.state, (this.steering = el("span.orders"))),
      (this.ordered = el("p.faint")),
      (this.notes = el("div")),
      this.reason,
      this.facts,
      this.plots,
      el(
        "div.grid",
        {},
        card("Parameters", table(this.params)),
        card("Health", this.health),
        card("Copies of others", this.changes),
        el("section.card.wide", {}, el("h2", {}, "Output"), this.output),
        card("Artifacts", this.artifacts),
        card("Configuration", table(this.config)),
      ),
    );
    this.plots.style.marginBottom = "1rem";
  }

  soon() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.read(), 1500);
  }

  async drawOrders() {
    fill(this.notes, notes(this.told.notes));
    const now = `${this.told.outcome} ${this.told.live}`;
    if (!this.orders || this.steered === now || !this.run.startsWith("trials/")) return;
    this.steered = now;
    const trial = Number(this.run.slice("trials/".length));
    const search = await new Search(this.name).open();
    if (this.gone) return;
    fill(
      this.steering,
      this.told.outcome === null && this.told.live ? this.orders.stop(trial) : null,
      this.orders.add(search, search.rows.get(trial)),
      this.orders.note(trial),
    );
  }

  drawSeries() {
    const groups = new Map();
    for (const [name, values] of this.told.series) {
      if (name === "seconds" || values.every((value) => value === null)) continue;
      const last = name.split("/").at(-1);
      groups.set(last, [...(groups.get(last) ?? []), [name, values]]);
    }
    const own = this.told.metric.split("/").at(-1);
    const names = [...groups.keys()].sort((a, b) => (b === own) - (a === own));
    for (const name of names) {
      const made = () => {
        const members = this.told.series.filter(([each]) => each.split("/").at(-1) === name && each !== "seconds");
        const ringed =
          name === own && this.told.step !== null && this.told.value !== null
            ? [this.told.step, this.told.value]
            : null;
        return seriesPlot(this.told, members, ringed);
      };
      if (!this.pictures.has(name)) {
        const place = el("div.plot.low");
        this.plots.append(el("section.card", {}, el("h2", {}, name), place));
        this.pictures.set(name, new Picture(place, made));
      } else this.pictures.get(name).update();
    }
    this.plots.hidden = !groups.size;
  }

  drawOutput() {
    const { output } = this.told;
    if (!output.text) {
      fill(this.output, el("p.faint", {}, output.why || "It has printed nothing."));
      return;
    }
    const before = this.output.querySelector("pre");
    const atEnd = !before || before.scrollTop + before.clientHeight >= before.scrollHeight - 20;
    const kept = before?.scrollTop ?? 0;
    const text = el("pre", { tabindex: "0" }, output.text);
    fill(
      this.output,
      output.before
        ? el(
            "p.faint.small",
            {},
            `The last ${bytes(output.text.length)} of output.log; ${bytes(output.before)} are before it.`,
          )
        : null,
      text,
    );
    text.scrollTop = atEnd ? text.scrollHeight : kept;
  }
}

const rows = (pairs) => pairs.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", {}, value)));
