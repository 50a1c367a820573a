// Orders, where hpsearch was started with --control: buttons and the dialogs behind them.
import { el, fill, number, post } from "./tools.js";

/** Ask in a dialog; `send` gives the order, and what is refused is said in it. */
function dialog(title, content, send, { action = "Order" } = {}) {
  const said = el("p.error", { role: "alert" });
  const go = el("button", { type: "submit" }, action);
  const made = el(
    "dialog",
    { "aria-label": title },
    el(
      "form",
      {
        method: "dialog",
        onsubmit: async (event) => {
          event.preventDefault();
          go.disabled = true;
          try {
            await send();
            made.close();
          } catch (error) {
            fill(said, error.message);
          } finally {
            go.disabled = false;
          }
        },
      },
      el("h2", {}, title),
      content,
      said,
      el("div.tools", {}, go, el("button", { type: "button", onclick: () => made.close() }, "Cancel")),
    ),
  );
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

export class Control {
  constructor(experiment, told) {
    Object.assign(this, { experiment, told });
  }

  async order(order) {
    const answer = await post("api/orders", { of: this.experiment }, order);
    this.told(answer.obeyed ? "" : "The order waits until the search obeys it, within about a second.");
    return answer;
  }

  /** A button whose order needs no more words than its own. */
  button(text, order, { sure } = {}) {
    return el(
      "button",
      {
        type: "button",
        onclick: (event) => {
          event.stopPropagation();
          event.preventDefault();
          if (sure) dialog(text, el("p", {}, sure), () => this.order(order), { action: text });
          else this.order(order).catch((error) => this.told(error.message));
        },
      },
      text,
    );
  }

  stop(trial) {
    return this.button(
      "Stop",
      { order: "stop", trial },
      { sure: `Trial ${trial} ends at its next report or step, and keeps the value that it has by then.` },
    );
  }

  stopAll() {
    return this.button(
      "Stop the search",
      { order: "stop" },
      {
        sure: "Running trials write their checkpoints, and the search ends as after Ctrl-C. Run again, it goes on from there.",
      },
    );
  }

  pause(paused) {
    return paused ? this.button("Go on", { order: "resume" }) : this.button("Pause", { order: "pause" });
  }

  note(trial) {
    return el(
      "button",
      {
        type: "button",
        onclick: () => {
          const text = el("textarea", { rows: "4", required: true, "aria-label": "The note" });
          dialog(
            trial === undefined ? "A note" : `A note to trial ${trial}`,
            text,
            () => this.order({ order: "note", text: text.value, trial }),
            { action: "Pin" },
          );
        },
      },
      "Note",
    );
  }

  budget(search) {
    return el(
      "button",
      {
        type: "button",
        onclick: () => {
          const trials = el("input", { type: "number", min: "1", placeholder: String(search.head.budget) });
          const time = el("input", { placeholder: "90m, 2h, 1d" });
          dialog(
            "The budget of the whole search",
            [
              el("label", {}, "trials", trials),
              el("label", {}, "time", time),
              el("p.faint.small", {}, "What is left empty stays as it is."),
            ],
            () =>
              this.order({
                order: "budget",
                trials: trials.value ? Number(trials.value) : null,
                time: time.value || null,
              }),
            { action: "Change" },
          );
        },
      },
      "Budget",
    );
  }

  /** Ask for a configuration; it begins with the values of `row`, if there is one. */
  add(search, row) {
    return el(
      "button",
      {
        type: "button",
        onclick: () => {
          const fields = search.axes.map((axis, place) => {
            const value = row?.params[place] ?? "";
            const hint = axis.options ? "" : `${number(axis.low)} to ${number(axis.high)}${axis.log ? ", log" : ""}`;
            const input = axis.options
              ? el(
                  "select",
                  {},
                  el("option", { value: "" }, "the sampler's choice"),
                  axis.options.map((option) =>
                    el("option", { value: String(option), selected: String(option) === String(value) }, String(option)),
                  ),
                )
              : el("input", {
                  value: value === "" ? "" : String(value),
                  placeholder: hint,
                  inputmode: "decimal",
                  autocomplete: "off",
                });
            return [
              axis.path,
              input,
              el(
                "label",
                { title: axis.path },
                el("span", {}, axis.name, hint ? el("small.faint", {}, ` ${hint}`) : ""),
                input,
              ),
            ];
          });
          dialog(
            row ? `Try another one like trial ${row.number}` : "Try a configuration",
            [
              el(
                "p.faint.small",
                {},
                search.head.confirming
                  ? "The winner is being confirmed: it is tried when the search is run again, on top of the budget. What is left empty, the sampler fills in."
                  : "It is tried next, on top of the budget. What is left empty, the sampler fills in.",
              ),
              ...fields.map(([, , label]) => label),
            ],
            () =>
              this.order({
                order: "add",
                set: Object.fromEntries(
                  fields.filter(([, input]) => input.value !== "").map(([path, input]) => [path, input.value]),
                ),
              }),
            { action: "Try it" },
          );
        },
      },
      row ? "Try one like it" : "Try …",
    );
  }
}

/** Notes that people have pinned, the newest first. */
export function notes(list) {
  return list.length
    ? el(
        "div",
        {},
        [...list]
          .reverse()
          .map(([time, text]) =>
            el("p.note", {}, el("span.faint.small", {}, `${new Date(time * 1000).toLocaleString()} `), text),
          ),
      )
    : null;
}
