// The pages on which several searches are: the list of all, a study with its arms, two experiments side by side.
import { Picture, historyPlot } from "./charts.js";
import { confirmationCard } from "./findings.js";
import { Search } from "./search.js";
import { duration, el, fill, get, here, number, overSwitch, titled } from "./tools.js";

const INKS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b949e"];
const AGAIN = 5000;

const AT_A_GLANCE = 50;
const MOST_ARMS = 6;

export class HomePage {
  constructor({ renew, link }) {
    Object.assign(this, { renew, link });
    this.glances = new Map();
    this.drawn = "";
  }

  async show(main) {
    document.title = "hpsearch";
    this.list = el("div");
    fill(main, el("h1", {}, "Experiments"), this.list);
    await this.read();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.later);
  }

  /** Read the list, and at a glance those that have changed since. */
  async read() {
    const all = document.hidden && this.drawn ? [] : await this.renew();
    if (this.gone) return;
    this.link(true);
    if (all.length || !this.drawn) this.draw(all);
    for (const each of all.filter((other) => other.small).slice(0, AT_A_GLANCE)) {
      const stand = `${each.changed} ${each.live}`;
      if (this.glances.get(each.name)?.stand === stand) continue;
      const told = await get("api/glance", { of: each.name }).catch((error) => ({ error: error.message }));
      if (this.gone) return;
      this.glances.set(each.name, { ...told, stand });
      this.draw(all);
    }
    this.later = setTimeout(() => this.again(), AGAIN);
  }

  again() {
    this.read().catch(() => {
      this.link(false);
      this.later = setTimeout(() => this.again(), AGAIN);
    });
  }

  /** The rows; only when they say something else than before, so that nobody's place in them is lost. */
  draw(all) {
    const lines = all.map((each) => [each, ...this.cells(each)]);
    const now = JSON.stringify(lines);
    if (now === this.drawn) return;
    this.drawn = now;
    if (!all.length) {
      fill(this.list, el("p.empty", {}, el("span", {}, "There is none here yet: ", el("code", {}, "hpsearch run"), " begins one.")));
      return;
    }
    const rows = lines.map(([each, state, trials, best, error]) =>
      el(
        "tr",
        {},
        el("td", {}, el("a", { href: here({ [each.kind]: each.name }) }, each.name)),
        el("td", {}, error ? el("span.error.small", {}, error) : state === "running" ? el("span.pill.live", {}, state) : state),
        el("td", {}, trials),
        el("td", {}, best),
        el("td.faint", {}, each.changed ? new Date(each.changed * 1000).toLocaleString() : ""),
      ),
    );
    fill(
      this.list,
      el("div.scroll", {}, el("table", {}, titled(["name", "state", "trials", "best", "changed"]), el("tbody", {}, rows))),
    );
  }

  /** State, trials, best and what is wrong with an experiment. */
  cells(each) {
    const told = this.glances.get(each.name);
    const running = each.live ? "running" : each.kind === "study" ? "study" : "";
    if (!told || told.error) return [running, "", "", told?.error ?? ""];
    const { head } = told;
    const best = head.best ? `${told.metric} ${number(head.best.value)}` : "—";
    return [each.live && head.paused ? "paused" : each.live ? running : head.state, `${told.ended} of ${head.trials}`, best, ""];
  }
}

