// The pages on which several searches are: the list of all, a study with its arms, two experiments side by side.
import { Picture, historyPlot } from "./charts.js";
import { confirmationCard } from "./findings.js";
import { Search } from "./search.js";
import { duration, el, fill, get, here, number, overSwitch, titled } from "./tools.js";

const INKS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b949e"];
const AGAIN = 5000;

const AT_A_GLANCE = 50;

export class HomePage {
  constructor({ others }) {
    this.others = others;
  }

  async show(main) {
    document.title = "hpsearch";
    const cells = new Map();
    const rows = this.others().map((each) => {
      const more = [
        el("td", {}, each.live ? el("span.pill.live", {}, "running") : each.kind === "study" ? "study" : ""),
        el("td"),
        el("td"),
      ];
      cells.set(each.name, more);
      return el(
        "tr",
        {},
        el("td", {}, el("a", { href: here({ [each.kind]: each.name }) }, each.name)),
        more,
        el("td.faint", {}, each.changed ? new Date(each.changed * 1000).toLocaleString() : ""),
      );
    });
    const heads = ["name", "state", "trials", "best", "changed"].map((name) => el("th", {}, name));
    fill(
      main,
      el("h1", {}, "Experiments"),
      el("div.scroll", {}, el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows))),
    );
    for (const each of this.others()
      .filter((other) => other.small)
      .slice(0, AT_A_GLANCE)) {
      if (this.gone) return;
      const told = await get("api/glance", { of: each.name }).catch((error) => ({ error: error.message }));
      const [state, trials, best] = cells.get(each.name);
      if (told.error) fill(state, el("span.error.small", {}, told.error));
      else {
        if (!each.live) fill(state, told.head.state);
        fill(trials, `${told.ended} of ${told.trials}`);
        fill(best, told.head.best ? `${told.metric} ${number(told.head.best.value)}` : "—");
      }
    }
  }

  leave() {
    this.gone = true;
  }
}

/** Several searches in one picture, with a switch for what it is drawn over. */
class Together {
  constructor(searches, names) {
    this.over = "trials";
    const place = el("div.plot");
    const said = el("p.faint.small");
    this.picture = new Picture(place, () =>
      historyPlot(
        searches.map((search, index) => ({ search, name: names[index], ink: INKS[index % INKS.length] })),
        { over: this.over, say: (text) => fill(said, text) },
      ),
    );
    this.place = el(
      "section.card",
      {},
      el(
        "header",
        {},
        el("h2", {}, "Best so far"),
        overSwitch(this.over, (over) => {
          this.over = over;
          this.picture.update();
        }),
      ),
      place,
      said,
    );
  }
}

async function opened(names, link, changed) {
  const searches = [];
  for (const name of names) {
    const search = new Search(name);
    await search.open();
    search.addEventListener("rows", changed);
    search.addEventListener("anew", () => location.reload());
    search.addEventListener("here", () => link(true));
    search.addEventListener("away", () => link(false));
    search.follow({ stream: false });
    searches.push(search);
  }
  return searches;
}

export class StudyPage {
  constructor(name, { link }) {
    Object.assign(this, { name, link });
    this.searches = [];
  }

  async show(main) {
    document.title = `${this.name} · hpsearch`;
    this.table = el("div");
    this.said = el("div");
    this.pictures = el("div");
    fill(main, el("h1", {}, this.name), this.said, this.table, this.pictures);
    await this.read();
    const begun = this.told.arms.filter((arm) => arm.begun).map((arm) => `${this.name}/${arm.name}`);
    this.searches = await opened(begun.slice(0, 6), this.link, () => this.together?.picture.update());
    if (this.gone) return this.leave();
    if (this.searches.length) {
      this.together = new Together(
        this.searches,
        begun.map((name) => name.slice(this.name.length + 1)),
      );
      fill(
        this.pictures,
        this.together.place,
        begun.length > 6 ? el("p.faint.small", {}, `The first 6 of ${begun.length} arms.`) : null,
      );
      this.pictures.style.marginTop = "1rem";
    }
  }

  leave() {
    this.gone = true;
    clearTimeout(this.later);
    for (const search of this.searches) search.close();
    this.together?.picture.remove();
  }

