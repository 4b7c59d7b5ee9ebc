// The page: follows /api/stream and shows every variable, or the one that the address names.

import { Chart } from "./chart.js";
import { Series } from "./series.js";
import { ago, clock, si } from "./text.js";

const WINDOWS = [["1 min", "60"], ["10 min", "600"], ["1 h", "3600"], ["1 day", "86400"], ["all", "all"]];
const RETRY_MS = 2000;
const OLD_S = 5;
const SHORTEST_S = 10; // of a chart, however few points there are
const COLOURS = 7;
const WORDS = { running: "● running", stopping: "■ stopping", ended: "✓ ended", connecting: "connecting", lost: "✗ no connection",
  asking: "asks for a token" };

const at = (id) => document.getElementById(id);
const only = location.pathname.startsWith("/plot/") ? decodeURIComponent(location.pathname.slice("/plot/".length)) : null;

const session = { name: "", state: "", units: {}, parameters: {}, runs: [], alarms: {} };
const cards = new Map();
let span = remembered("window", "600");
let now = 0;
let heard = 0;
let source = null;

function remembered(key, otherwise = "") {
  try { return localStorage.getItem(`labnb-${key}`) ?? otherwise; } catch { return otherwise; }
}

function remember(key, value) {
  try { localStorage.setItem(`labnb-${key}`, value); } catch { /* a browser that keeps nothing asks again */ }
}

