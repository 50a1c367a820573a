// Small things that every part of the page uses: elements, requests, numbers and times as people read them.

/** Make an element. Texts become text nodes, so that nothing in them is markup; `on…` of the attributes are listeners. */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function fill(place, ...children) {
  place.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return place;
}

const token = location.pathname.split("/")[1];

export function address(path, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== null));
  return `${path}?${asked}`;
}

async function answered(response) {
  const content = await response.json().catch(() => ({ error: response.statusText }));
  if (!response.ok) throw new Error(content.error || response.statusText);
  return content;
}

export const get = async (path, query) => answered(await fetch(address(path, query)));

export const post = async (path, query, body) =>
  answered(
    await fetch(address(path, query), {
      method: "POST",
      headers: { "content-type": "application/json", "x-hpsearch-token": token },
      body: JSON.stringify(body),
    }),
  );

export const here = (parts) => `#${new URLSearchParams(parts)}`;

/** The address of a trial's own page; its folder is called so. */
export const linkTo = (experiment, trial) => here({ experiment, run: `trials/${String(trial).padStart(4, "0")}` });

/** A number with four digits that say something: 0.9134, 3.1e-4, 1.235e4. */
export function number(value) {
  if (value === null || value === undefined) return "—";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size > 0 && (size < 1e-3 || size >= 1e5)) {
    const [digits, power] = value.toExponential(3).split("e");
    return `${digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits}e${Number(power)}`;
  }
  return String(Number(value.toPrecision(4)));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 3570) return `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${String(minutes % 60).padStart(2, "0")} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time that is only roughly known. */
export function roughly(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : duration(seconds);
}

export const bytes = (count) =>
  count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;

export const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** Which colour an outcome has: one of complete, pruned, running, open and bad. */
export function kindOf(outcome, running) {
  if (outcome === null) return running ? "running" : "open";
  return outcome === "complete" || outcome === "pruned" ? outcome : outcome === "stopped" ? "pruned" : "bad";
}

export const wordOf = (outcome, running) =>
  outcome === null ? (running ? "running" : "unfinished") : outcome.replaceAll("_", " ");

/** Buttons of which one is pressed: over trials, or over time; `chosen` hears which. */
export function overSwitch(over, chosen) {
  const button = (name) =>
    el(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === over),
        onclick: (event) => {
          for (const each of event.currentTarget.parentElement.children)
            each.setAttribute("aria-pressed", String(each === event.currentTarget));
          chosen(name);
        },
      },
      `over ${name}`,
    );
  return el("span.switch", {}, button("trials"), button("time"));
}

/** The head of a table. */
export const titled = (titles) => el("thead", {}, el("tr", {}, titles.map((title) => el("th", {}, title))));

/** The largest of a list and of `least`, however long the list is: a call takes about 100,000 arguments. */
export const largest = (list, least = -Infinity) => list.reduce((a, b) => (b > a ? b : a), least);

export const smallest = (list, most = Infinity) => list.reduce((a, b) => (b < a ? b : a), most);

/** Call a function soon, and once for many requests; not more often than every `pause` milliseconds. */
export function sparingly(call, pause) {
  let waiting = 0;
  let last = -Infinity;
  return () => {
    if (waiting) return;
    waiting = setTimeout(
      () => {
        waiting = 0;
        last = performance.now();
        call();
      },
      Math.max(0, last + pause - performance.now()),
    );
  };
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
