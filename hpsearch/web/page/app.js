// Which page is shown: the part of the address behind `#` says so, so that each has an address of its own.
import { plotly } from "./charts.js";
import { ExperimentPage } from "./experiment.js";
import { ComparePage, HomePage, StudyPage } from "./several.js";
import { el, fill, get, here } from "./tools.js";
import { TrainingPage } from "./training.js";

const main = document.getElementById("main");
const trail = document.getElementById("trail");
const linked = document.getElementById("link");
let page = null;
let known = [];
let turn = 0;
let control = false;

const link = (there) => {
  linked.textContent = there ? "" : "not connected: is hpsearch still running?";
  linked.classList.toggle("away", !there);
};

/** Read which experiments there are, and return them: searches begin and end while somebody looks. */
async function renew() {
  known = (await get("api/experiments")).experiments;
  return known;
}

function wanted(asked, means) {
  if (asked.has("compare")) return new ComparePage([asked.get("compare"), asked.get("with")], means);
  if (asked.has("study")) return new StudyPage(asked.get("study"), means);
  if (asked.has("run")) return new TrainingPage(asked.get("experiment"), asked.get("run"), means);
  return asked.has("experiment") ? new ExperimentPage(asked.get("experiment"), means) : new HomePage(means);
}

function showTrail(asked) {
  const parts = [];
  const name = asked.get("experiment") ?? asked.get("study") ?? asked.get("compare");
  if (name) {
    const study = known.find((each) => each.kind === "study" && name.startsWith(`${each.name}/`));
    if (study) parts.push(el("a", { href: here({ study: study.name }) }, study.name));
    const shown = study ? name.slice(study.name.length + 1) : name;
    parts.push(asked.has("study") ? el("span", {}, shown) : el("a", { href: here({ experiment: name }) }, shown));
  }
  if (asked.has("with")) parts.push(el("a", { href: here({ experiment: asked.get("with") }) }, asked.get("with")));
  if (asked.has("run")) parts.push(el("span", {}, asked.get("run")));
  fill(
    trail,
    parts.flatMap((part) => [el("i", {}, "/"), part]),
  );
}

/** Show the page that the address says; `fresh` if the list of experiments was read just now. */
async function route(fresh = false) {
  const mine = ++turn;
  page?.leave();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  const asked = new URLSearchParams(location.hash.slice(1));
  link(true);
  scrollTo(0, 0);
  const place = el("div");
  fill(main, el("p.faint", {}, "Reading …"));
  try {
    if (!fresh) await renew();
    if (mine !== turn) return;
    showTrail(asked);
    page = wanted(asked, { others: () => known, renew, link, control });
    const shown = page.show(place);
    const early = new MutationObserver(() => {
      if (mine === turn) fill(main, place);
    });
    early.observe(place, { childList: true });
    await shown;
    early.disconnect();
    if (mine === turn && !place.isConnected) fill(main, place);
  } catch (error) {
    if (mine === turn)
      fill(main, el("p.error", {}, error.message), el("p", {}, el("a", { href: "#all" }, "All experiments")));
  }
}

async function start() {
  try {
    const [told] = await Promise.all([get("api/start"), renew()]);
    control = told.control;
    if (!location.hash && told.first) {
      const kind = known.find((each) => each.name === told.first)?.kind ?? "experiment";
      history.replaceState(null, "", here({ [kind]: told.first, ...(told.run ? { run: told.run } : {}) }));
    }
    addEventListener("hashchange", () => route());
    await route(true);
    plotly();
  } catch (error) {
    fill(main, el("p.error", {}, error.message));
  }
}

start();
