// How numbers, units and times are written for people: 1.204 mA, 14:03:59.

const PREFIXES = { "-24": "y", "-21": "z", "-18": "a", "-15": "f", "-12": "p", "-9": "n", "-6": "µ", "-3": "m", "0": "",
  "3": "k", "6": "M", "9": "G", "12": "T", "15": "P", "18": "E" };
const POWERS = { u: -6, "μ": -6 };
for (const [power, prefix] of Object.entries(PREFIXES)) if (prefix) POWERS[prefix] = Number(power);
// Units that people write with prefixes; others (%, dB, °C, min, counts) keep their numbers as they are.
const BASES = new Set(("A V W Ω ohm Ohm F H Hz s m g J N Pa K C T Wb S eV Bq bar VA var Sa lx lm cd mol L l rad").split(" "));
const OVERLOAD = 9.9e37; // what SCPI instruments answer when a reading is out of range

function split(unit) {
  const slash = unit.indexOf("/");
  const head = slash < 0 ? unit : unit.slice(0, slash);
  const rest = slash < 0 ? "" : unit.slice(slash);
  if (BASES.has(head)) return [0, unit];
  if (head.length > 1 && head[0] in POWERS && BASES.has(head.slice(1))) return [POWERS[head[0]], head.slice(1) + rest];
  return null;
}

function powerOf(size) {
  if (!(size > 0) || !Number.isFinite(size)) return 0;
  return Math.min(18, Math.max(-24, 3 * Math.floor(Math.log10(size) / 3 + 1e-12)));
}

const minus = (text) => text.replace("-", "−");

function plain(value, digits) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return minus(value.toExponential(digits - 1));
  const leading = size === 0 ? 1 : Math.floor(Math.log10(size) + 1e-12) + 1;
  return minus(value.toFixed(Math.min(Math.max(0, digits - leading), digits + 2)));
}

/** Return [number, unit] of a value with `digits` significant digits; null is NaN. */
export function si(value, unit = "", digits = 4) {
  if (value === null || value === undefined) return ["NaN", unit];
  if (Math.abs(value) >= OVERLOAD) return [`${value < 0 ? "−" : ""}overload`, ""];
  const known = split(unit);
  if (known === null) return [plain(value, digits), unit];
  const [own, base] = known;
  const rounded = Number(value.toPrecision(digits));
  const power = powerOf(Math.abs(rounded) * 10 ** own);
  const shown = rounded * 10 ** (own - power);
  const whole = shown === 0 ? 1 : Math.max(1, Math.floor(Math.log10(Math.abs(shown)) + 1e-12) + 1);
  return [minus(shown.toFixed(Math.max(0, digits - whole))), PREFIXES[power] + base];
}

/** Return the factor and the unit of a whole axis whose largest value is `size`. */
export function axisScale(size, unit) {
  const known = split(unit);
  if (known === null) return [1, unit];
  const power = powerOf(size * 10 ** known[0] * 1.0001);
  return [10 ** (power - known[0]), PREFIXES[power] + known[1]];
}

/** Return the labels of an axis; as many decimals as tell neighbours apart. */
export function tickTexts(values, factor) {
  const shown = values.map((value) => value / factor);
  const step = shown.length > 1 ? Math.abs(shown[1] - shown[0]) : 1;
  const size = Math.max(...shown.map(Math.abs));
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    const digits = Math.max(0, Math.ceil(Math.log10(size / step) - 1e-9));
    return shown.map((value) => (value === 0 ? "0" : minus(value.toExponential(Math.min(digits, 12)))));
  }
  const decimals = Math.min(12, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  return shown.map((value) => minus(value.toFixed(decimals)));
}

const two = (number) => String(number).padStart(2, "0");

/** Return a time of day in local time; with milliseconds if `fine`. */
export function clock(ts, fine = false) {
  const date = new Date(ts * 1000);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fine ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** Return the labels of a time axis whose ticks are `step` s apart. */
export function timeTexts(ticks, step) {
  return ticks.map((ts) => {
    const date = new Date(ts * 1000);
    if (step < 1) return clock(ts, true);
    if (step < 60) return clock(ts);
    const day = date.toLocaleDateString(undefined, { day: "numeric", month: "short" });
    if (step >= 86400 || (date.getHours() === 0 && date.getMinutes() === 0)) return day;
    return clock(ts).slice(0, 5);
  });
}

/** Return how long ago something was, as people say it. */
export function ago(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}
