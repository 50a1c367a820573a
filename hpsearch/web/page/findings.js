// What an examination found, and what a confirmation came to.
import { duration, el, here, linkTo, many, number, titled, wordOf } from "./tools.js";

export const card = (title, ...content) => el("section.card", {}, el("header", {}, el("h2", {}, title)), ...content);

export function finding(each, experiment) {
  const who = each.trials > 1 ? ` and ${each.trials - 1} other${each.trials > 2 ? "s" : ""}` : "";
  const where =
    each.trial === undefined
      ? null
      : el("span", {}, ", ", el("a", { href: linkTo(experiment, each.trial) }, `trial ${each.trial}`), who);
  return el(
    `div.finding.${each.severity}`,
    {},
    el("p", {}, el("strong", {}, each.kind), where, `: ${each.sentence}`),
    each.advice.length ? el("p.faint.small", {}, `try ${each.advice.join("; ")}`) : null,
  );
}

export function confirmationCard(told, experiment) {
  if (told.hidden) return card("Confirmation", el("p.faint", {}, told.hidden));
  if (!told.runs.length && !told.groups.length) return null;
  const mean = (score) =>
    score ? (score.sd === null ? number(score.mean) : `${number(score.mean)} ± ${number(score.sd)}`) : "—";
  const counted = (group) => {
    const most = Math.max(0, ...group.scores.filter(Boolean).map((score) => score.n));
    return most > 1 ? `${group.title}, ${most} runs` : group.title;
  };
  const summary = el(
    "div.scroll",
    {},
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", {}, ""),
          told.groups.map((group) => el("th", {}, counted(group))),
        ),
      ),
      el(
        "tbody",
        {},
        told.metrics.map((metric, place) =>
          el(
            "tr",
            {},
            el("td", {}, metric),
            told.groups.map((group) => el("td", {}, mean(group.scores[place]))),
          ),
        ),
      ),
    ),
  );
  const runs = el(
    "details",
    {},
    el("summary", {}, many(told.runs.length, "replicate")),
    el(
      "div.scroll",
      {},
      el(
        "table",
        {},
        titled(["run", "outcome", ...told.metrics, "time"]),
        el(
          "tbody",
          {},
          told.runs.map((run) =>
            el(
              "tr",
              {},
              el("td", {}, el("a", { href: here({ experiment, run: run.run }) }, run.title)),
              el(
                "td",
                {},
                wordOf(run.outcome, false),
                run.reason && run.outcome !== "complete" ? `: ${run.reason}` : "",
              ),
              run.scores.map((score) => el("td.number", {}, number(score))),
              el("td.number", {}, duration(run.seconds)),
            ),
          ),
        ),
      ),
    ),
  );
  return card(
    "Confirmation",
    el("p.faint.small", {}, "The best on fresh seeds or folds, scored on the test split: mean ± standard deviation."),
    summary,
    told.runs.length ? runs : null,
  );
}
