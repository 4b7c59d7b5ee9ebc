// One curve over time, drawn by uPlot in the colours of the page.

import { axisScale, tickTexts, timeTexts } from "./text.js";

const uPlot = window.uPlot;
const FONT = "11px system-ui, -apple-system, 'Segoe UI', sans-serif";

function yRange(_, low, high) {
  if (low === null || high === null) return [0, 1];
  const pad = 0.08 * (high - low || Math.abs(high) * 0.1 || 1);
  return [low - pad, high + pad];
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Chart {
  #box;
  #plot = null;
  #data = [[], []];
  #range = [0, 1];
  #zoomed = false;
  #options;

  /** `options`: stroke (the name of a CSS colour), zoom, onUnit(text), onPoint(index or null). */
  constructor(box, options) {
    this.#box = box;
    this.#options = { unit: "", ...options };
    new ResizeObserver(() => this.#fit()).observe(box);
    this.draw();
  }

  /** Draw anew, in the colours that the page has now. */
  draw() {
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#settings(), this.#data, this.#box);
    this.#show();
  }

  /** Show other points, from `low` to `high` s since 1970. */
  update(data, low, high, unit) {
    this.#data = data;
    this.#range = [low, Math.max(high, low + 1e-3)];
    this.#options.unit = unit;
    this.#show();
  }

  #show() {
    this.#plot.batch(() => {
      this.#plot.setData(this.#data, false);
      const [min, max] = this.#zoomed ? [this.#plot.scales.x.min, this.#plot.scales.x.max] : this.#range;
      this.#plot.setScale("x", { min, max });
    });
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#box;
    if (width > 0 && height > 0) this.#plot.setSize({ width, height });
  }

  #settings() {
    const axis = {
      stroke: colour("--soft"), font: FONT,
      grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, border: { show: false },
    };
    const stroke = colour(this.#options.stroke);
    const zoom = Boolean(this.#options.zoom);
    return {
      width: this.#box.clientWidth || 300, height: this.#box.clientHeight || 150,
      legend: { show: false }, padding: [8, 18, 0, 0],
      cursor: {
        y: false, drag: { x: zoom, y: false, setScale: zoom }, sync: { key: "labnb" },
        points: { size: 7, fill: stroke, stroke: colour("--card") },
        bind: { dblclick: () => () => this.#unzoom() },
      },
      select: { show: zoom },
      scales: { x: { time: true }, y: { range: yRange } },
      axes: [
        { ...axis, space: 64, size: 26, gap: 4, values: (_, ticks, __, ___, step) => timeTexts(ticks, step) },
        { ...axis, space: 30, size: (_, texts) => this.#width(texts), gap: 6, values: (plot, ticks) => this.#ticks(plot, ticks) },
      ],
      series: [{}, {
        stroke, width: 1.6, spanGaps: false, fill: colour(`${this.#options.stroke}-area`), fillTo: (plot) => plot.scales.y.min,
        points: { show: (plot, _, first, last) => last - first < plot.bbox.width / devicePixelRatio / 9, size: 4, fill: stroke },
      }],
      hooks: {
        setCursor: [(plot) => this.#options.onPoint?.(plot.cursor.idx ?? null)],
        setSelect: [(plot) => { if (zoom && plot.select.width > 0) this.#zoomed = true; }],
      },
    };
  }

  #ticks(plot, ticks) {
    const { min, max } = plot.scales.y;
    const [factor, unit] = axisScale(Math.max(Math.abs(min ?? 0), Math.abs(max ?? 0)), this.#options.unit);
    this.#options.onUnit?.(unit);
    return tickTexts(ticks, factor);
  }

  #width(texts) {
    return 16 + 6.4 * Math.max(4, ...(texts ?? []).map((text) => text.length));
  }

  #unzoom() {
    this.#zoomed = false;
    this.#show();
    return null;
  }
}
