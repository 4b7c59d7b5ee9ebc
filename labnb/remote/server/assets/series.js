// What the page keeps of one variable: the points of the window, never more than LIMIT.

const LIMIT = 12000;

/** Return the places of at most three points a bucket: its lowest, its highest, its first gap. */
function outstanding(values, begin, end, size) {
  const places = [];
  for (let low = begin; low < end; low += size) {
    let [least, most, gap] = [-1, -1, -1];
    for (let i = low; i < Math.min(low + size, end); i++) {
      if (values[i] === null) { if (gap < 0) gap = i; continue; }
      if (least < 0 || values[i] < values[least]) least = i;
      if (most < 0 || values[i] > values[most]) most = i;
    }
    places.push(...[...new Set([least, most, gap])].filter((i) => i >= 0).sort((a, b) => a - b));
  }
  return places;
}

export class Series {
  constructor() {
    this.t = [];
    this.v = [];
    this.last = null;
  }

  /** Add points in their order; `null` is NaN. */
  extend(t, v) {
    let ordered = true;
    for (let i = 0; i < t.length; i++) {
      ordered &&= !(t[i] < this.t[this.t.length - 1]);
      this.t.push(t[i]);
      this.v.push(v[i]);
    }
    if (t.length) this.last = [t[t.length - 1], v[v.length - 1]];
    if (!ordered) this.#sort();
    if (this.t.length > LIMIT) this.#thin();
  }

  // A clock was set back: charts want times that rise; what was logged last stays the value that is shown.
  #sort() {
    const order = [...this.t.keys()].sort((a, b) => this.t[a] - this.t[b] || a - b);
    this.t = order.map((i) => this.t[i]);
    this.v = order.map((i) => this.v[i]);
  }

  /** Forget what is older than `since`, but the newest of it: the curve comes in from the left. */
  forget(since) {
    let old = 0;
    while (old + 1 < this.t.length && this.t[old + 1] < since) old++;
    if (old > 200 || old > this.t.length / 2) {
      this.t = this.t.slice(old);
      this.v = this.v.slice(old);
    }
  }

  // The older half loses points; the newer one is as it was logged.
  #thin() {
    const half = this.t.length >> 1;
    const kept = outstanding(this.v, 0, half, 8);
    this.t = [...kept.map((i) => this.t[i]), ...this.t.slice(half)];
    this.v = [...kept.map((i) => this.v[i]), ...this.v.slice(half)];
  }

  /** Return what a chart draws: what is no finite number is a gap. */
  drawn() {
    return [this.t, this.v.map((value) => (value !== null && Math.abs(value) < 9.9e37 ? value : null))];
  }

  /** Return the lowest and the highest from `since` on: of a thinned curve too these are the true ones. */
  statistics(since) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = this.t.length - 1; i >= 0 && this.t[i] >= since; i--) {
      const value = this.v[i];
      if (value === null || Math.abs(value) >= 9.9e37) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return low <= high ? { low, high } : null;
  }
}
