// The page of one search: how far it is, its pictures, its trials, what is wrong with them, the confirmation.
import { Picture, curvesPlot, historyPlot, slicesPlot } from "./charts.js";
import { Control, notes } from "./control.js";
import { Parallel } from "./parallel.js";
import { Search } from "./search.js";
import { Table } from "./table.js";
import { duration, el, fill, get, here, kindOf, linkTo, many, number, roughly, sparingly, wordOf } from "./tools.js";

const card = (title, ...content) => el("section.card", {}, el("header", {}, el("h2", {}, title)), ...content);

export class ExperimentPage {
  constructor(name, { others, link, control }) {
    Object.assign(this, { name, others, link, control });
    this.shares = [];
    this.pictures = [];
    this.search = new Search(name);
    this.orders = control ? new Control(name, (text) => { this.ordered = text; this.showNotes(); }) : null;
    this.ordered = "";
  }

  async show(main) {
    await this.search.open();
    this.build(main);
    performance.mark("hpsearch-shown");
    await this.search.readCurves();
    this.search.addEventListener("head", () => this.atAGlance());
    this.search.addEventListener("rows", sparingly(() => this.rowsChanged(), 1000));
    this.search.addEventListener("curves", sparingly(() => this.curves.update(), 2000));
    this.search.addEventListener("confirmed", sparingly(() => this.readConfirmation(), 3000));
    this.search.addEventListener("anew", () => location.reload());
    this.search.addEventListener("here", () => this.link(true));
    this.search.addEventListener("away", () => this.link(false));
    this.curves.update();
    if (!this.gone) this.search.follow();
    this.readExamination();
    this.readConfirmation();
  }

  leave() {
    this.gone = true;
    this.search.close();
    for (const picture of this.pictures) picture.remove();
    clearTimeout(this.later);
  }

  build(main) {
    const { search } = this;
    this.title = el("div");
    this.facts = el("dl.facts");
    this.workers = el("div");
    this.health = card("Health", el("p.faint", {}, "Looking at the trainings …"));
    this.confirmation = el("div.wide");
    this.importance = el("div");
    this.notes = el("div");
    fill(main, this.title, this.notes, this.facts, this.workers,
      el("div.grid", {}, this.historyCard(), this.curvesCard(), this.parallelCard(), this.slicesCard(), card("Importance", this.importance), this.health, this.confirmation),
      this.tableCard());
    this.atAGlance();
    this.showImportance();
  }

  picture(place, make) {
    const open = (point) => { const trial = [point.customdata].flat()[0]; if (Number.isInteger(trial)) location.hash = linkTo(this.name, trial); };
    const made = new Picture(place, make, { click: open });
    this.pictures.push(made);
    return made;
  }

  historyCard() {
    const place = el("div.plot");
    const said = el("p.faint.small");
    this.over = "trials";
    const choose = (over) => el("button", { type: "button", "aria-pressed": String(over === this.over), onclick: (event) => {
      this.over = over;
      for (const each of event.currentTarget.parentElement.children) each.setAttribute("aria-pressed", String(each === event.currentTarget));
      this.history.update();
    } }, `over ${over}`);
    this.history = this.picture(place, () => historyPlot([{ search: this.search }], { over: this.over, say: (text) => fill(said, text) }));
    const made = card("Best so far", place, said);
    made.firstChild.append(el("span.switch", {}, choose("trials"), choose("time")));
    return made;
  }

  curvesCard() {
    const place = el("div.plot");
    const said = el("p.faint.small");
    this.curves = this.picture(place, () => curvesPlot(this.search, { say: (text) => fill(said, text) }));
    return card("Learning curves", place, said);
  }

  parallelCard() {
    const place = el("div");
    this.parallel = new Parallel(place, this.search, { shares: () => this.shares, chosen: (trials) => { this.table.chosen = trials; this.table.update(); this.chosen.hidden = !trials; } });
    this.pictures.push(this.parallel);
    const made = card("Parallel coordinates", el("p.faint.small", {}, "Each line is a trial: the better, the darker; dotted ones were not trained to the end. Drag along an axis to keep the trials that pass there, also in the table below."), place);
    made.classList.add("wide");
    return made;
  }