function element(kind, className, text = "") {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Take the token out of the address, so that it is in no history, bookmark or picture of the screen. */
function takeToken() {
  const query = new URLSearchParams(location.search);
  if (!query.has("token")) return;
  remember("token", query.get("token"));
  query.delete("token");
  history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
}

const serverNow = () => now + (performance.now() - heard) / 1000;
const since = () => (span === "all" ? -Infinity : serverNow() - Number(span));

/** Where all charts begin: as far back as wanted, but not before there was anything to see. */
function begin() {
  const back = since();
  const firsts = [...cards.values()].map(({ series }) => series.t.find((t) => t >= back) ?? Infinity);
  return Math.max(back, Math.min(serverNow() - SHORTEST_S, ...firsts));
}

class Card {
  constructor(name, index) {
    this.name = name;
    this.series = new Series();
    this.point = null;
    this.drawnUnit = "";
    this.box = element("article", "card");
    const head = element("div", "head");
    const title = element("h2", "");
    const link = element("a", "", name);
    link.href = `/plot/${encodeURIComponent(name)}`;
    title.append(only === null ? link : name);
    title.title = name;
    this.when = element("span", "when");
    head.append(title, this.when);
    const reading = element("div", "reading");
    this.value = element("div", "value", "–");
    this.axisUnit = element("div", "axis-unit");
    reading.append(this.value, this.axisUnit);
    const chart = element("div", "chart");
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", `${name} over time`);
    this.box.append(head, reading, chart);
    this.statistics = only === null ? null : element("div", "statistics");
    if (this.statistics) this.box.append(this.statistics);
    at("cards").append(this.box);
    this.chart = new Chart(chart, {
      stroke: `--s${index % COLOURS}`, zoom: only !== null,
      onUnit: (text) => { this.drawnUnit = text; },
      onPoint: (place) => { this.point = place; this.showValue(); },
    });
  }

  get unit() { return session.units[this.name] ?? ""; }

  show(low, high) {
    this.chart.update(this.series.drawn(), low, high, this.unit);
    this.showValue();
    if (this.statistics) this.showStatistics();
  }

  showValue() {
    const { t, v, last } = this.series;
    if (last === null) return;
    const pointed = this.point !== null && this.point < t.length;
    const [ts, value] = pointed ? [t[this.point], v[this.point]] : last;
    const [text, unit] = si(value, this.unit, 5);
    this.value.replaceChildren(text);
    if (unit) this.value.append(" ", element("span", "unit", unit));
    this.axisUnit.textContent = this.drawnUnit && this.drawnUnit !== unit ? `axis in ${this.drawnUnit}` : "";
    const age = serverNow() - ts;
    this.when.textContent = pointed || age < OLD_S ? clock(ts) : ago(age);
    this.when.classList.toggle("old", !pointed && age >= 60 && session.state === "running");
  }

  showStatistics() {
    const found = this.series.statistics(since());
    const entries = found === null ? [] : [["lowest", found.low], ["highest", found.high]];
    this.statistics.replaceChildren(...entries.map(([word, value]) => {
      const entry = element("span", "", word);
      entry.append(element("b", "", si(value, this.unit, 5).join(" ").trim()));
      return entry;
    }));
  }
}

function take(message) {
  now = message.now;
  heard = performance.now();
  for (const key of Object.keys(session)) if (key in message) session[key] = message[key];
  for (const { name, t, v } of message.variables) {
    if (only !== null && name !== only) continue;
    if (!cards.has(name)) cards.set(name, new Card(name, cards.size));
    cards.get(name).series.extend(t, v);
  }
}

function showCards() {
  for (const card of cards.values()) card.series.forget(since());
  const lasts = [...cards.values()].map(({ series }) => series.t[series.t.length - 1] ?? 0);
  const [low, high] = [begin(), span === "all" ? Math.max(...lasts) : serverNow()];
  for (const card of cards.values()) card.show(low, high);
  tell(cards.size ? "" : only === null ? "Nothing has been logged yet; values appear here as they come."
    : `Nothing has been logged as “${only}” yet; it appears here when it comes.`);
}

function showState(state) {
  at("state").className = `pill ${state}`;
  at("state").textContent = WORDS[state] ?? state;
  at("name").textContent = session.name || "labnb";
  document.title = [only, session.name || "labnb", state].filter(Boolean).join(" · ");
}

function showAbout() {
  const parameters = Object.entries(session.parameters).sort(([a], [b]) => a.localeCompare(b));
  at("parameters").hidden = parameters.length === 0;
  at("parameters").querySelector("dl").replaceChildren(...parameters.flatMap(([name, value]) => {
    const shown = `${value ?? "NaN"} ${session.units[name] ?? ""}`.trim().replace("-", "−");
    return [element("dt", "", name), element("dd", "", shown)];
  }));
  at("runs").hidden = session.runs.length === 0;
  at("runs").querySelector("ul").replaceChildren(...session.runs.map((run) => {
    const item = element("li", "");
    const opening = remembered("token") ? ', storage_options={"client_kwargs": {"headers": {"Authorization": "Bearer <token>"}}}' : "";
    item.append(element("code", "", `xr.open_zarr("${location.origin}/api/runs/${encodeURIComponent(run)}.zarr"${opening})`));
    return item;
  }));
  at("about").hidden = only !== null || (parameters.length === 0 && session.runs.length === 0);
}

/** Say which limits are exceeded; a text that stays is left alone, so that it is read out once. */
function showAlarms() {
  const alarms = Object.entries(session.alarms).flatMap(([name, texts]) => texts.map((text) => [text, name])).sort();
  const texts = alarms.map(([text, name]) => `Alarm: ${text} ${session.units[name] ?? ""}`.trim());
  const box = at("alarms");
  if (texts.join("\n") !== [...box.children].map((each) => each.textContent).join("\n")) {
    box.replaceChildren(...alarms.map(([, name], index) => {
      const link = element("a", "", texts[index]);
      link.href = `/plot/${encodeURIComponent(name)}`;
      const line = element("p", "");
      line.append(link);
      return line;
    }));
  }
  for (const [name, card] of cards) card.box.classList.toggle("alarm", name in session.alarms);
}

function tell(text) {
  at("message").textContent = text;
  at("message").hidden = !text;
}

function follow() {
  source?.close();
  const query = new URLSearchParams({ window: span });
  if (remembered("token")) query.set("token", remembered("token"));
  source = new EventSource(`/api/stream?${query}`);
  source.addEventListener("snapshot", ({ data }) => {
    for (const card of cards.values()) card.series = new Series();
    Object.assign(session, { units: {}, parameters: {}, runs: [], alarms: {} });
    at("ask").hidden = true;
    at("windows").hidden = false;
    arrived(JSON.parse(data), true);
  });
  source.addEventListener("change", ({ data }) => {
    const message = JSON.parse(data);
    arrived(message, "parameters" in message || "runs" in message || "units" in message);
  });
  source.addEventListener("end", () => { session.state = "ended"; lost(); });
  source.onerror = lost;
}

function arrived(message, about) {
  take(message);
  showState(session.state);
  if (about) showAbout();
  showCards();
  showAlarms();
}

/** The stream broke: say so, find out whether a token is wanted, try again. */
async function lost() {
  source.close();
  showState(session.state === "ended" ? "ended" : "lost");
  const token = remembered("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch("/api/server_current_ts", { headers }).catch(() => null);
  if (answer?.status === 401) return ask(Boolean(token));
  setTimeout(follow, RETRY_MS);
}

function ask(again) {
  showState("asking");
  at("ask").hidden = false;
  at("wrong").hidden = !again;
  at("windows").hidden = true;
  tell("");
  at("token").focus();
}

function prepare() {
  document.body.classList.toggle("single", only !== null);
  at("back").hidden = only === null;
  for (const [word, value] of WINDOWS) {
    const button = element("button", "", word);
    button.type = "button";
    button.setAttribute("aria-pressed", String(value === span));
    button.addEventListener("click", () => {
      span = value;
      remember("window", value);
      for (const other of at("windows").children) other.setAttribute("aria-pressed", String(other === button));
      follow();
    });
    at("windows").append(button);
  }
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    remember("token", at("token").value.trim());
    follow();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const card of cards.values()) card.chart.draw(); });
  setInterval(() => { for (const card of cards.values()) card.showValue(); }, 1000);
}

takeToken();
prepare();
follow();