/** Several searches in one picture, with a switch for what it is drawn over; `members` have a search, a name, an ink. */
class Together {
  constructor(members) {
    this.over = "trials";
    const place = el("div.plot");
    const said = el("p.faint.small");
    this.picture = new Picture(place, () =>
      historyPlot(members(), { over: this.over, say: (text) => fill(said, text) }),
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

async function opened(name, link, changed) {
  const search = new Search(name);
  await search.open();
  search.addEventListener("rows", changed);
  search.addEventListener("anew", () => location.reload());
  search.addEventListener("here", () => link(true));
  search.addEventListener("away", () => link(false));
  search.follow({ stream: false });
  return search;
}

export class StudyPage {
  constructor(name, { link }) {
    Object.assign(this, { name, link });
    this.searches = new Map();
  }

  async show(main) {
    document.title = `${this.name} · hpsearch`;
    this.table = el("div");
    this.said = el("div");
    this.pictures = el("div");
    this.pictures.style.marginTop = "1rem";
    fill(main, el("h1", {}, this.name), this.said, this.table, this.pictures);
    await this.read();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.later);
    for (const search of this.searches.values()) search.close();
    this.together?.picture.remove();
  }

  async read() {
    const told = await get("api/study", { of: this.name });
    if (this.gone) return;
    this.told = told;
    this.link(true);
    this.draw();
    await this.openArms();
    if (told.answer === null && !this.gone) this.later = setTimeout(() => this.again(), AGAIN);
  }

  again() {
    this.read().catch(() => {
      this.link(false);
      if (!this.gone) this.later = setTimeout(() => this.again(), AGAIN);
    });
  }

  /** The arms that are drawn, by their place in the plan: who begins first changes no colour. */
  get planned() {
    return this.told.arms.slice(0, MOST_ARMS).map((arm, place) => ({ ...arm, ink: INKS[place] }));
  }

  /** Follow the arms that have begun since. */
  async openArms() {
    for (const arm of this.planned.filter((each) => each.begun && !this.searches.has(each.name))) {
      const search = await opened(`${this.name}/${arm.name}`, this.link, () => this.together?.picture.update()).catch(
        () => null, // its own page says what is wrong with it
      );
      if (this.gone) return search?.close();
      if (search) this.searches.set(arm.name, search);
      this.together?.picture.update();
    }
    if (!this.searches.size || this.together) return;
    this.together = new Together(() =>
      this.planned
        .filter((arm) => this.searches.has(arm.name))
        .map((arm) => ({ search: this.searches.get(arm.name), name: arm.name, ink: arm.ink })),
    );
    const { length } = this.told.arms;
    fill(
      this.pictures,
      this.together.place,
      length > MOST_ARMS ? el("p.faint.small", {}, `The first ${MOST_ARMS} of ${length} arms.`) : null,
    );
  }

  draw() {
    const { told } = this;
    fill(
      this.said,
      el("p", {}, told.question),
      told.answer === null
        ? el("p.faint", {}, `The arms' ${told.metric} is shown with the result.`)
        : el("p", {}, el("strong", {}, told.answer)),
    );
    const inks = new Map(this.planned.filter((arm) => arm.begun).map((arm) => [arm.name, arm.ink]));
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
  }
}

export class ComparePage {
  constructor(names, { link }) {
    Object.assign(this, { names, link });
    this.searches = [];
  }

  async show(main) {
    document.title = `${this.names.join(" and ")} · hpsearch`;
    for (const name of this.names) {
      const search = await opened(name, this.link, () => {
        this.together?.picture.update();
        this.settings();
      });
      this.searches.push(search);
      if (this.gone) return this.leave();
    }
    const [first, second] = this.searches;
    const alike = first.metric === second.metric && first.goal === second.goal;
    if (alike)
      this.together = new Together(() =>
        this.searches.map((search, place) => ({ search, name: this.names[place], ink: INKS[place] })),
      );
    this.table = el("section.card");
    const sides = el("div.sides");
    fill(
      main,
      el("h1", {}, this.names.join(" and ")),
      el(
        "p.faint",
        {},
        "What was found is shown; ",
        el("code", {}, "hpsearch compare"),
        " tests whether two experiments differ.",
      ),
      alike
        ? this.together.place
        : el("p", {}, "Their objectives are not the same, so that they are not drawn in one picture."),
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
      ["trials", (search) => `${search.list.filter((row) => row.outcome !== null).length} of ${search.head.trials}`],
      ["complete", (search) => search.complete.length],
      ["time", (search) => duration(search.head.elapsed)],
      ["best", (search, place) => (best[place] ? `${number(best[place].value)} (trial ${best[place].number})` : "—")],
    ];
    const lines = facts.map(([name, read]) => [
      name,
      this.searches.map((search, place) => String(read(search, place))),
    ]);
    const names = new Map(this.searches.flatMap((search) => search.axes.map((axis) => [axis.path, axis.name])));
    const alike = new Set(names.values()).size === names.size;
    for (const [path, name] of names) {
      const value = (search, place) => {
        const index = search.axes.findIndex((axis) => axis.path === path);
        const found = index < 0 ? null : best[place]?.params[index];
        return found === null || found === undefined ? "—" : number(found);
      };
      lines.push([alike ? name : path, this.searches.map(value)]);
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