  slicesCard() {
    const place = el("div.plot.tall");
    const said = el("p.faint.small");
    this.slices = this.picture(place, () => {
      const made = slicesPlot(this.search, this.shares);
      const left = this.search.axes.length - made.axes;
      fill(said, [made.all ? "Complete trials; the later, the darker; a ring around the best." : "No trial is complete yet.", made.shown < made.all ? `${made.shown} of ${made.all} are drawn.` : "", left > 0 && made.axes >= 9 ? `${many(left, "parameter")} are not drawn.` : ""].filter(Boolean).join(" "));
      return made;
    });
    const made = card("Slices", said, place);
    made.classList.add("wide");
    return made;
  }

  tableCard() {
    const counted = el("span.faint.small");
    this.table = new Table(this.search, { open: (trial) => { location.hash = linkTo(this.name, trial); }, counted: (shown, all) => fill(counted, shown === all ? many(all, "trial") : `${shown} of ${many(all, "trial")}`) });
    const find = el("input", { type: "search", placeholder: "Filter: width=256 learning_rate<0.01 nan", "aria-label": "Filter the trials", oninput: sparingly(() => { this.table.text = find.value; this.table.update(); }, 150) });
    this.chips = el("span.tools");
    this.chosen = el("button", { type: "button", hidden: true, onclick: () => { this.parallel.brushes.clear(); this.parallel.draw(); this.table.chosen = null; this.table.update(); this.chosen.hidden = true; } }, "all lines again");
    this.showChips();
    const made = card("Trials", el("div.tools", {}, find, this.chips, this.chosen, counted), this.table.place);
    made.id = "trials";
    made.style.marginTop = "1rem";
    return made;
  }

  showChips() {
    const running = this.search.running;
    const counts = new Map();
    for (const row of this.search.rows.values()) {
      const word = wordOf(row.outcome, running.has(row.number));
      counts.set(word, [(counts.get(word)?.[0] ?? 0) + 1, kindOf(row.outcome, running.has(row.number))]);
    }
    fill(this.chips, [...counts].map(([word, [count, kind]]) => el("button.chip", { type: "button", "aria-pressed": String(!this.table.hidden.has(word)), title: `show or hide: ${word}`, onclick: () => {
      if (!this.table.hidden.delete(word)) this.table.hidden.add(word);
      this.table.update();
      this.showChips();
    } }, el(`span.dot.${kind}`), `${count} ${word}`)));
  }

