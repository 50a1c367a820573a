// The page of one search: how far it is, its pictures, its trials, what is wrong with them, the confirmation.
import { Picture, curvesPlot, historyPlot } from "./charts.js";
import { card, confirmationCard, finding } from "./findings.js";
import { Glance } from "./glance.js";
import { Parallel } from "./parallel.js";
import { Search } from "./search.js";
import { slicesPlot } from "./slices.js";
import { Table } from "./table.js";
import { el, fill, get, kindOf, linkTo, many, overSwitch, sparingly, wordOf } from "./tools.js";

export class ExperimentPage {
  constructor(name, { others, link, control }) {
    Object.assign(this, { name, link });
    this.shares = [];
    this.pictures = [];
    this.again = new Map();
    this.search = new Search(name);
    this.glance = new Glance(this.search, { others, control });
  }

  async show(main) {
    await this.search.open();
    if (this.gone) return;
    this.build(main);
    performance.mark("hpsearch-shown");
    await this.search.readCurves();
    if (this.gone) return;
    this.search.addEventListener("head", () => this.glance.show());
    this.search.addEventListener(
      "rows",
      sparingly(() => this.rowsChanged(), 1000),
    );
    this.search.addEventListener(
      "curves",
      sparingly(() => this.curves.update(), 2000),
    );
    this.search.addEventListener(
      "confirmed",
      sparingly(() => this.readConfirmation(), 3000),
    );
    this.search.addEventListener("anew", () => location.reload());
    this.search.addEventListener("here", () => this.link(true));
    this.search.addEventListener("away", () => this.link(false));
    this.curves.update();
    this.search.follow();
    this.readExamination();
    this.readConfirmation();
  }

  leave() {
    this.gone = true;
    this.search.close();
    for (const picture of this.pictures) picture.remove();
    clearTimeout(this.later);
    for (const waiting of this.again.values()) clearTimeout(waiting);
  }

  /** Read once more what was told as it was before, when it may have changed: perhaps nothing else will ask for it. */
  readAgain(told, read) {
    clearTimeout(this.again.get(read));
    if (told.old_for) this.again.set(read, setTimeout(() => this[read](), 1000 * told.old_for + 200));
  }

  build(main) {
    this.health = card("Health", el("p.faint", {}, "Looking at the trainings …"));
    this.confirmation = el("div.wide");
    this.importance = el("div");
    fill(
      main,
      this.glance.places,
      el(
        "div.grid",
        {},
        this.historyCard(),
        this.curvesCard(),
        this.parallelCard(),
        this.slicesCard(),
        card("Importance", this.importance),
        this.health,
        this.confirmation,
      ),
      this.tableCard(),
    );
    this.glance.show();
    this.showImportance();
  }

  picture(place, make) {
    const open = (point) => {
      const trial = [point.customdata].flat()[0];
      if (Number.isInteger(trial)) location.hash = linkTo(this.name, trial);
    };
    const made = new Picture(place, make, { click: open });
    this.pictures.push(made);
    return made;
  }

  historyCard() {
    const place = el("div.plot");
    const said = el("p.faint.small");
    this.over = "trials";
    this.history = this.picture(place, () =>
      historyPlot([{ search: this.search }], { over: this.over, say: (text) => fill(said, text) }),
    );
    const made = card("Best so far", place, said);
    made.firstChild.append(
      overSwitch(this.over, (over) => {
        this.over = over;
        this.history.update();
      }),
    );
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
    this.parallel = new Parallel(place, this.search, {
      shares: () => this.shares,
      chosen: (trials) => {
        this.table.chosen = trials;
        this.table.update();
        this.chosen.hidden = !trials;
      },
    });
    this.pictures.push(this.parallel);
    const made = card(
      "Parallel coordinates",
      el(
        "p.faint.small",
        {},
        "Each line is a trial: the better, the darker; dotted ones were not trained to the end. Drag along an axis to keep the trials that pass there, also in the table below.",
      ),
      place,
    );
    made.classList.add("wide");
    return made;
  }