  async read() {
    const told = await get("api/study", { of: this.name });
    if (this.gone) return;
    this.told = told;
    fill(
      this.said,
      el("p", {}, told.question),
      told.answer === null
        ? el("p.faint", {}, `The arms' ${told.metric} is shown with the result.`)
        : el("p", {}, el("strong", {}, told.answer)),
    );
    const inks = new Map(
      told.arms.filter((arm) => arm.begun).map((arm, place) => [arm.name, INKS[place % INKS.length]]),
    );
    const titles = [
      "arm",
      "state",
      "trials",
      "best objective",
      "replicates",
      ...(told.answer === null ? [] : [`mean ${told.metric}`]),
      "time",
    ];
    const rows = told.arms.map((arm) => {
      const key = el("span.key");
      key.style.background = inks.get(arm.name) ?? "transparent";
      const name = arm.begun ? el("a", { href: here({ experiment: `${this.name}/${arm.name}` }) }, arm.name) : arm.name;
      const cells = [
        el("span", {}, key, name),
        arm.state,
        arm.begun ? `${arm.trials} of ${arm.begun}` : "",
        arm.begun ? number(arm.best) : "",
        arm.replicates || "",
        ...(told.answer === null ? [] : [number(arm.mean)]),
        arm.seconds === null ? "" : duration(arm.seconds),
      ];
      return el(
        "tr",
        {},
        cells.map((cell) => el("td", {}, cell)),
      );
    });
    fill(
      this.table,
      el(
        "div.scroll",
        {},
        el(
          "table",
          {},
          titled(titles),
          el("tbody", {}, rows),
        ),
      ),
    );
    if (told.answer === null) this.later = setTimeout(() => this.read().catch(() => this.link(false)), AGAIN);
  }
}

export class ComparePage {
  constructor(names, { link }) {
    Object.assign(this, { names, link });
    this.searches = [];
  }

  async show(main) {
    document.title = `${this.names.join(" and ")} · hpsearch`;
    this.searches = await opened(this.names, this.link, () => {
      this.together?.picture.update();
      this.settings();
    });
    if (this.gone) return this.leave();
    this.together = new Together(this.searches, this.names);
    this.table = el("section.card");
    const sides = el("div.sides");
    fill(
      main,
      el("h1", {}, this.names.join(" and ")),
      el("p.faint", {}, "What was found is shown; `hpsearch compare` tests whether two experiments differ."),
      this.together.place,
      this.table,
      sides,
    );
    this.table.style.margin = "1rem 0";
    this.settings();
    const told = await Promise.all(
      this.searches.map((search) =>
        get("api/confirmation", { of: search.name }).catch((error) => ({ hidden: error.message })),
      ),
    );
    if (!this.gone)
      fill(
        sides,
        told.map((each, place) =>
          el(
            "div",
            {},
            el("p", {}, this.key(place), this.names[place]),
            confirmationCard(each, this.names[place]) ?? el("p.faint", {}, "not confirmed"),
          ),
        ),
      );
  }

  key(place) {
    const made = el("span.key");
    made.style.background = INKS[place];
    return made;
  }

  /** What both have, line by line; parameters of the best ones that differ are set in bold. */
  settings() {
    if (!this.table) return;
    const best = this.searches.map((search) => search.rows.get(search.head.best?.number));
    const facts = [
      ["state", (search) => search.head.state],
      ["metric", (search) => `${search.metric}, ${search.goal}`],
      ["trials", (search) => `${search.list.filter((row) => row.outcome !== null).length} of ${search.rows.size}`],
      ["complete", (search) => search.complete.length],
      ["time", (search) => duration(search.head.elapsed)],
      ["best", (search, place) => (best[place] ? `${number(best[place].value)} (trial ${best[place].number})` : "—")],
    ];
    const lines = facts.map(([name, read]) => [
      name,
      this.searches.map((search, place) => String(read(search, place))),
    ]);
    const paths = [...new Set(this.searches.flatMap((search) => search.axes.map((axis) => axis.path)))];
    for (const path of paths) {
      const value = (search, place) => {
        const index = search.axes.findIndex((axis) => axis.path === path);
        const found = index < 0 ? null : best[place]?.params[index];
        return found === null || found === undefined ? "—" : number(found);
      };
      lines.push([path, this.searches.map(value)]);
    }
    fill(
      this.table,
      el("h2", {}, "Side by side"),
      el(
        "div.scroll",
        {},
        el(
          "table.wrap",
          {},
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              el("th", {}, ""),
              this.names.map((name, place) =>
                el("th", {}, this.key(place), el("a", { href: here({ experiment: name }) }, name)),
              ),
            ),
          ),
          el(
            "tbody",
            {},
            lines.map(([name, values]) =>
              el(
                "tr",
                {},
                el("td.faint", {}, name),
                values.map((value) => el("td", {}, new Set(values).size > 1 ? el("strong", {}, value) : value)),
              ),
            ),
          ),
        ),
      ),
    );
  }

  leave() {
    this.gone = true;
    for (const search of this.searches) search.close();
    this.together?.picture.remove();
  }
}