  rowsChanged() {
    this.table.update();
    this.showChips();
    this.history.update();
    this.curves.update();
    this.slices.update();
    if (!this.parallel.dragging) this.parallel.draw();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.readExamination(), 5000);
  }

  atAGlance() {
    const { search } = this;
    const { head } = search;
    const bad = !head.live && ["failed", "killed"].includes(head.state);
    const kind = head.live ? "live" : bad ? "bad" : "ended";
    document.title = `${this.name} · hpsearch`;
    const others = this.others().filter((each) => each.kind === "experiment" && each.name !== this.name);
    const compare = others.length ? el("select", { "aria-label": "Compare with another experiment", onchange: (event) => { location.hash = here({ compare: this.name, with: event.target.value }); } },
      el("option", { value: "", selected: true }, "Compare with …"), others.slice(0, 200).map((each) => el("option", { value: each.name }, each.name))) : null;
    if (!this.titled) {
      this.state = el("span.pill");
      fill(this.title, el("div.tools", {}, el("h1", {}, this.name), this.state, compare, this.steering = el("span.orders")), el("p.faint", {}, `${search.metric}, ${search.goal}`));
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
    fill(this.steering, head.live ? [this.orders.pause(head.paused), this.orders.stopAll()] : null, this.orders.add(this.search), this.orders.budget(this.search), this.orders.note());
  }

  showNotes() {
    const { head } = this.search;
    if (!head.waiting) this.ordered = this.ordered.startsWith("The order waits") ? "" : this.ordered;
    fill(this.notes, head.alarm && head.live ? el("p.error", {}, head.alarm) : null, this.ordered ? el("p.faint", {}, this.ordered) : null,
      this.orders ? head.refused.map(([, kind, reason]) => el("p.error.small", {}, `the order to ${kind} was refused: ${reason}`)) : null, notes(head.notes));
  }

  showFacts() {
    const { head, rows, metric } = this.search;
    const trials = [...rows.values()];
    const ended = trials.filter((row) => row.outcome !== null);
    const goal = head.confirming ? Math.max(trials.length, 0) : Math.max(head.goal_count, trials.length);
    const best = head.best;
    const fact = (title, value, ...more) => el("div.fact", {}, el("dt", {}, title), el("dd", {}, value, ...more.filter(Boolean).map((each) => el("small", {}, each))));
    const parts = ["complete", "pruned", "bad"].map((kind) => [kind, ended.filter((row) => kindOf(row.outcome, false) === kind).length]);
    const track = el("div.track", { role: "img", "aria-label": `${ended.length} of ${goal} trials have ended` }, parts.map(([kind, count]) => {
      const part = el("span");
      part.style.width = `${goal ? (100 * count) / goal : 0}%`;
      part.style.background = `var(--${kind})`;
      return part;
    }));
    const running = leader(this.search);
    fill(this.facts,
      fact(`best ${metric}`, best ? el("a", { href: linkTo(this.name, best.number) }, number(best.value)) : "—", best ? `trial ${best.number}, ${this.search.unit} ${best.step}` : "no trial is complete yet", running),
      fact("trials", `${ended.length} of ${goal}`, track, parts.filter(([, count]) => count).map(([kind, count]) => `${count} ${kind === "bad" ? "failed" : kind}`).join(", ")),
      head.confirming ? fact("confirmation", `${head.finished} of ${head.goal_count}`, "replicates of the best") : null,
      fact("time", duration(head.elapsed), head.live ? "" : "of running"),
      head.paused ? fact("left", "paused", "hpsearch resume goes on") : head.live ? fact("left", head.left === null ? "not known yet" : head.left <= 0 ? "ending" : `about ${roughly(head.left)}`, head.left === null ? "until a training has come far enough" : "by what trainings have taken") : null,
    );
  }

  showWorkers() {
    const { head, unit } = this.search;
    if (!head.live) {
      fill(this.workers);
      return;
    }
    const idle = head.workers ? Math.max(0, head.workers - head.running.length) : 0;
    fill(this.workers, el("h2", {}, head.paused ? "Paused: trainings rest at their next report or step" : head.workers ? `Workers: ${head.running.length} of ${head.workers} at work` : `At work: ${many(head.running.length, "training")}`), el("div.workers", {},
      head.running.map((each) => {
        const at = each.step === null ? "begun" : `${unit} ${each.step}${each.length ? ` of ${each.length}` : ""}, ${number(each.value)}`;
        const track = el("div.track", {}, el("span"));
        track.firstChild.style.width = `${each.length ? Math.min(100, (100 * (each.step ?? 0)) / each.length) : 0}%`;
        track.firstChild.style.background = "var(--running)";
        const row = each.run.startsWith("trials/") ? this.search.rows.get(each.number) : null;
        const stop = this.orders && row ? (row.stopping ? el("span.faint.small", {}, " ends soon") : el("span.stop", {}, this.stopButton(each.number))) : null;
        return el("div.worker", {}, el("div", {}, el("span", {}, el("a", { href: here({ experiment: this.name, run: each.run }) }, each.title), `: ${at}`), stop), track,
          el("span.faint.small", {}, [duration(each.seconds), each.now].filter(Boolean).join(" · ")),
          each.silent ? el("p.error.small", {}, `no sign of life for ${duration(each.silent)}`) : null);
      }),
      Array.from({ length: Math.min(idle, 16) }, () => el("div.worker.idle", {}, "idle")),
    ));
  }

  /** The same button each time: the cards of the workers are made anew every second. */
  stopButton(trial) {
    this.stops ??= new Map();
    if (!this.stops.has(trial)) this.stops.set(trial, this.orders.stop(trial));
    return this.stops.get(trial);
  }

  showImportance() {
    if (!this.shares.length) {
      fill(this.importance, el("p.empty", {}, "Known from ten complete trials on, if anything tells good ones from the rest."));
      return;
    }
    fill(this.importance, el("div.bars", {}, this.shares.slice(0, 15).flatMap(([name, share]) => {
      const rail = el("span");
      rail.style.width = `${(100 * share) / this.shares[0][1]}%`;
      return [el("span.name", { title: name }, name), el("span.rail", {}, rail), el("span", {}, `${Math.round(100 * share)} %`)];
    })), el("p.faint.small", {}, "Each parameter's share in what tells the best tenth of the complete trials from the rest (PED-ANOVA)."));
  }

  async readExamination() {
    try {
      const told = await get("api/examination", { of: this.name });
      if (this.gone) return;
      const changed = JSON.stringify(told.importance) !== JSON.stringify(this.shares);
      this.shares = told.importance;
      if (changed) {
        this.showImportance();
        this.slices.update();
        this.parallel.draw();
      }
      const shown = told.health.filter((each) => each.severity !== "note");
      fill(this.health, el("header", {}, el("h2", {}, "Health")), shown.map((each) => finding(each, this.name)), shown.length ? null : el("p.empty", {}, "Nothing is wrong with the trainings so far."),
        told.warnings.map((text) => el("p.warnings.small", {}, text)));
    } catch (error) {
      fill(this.health, el("header", {}, el("h2", {}, "Health")), el("p.error", {}, error.message));
    }
  }

  async readConfirmation() {
    const told = await get("api/confirmation", { of: this.name }).catch((error) => ({ hidden: error.message }));
    if (this.gone) return;
    fill(this.confirmation, confirmationCard(told, this.name));
  }
}