  slicesCard() {
    const place = el("div.plot.tall");
    const said = el("p.faint.small");
    this.slices = this.picture(place, () => {
      const made = slicesPlot(this.search, this.shares);
      const left = this.search.axes.length - made.axes;
      fill(
        said,
        [
          made.empty ? "" : "Complete trials; the later, the darker; a ring around the best.",
          made.shown < made.all ? `${made.shown} of ${made.all} are drawn.` : "",
          left > 0 && made.axes >= 9 ? `${many(left, "parameter")} are not drawn.` : "",
        ]
          .filter(Boolean)
          .join(" "),
      );
      return made;
    });
    const made = card("Slices", said, place);
    made.classList.add("wide");
    return made;
  }

  tableCard() {
    const counted = el("span.faint.small");
    this.table = new Table(this.search, {
      open: (trial) => {
        location.hash = linkTo(this.name, trial);
      },
      counted: (shown, all) => fill(counted, shown === all ? many(all, "trial") : `${shown} of ${many(all, "trial")}`),
    });
    const find = el("input", {
      type: "search",
      placeholder: "Filter: width=256 learning_rate<0.01 nan",
      "aria-label": "Filter the trials",
      oninput: sparingly(() => {
        this.table.text = find.value;
        this.table.update();
      }, 150),
    });
    this.chips = el("span.tools");
    this.chosen = el(
      "button",
      {
        type: "button",
        hidden: true,
        onclick: () => {
          this.parallel.brushes.clear();
          this.parallel.draw();
          this.table.chosen = null;
          this.table.update();
          this.chosen.hidden = true;
        },
      },
      "all lines again",
    );
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
    fill(
      this.chips,
      [...counts].map(([word, [count, kind]]) =>
        el(
          "button.chip",
          {
            type: "button",
            "aria-pressed": String(!this.table.hidden.has(word)),
            title: `show or hide: ${word}`,
            onclick: () => {
              if (!this.table.hidden.delete(word)) this.table.hidden.add(word);
              this.table.update();
              this.showChips();
            },
          },
          el(`span.dot.${kind}`),
          `${count} ${word}`,
        ),
      ),
    );
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

  showImportance() {
    if (!this.shares.length) {
      fill(
        this.importance,
        el("p.empty", {}, "Known from ten complete trials on, if anything tells good ones from the rest."),
      );
      return;
    }
    fill(
      this.importance,
      el(
        "div.bars",
        {},
        this.shares.slice(0, 15).flatMap(([name, share, path]) => {
          const rail = el("span");
          rail.style.width = `${(100 * share) / this.shares[0][1]}%`;
          return [
            el("span.name", { title: path }, name),
            el("span.rail", {}, rail),
            el("span", {}, `${Math.round(100 * share)} %`),
          ];
        }),
      ),
      el(
        "p.faint.small",
        {},
        "Each parameter's share in what tells the best tenth of the complete trials from the rest (PED-ANOVA).",
      ),
    );
  }

  async readExamination() {
    try {
      const told = await get("api/examination", { of: this.name });
      if (this.gone) return;
      this.readAgain(told, "readExamination");
      const changed = JSON.stringify(told.importance) !== JSON.stringify(this.shares);
      this.shares = told.importance;
      if (changed) {
        this.showImportance();
        this.slices.update();
        this.parallel.draw();
      }
      const shown = told.health.filter((each) => each.severity !== "note");
      fill(
        this.health,
        el("header", {}, el("h2", {}, "Health")),
        shown.map((each) => finding(each, this.name)),
        shown.length ? null : el("p.empty", {}, this.nothingFound()),
        told.warnings.map((text) => el("p.warnings.small", {}, text)),
      );
    } catch (error) {
      fill(this.health, el("header", {}, el("h2", {}, "Health")), el("p.error", {}, error.message));
    }
  }

  /** What to say without a finding: trials that ended badly have their reasons in the table. */
  nothingFound() {
    const bad = this.search.list.filter((row) => row.outcome !== null && kindOf(row.outcome, false) === "bad").length;
    const other = this.search.head.live ? " so far" : "";
    if (!bad) return `Nothing is wrong with the trainings${other}.`;
    return `${many(bad, "trial")} came to nothing: the table says why. Nothing else is wrong${other}.`;
  }

  async readConfirmation() {
    const told = await get("api/confirmation", { of: this.name }).catch((error) => ({ hidden: error.message }));
    if (this.gone) return;
    this.readAgain(told, "readConfirmation");
    fill(this.confirmation, confirmationCard(told, this.name));
  }
}