/** The running trial that is better than the best complete one, if there is one. */
function leader(search) {
  const best = search.head.best;
  const ahead = search.head.running.filter((each) => each.run.startsWith("trials/") && Number.isFinite(each.value) && (!best || search.better(each.value, best.value)));
  if (!ahead.length) return "";
  const first = ahead.reduce((a, b) => (search.better(b.value, a.value) ? b : a));
  return `trial ${first.number} is at ${number(first.value)} now`;
}

export function finding(each, experiment) {
  const who = each.trials > 1 ? ` and ${each.trials - 1} other${each.trials > 2 ? "s" : ""}` : "";
  const where = each.trial === undefined ? null : el("span", {}, ", ", el("a", { href: linkTo(experiment, each.trial) }, `trial ${each.trial}`), who);
  return el(`div.finding.${each.severity}`, {}, el("p", {}, el("strong", {}, each.kind), where, `: ${each.sentence}`), each.advice.length ? el("p.faint.small", {}, `try ${each.advice.join("; ")}`) : null);
}

export function confirmationCard(told, experiment) {
  if (told.hidden) return card("Confirmation", el("p.faint", {}, told.hidden));
  if (!told.runs.length && !told.groups.length) return null;
  const mean = (score) => (score ? (score.sd === null ? number(score.mean) : `${number(score.mean)} ± ${number(score.sd)}`) : "—");
  const counted = (group) => { const most = Math.max(0, ...group.scores.filter(Boolean).map((score) => score.n)); return most > 1 ? `${group.title}, ${most} runs` : group.title; };
  const summary = el("div.scroll", {}, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, ""), told.groups.map((group) => el("th", {}, counted(group))))),
    el("tbody", {}, told.metrics.map((metric, place) => el("tr", {}, el("td", {}, metric), told.groups.map((group) => el("td", {}, mean(group.scores[place]))))))));
  const runs = el("details", {}, el("summary", {}, many(told.runs.length, "replicate")), el("div.scroll", {}, el("table", {}, el("thead", {}, el("tr", {}, ["run", "outcome", ...told.metrics, "time"].map((name) => el("th", {}, name)))),
    el("tbody", {}, told.runs.map((run) => el("tr", {}, el("td", {}, el("a", { href: here({ experiment, run: run.run }) }, run.title)), el("td", {}, wordOf(run.outcome, false), run.reason && run.outcome !== "complete" ? `: ${run.reason}` : ""), run.scores.map((score) => el("td.number", {}, number(score))), el("td.number", {}, duration(run.seconds))))))));
  return card("Confirmation", el("p.faint.small", {}, "The best on fresh seeds or folds, scored on the test split: mean ± standard deviation."), summary, told.runs.length ? runs : null);
}
