"""Colours and the style sheet that live figures, panels and frozen pictures share."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from labnb.core import State

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A200")
"""Okabe-Ito, told apart with every kind of colour vision; its yellow is darkened to be seen on white."""

# Along a family of curves: blue, purple, orange, each as bright on a dark page as it is dark on a light one.
_RAMP = np.array([[0x1F, 0x7A, 0xC4], [0xA9, 0x6C, 0xB5], [0xE0, 0x6C, 0x1F]], np.float64)

MARKS = {
    State.CREATED: "○",
    State.RUNNING: "●",
    State.PAUSED: "❚❚",
    State.STOPPING: "■",
    State.CLOSING: "■",
    State.DONE: "✓",
    State.STOPPED: "■",
    State.FAILED: "✗",
    State.CANCELLED: "✗",
    State.INTERRUPTED: "✗",
}
"""The shape beside the word of every state: nobody needs colour to tell them apart."""

FIGURE_PX = 320
"""Height of a figure of lines."""

CUT_PX = 160
"""Height of the cut below a map."""

SCALE_PX = 96
"""Width of the colour scale beside a map."""


def series_colour(index: int) -> str:
    """Return the colour of the `index`-th curve of several quantities."""
    return SERIES[index % len(SERIES)]


def family_colour(tone: float) -> str:
    """Return the colour at `tone` (0 … 1) along the outer axis of a family."""
    rgb = [float(np.interp(tone, (0.0, 0.5, 1.0), _RAMP[:, k])) for k in range(3)]
    return "#" + "".join(f"{round(v):02x}" for v in rgb)


@cache
def colour_table(signed: bool) -> NDArray[np.uint8]:
    """Return 255 colours (rows of RGB): viridis; for signed data a map that is white at zero."""
    # Matplotlib takes a fifth of a second to import; only maps need it.
    from matplotlib import colormaps

    shades = colormaps["RdBu_r" if signed else "viridis"](np.linspace(0, 1, 255))
    return np.round(np.asarray(shades)[:, :3] * 255).astype(np.uint8)


def gradient(signed: bool, stops: int = 17) -> str:
    """Return the colours from low to high as stops of a CSS gradient."""
    table = colour_table(signed)
    picks = table[np.linspace(0, len(table) - 1, stops).round().astype(int)]
    return ", ".join("#" + "".join(f"{v:02x}" for v in row) for row in picks.tolist())


# Scoped under .labnb-panel / .labnb-figure. bqplot 0.13 takes its colours from --bq-* variables that its own themes
# (.classic) set on the figure; in dark JupyterLab these make text orange, so they are set again here, more precisely.
STYLE = """<style>
.labnb-panel { --labnb-soft: var(--jp-ui-font-color2, #616161); --labnb-text: var(--jp-ui-font-color1, #212121);
  --labnb-line: var(--jp-border-color2, #e0e0e0); --labnb-good: #00875f; --labnb-hold: #a86a00; --labnb-bad: #c2410c;
  font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: var(--jp-ui-font-size1, 13px);
  color: var(--labnb-text); font-variant-numeric: tabular-nums; gap: 2px; padding: 4px 0; overflow: hidden; }
[data-jp-theme-light="false"] .labnb-panel, [data-jp-theme-light="false"] .labnb-figure { color-scheme: dark; }
[data-jp-theme-light="false"] .labnb-panel { --labnb-good: #4cc9a0; --labnb-hold: #f0b44c; --labnb-bad: #ff8a5c; }
.labnb-panel .widget-html, .labnb-panel .widget-html-content { font-size: inherit; line-height: 22px; height: auto;
  min-height: 0; margin: 0; color: inherit; }
.labnb-panel .widget-html-content { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.labnb-panel .labnb-bar { align-items: center; gap: 14px; flex-wrap: nowrap; overflow: hidden; min-height: 30px; }
.labnb-panel .labnb-bar > * { flex: 0 0 auto; }
.labnb-panel .labnb-bar > .labnb-points { flex: 1 1 0; min-width: 0; }
.labnb-panel .labnb-bar > .labnb-points .widget-html-content { display: flex; gap: 9px; align-items: center; }
.labnb-panel .labnb-name { font-weight: 600; margin-right: 10px; }
.labnb-panel .labnb-mark { display: inline-block; width: 1.5em; text-align: center; }
.labnb-panel .labnb-word { display: inline-block; min-width: 5em; }
.labnb-panel .labnb-running, .labnb-panel .labnb-done { color: var(--labnb-good); }
.labnb-panel .labnb-paused, .labnb-panel .labnb-stopping, .labnb-panel .labnb-stopped,
.labnb-panel .labnb-closing { color: var(--labnb-hold); }
.labnb-panel .labnb-failed, .labnb-panel .labnb-cancelled, .labnb-panel .labnb-interrupted { color: var(--labnb-bad); }
.labnb-panel .labnb-progress { flex: 1 1 60px; min-width: 24px; max-width: 220px; height: 6px; border-radius: 3px;
  background: var(--labnb-line); overflow: hidden; }
.labnb-panel .labnb-progress > i { display: block; height: 100%; background: var(--jp-brand-color1, #1976d2); }
.labnb-panel .labnb-number { text-align: right; display: inline-block; flex: 0 0 auto; }
.labnb-panel .labnb-soft { color: var(--labnb-soft); }
.labnb-panel .labnb-values .widget-html-content { display: flex; gap: 18px; }
.labnb-panel .labnb-values b { font-weight: 600; }
.labnb-panel .labnb-small .widget-html-content { display: flex; gap: 24px; color: var(--labnb-soft);
  font-size: var(--jp-ui-font-size0, 11px); line-height: 18px; white-space: normal; }
.labnb-panel .labnb-warning, .labnb-panel .labnb-error { color: var(--labnb-text); }
.labnb-panel .labnb-error { white-space: pre-wrap; }
.labnb-panel button.jupyter-button { height: 26px; line-height: 24px; width: 84px; margin: 0; border-radius: 3px;
  background: var(--jp-layout-color1, #fff); color: var(--labnb-text); border: 1px solid var(--jp-border-color1, #bdbdbd);
  font-size: inherit; box-shadow: none; }
.labnb-panel button.jupyter-button:hover:enabled { background: var(--jp-layout-color2, #eee); box-shadow: none; }
.labnb-panel button.jupyter-button:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2);
  outline-offset: 1px; }
.labnb-panel button.jupyter-button:disabled { opacity: 0.45; }
.labnb-panel button.labnb-keep { width: auto; padding: 0 10px; }
.labnb-panel .widget-dropdown > select, .labnb-figure .widget-dropdown > select { appearance: none; font-family: inherit;
  border-radius: 3px; color: var(--jp-ui-font-color1, #212121); background: var(--jp-layout-color1, #fff) url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='10' height='6'%3E%3Cpath d='M1 1l4 4 4-4' fill='none' stroke='%23888' stroke-width='1.6'/%3E%3C/svg%3E") no-repeat right 7px center / 10px 6px; }
.labnb-figure { gap: 0; overflow: hidden; }
.labnb-figure .labnb-legend .widget-html-content { display: flex; flex-wrap: wrap; gap: 2px 14px; line-height: 18px;
  font-size: var(--jp-ui-font-size0, 11px); white-space: normal; color: var(--jp-ui-font-color1, #212121); }
.labnb-figure .labnb-legend i { display: inline-block; width: 18px; height: 0; border-top: 3px solid; margin-right: 5px;
  vertical-align: middle; }
.labnb-figure .labnb-head { align-items: center; gap: 4px 8px; min-height: 28px; flex-wrap: wrap; overflow: hidden; }
.labnb-figure .labnb-head > .labnb-legend { flex: 1 1 200px; min-width: 0; }
.labnb-figure .labnb-head .widget-dropdown { width: auto; margin: 0; font-size: var(--jp-ui-font-size0, 11px); }
.labnb-figure .labnb-head .widget-dropdown .widget-label { width: auto; margin-right: 5px;
  font-size: inherit; color: var(--jp-ui-font-color2, #616161); }
.labnb-figure .labnb-head .widget-dropdown select { width: auto; max-width: 190px; height: 24px; padding: 0 22px 0 6px;
  font-size: inherit; }
.labnb-figure .labnb-head button.jupyter-button { width: auto; height: 24px; line-height: 22px; margin: 0; padding: 0 8px;
  font-size: var(--jp-ui-font-size0, 11px); border-radius: 3px; background: var(--jp-layout-color1, #fff);
  color: var(--jp-ui-font-color1, #212121); border: 1px solid var(--jp-border-color1, #bdbdbd); box-shadow: none; }
.labnb-figure .labnb-head button.jupyter-button.mod-active { background: var(--jp-layout-color3, #ddd);
  border-color: var(--jp-ui-font-color2, #616161); font-weight: 600; }
.labnb-figure .labnb-head button.jupyter-button:hover { background: var(--jp-layout-color2, #eee); box-shadow: none; }
.labnb-figure .labnb-head button:focus-visible, .labnb-figure .labnb-head select:focus-visible,
.labnb-figure .labnb-area:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.labnb-figure .labnb-scale, .labnb-figure .labnb-scale .widget-html-content { font-size: var(--jp-ui-font-size0, 11px);
  color: var(--jp-ui-font-color1, #212121); line-height: 14px; font-variant-numeric: tabular-nums; margin: 0; }
.labnb-figure .labnb-scale .labnb-quantity { white-space: nowrap; }
.labnb-figure .labnb-scale .labnb-ramp { position: relative; width: 12px; border-radius: 2px; }
.labnb-figure .labnb-scale .labnb-ends span { position: absolute; left: 20px; transform: translateY(50%);
  white-space: nowrap; }
.labnb-figure .labnb-scale .labnb-ends span::before { content: ""; position: absolute; left: -8px; top: 50%; width: 4px;
  border-top: 1px solid var(--jp-ui-font-color2, #616161); }
[data-jp-theme-light="false"] .labnb-figure .bqplot path.line, [data-jp-theme-light="false"] .labnb-figure
  .labnb-legend i { filter: brightness(1.4); }
.labnb-figure .labnb-charts { flex: 1 1 auto; min-width: 0; overflow: hidden; }
.labnb-figure .labnb-chart > * { margin: 0; }
.labnb-figure .labnb-chart { position: relative; width: 100%; overflow: hidden; flex: 0 0 auto; }
.labnb-figure .labnb-stage { position: absolute; inset: 0; margin: 0; pointer-events: none; z-index: 1; }
.labnb-figure .labnb-area { position: absolute; pointer-events: auto; cursor: crosshair; overflow: hidden;
  touch-action: none; outline: none; box-shadow: -1px 0 0 var(--jp-border-color1, #bdbdbd),
  0 1px 0 var(--jp-border-color1, #bdbdbd); }
.labnb-figure .labnb-canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.labnb-figure .labnb-cross { position: absolute; display: none; pointer-events: none;
  background: var(--jp-ui-font-color2, #616161); opacity: 0.6; }
.labnb-figure .labnb-cross-x { left: 0; right: 0; height: 1px; }
.labnb-figure .labnb-cross-y { top: 0; bottom: 0; width: 1px; }
.labnb-figure .labnb-zoombox { position: absolute; display: none; pointer-events: none; box-sizing: border-box;
  border: 1px solid var(--jp-brand-color1, #1976d2); background: var(--jp-brand-color1, #1976d2); opacity: 0.25; }
.labnb-figure .labnb-readout { position: absolute; top: 0; text-align: right; white-space: pre; overflow: hidden;
  text-overflow: ellipsis; font-size: var(--jp-ui-font-size0, 11px); color: var(--jp-ui-font-color1, #212121);
  font-family: var(--jp-ui-font-family, sans-serif); font-variant-numeric: tabular-nums; }
.labnb-figure .bqplot.figure { --bq-background: transparent; --bq-plotarea-background-fill: transparent;
  --bq-content-font-color: var(--jp-ui-font-color1, #212121); --bq-axislabel-fill: var(--jp-ui-font-color1, #212121);
  --bq-axis-tick-text-fill: var(--jp-ui-font-color2, #616161); --bq-grid-color: var(--jp-border-color2, #e0e0e0);
  --bq-axis-tick-stroke: var(--jp-border-color2, #e0e0e0); --bq-axis-border-color: var(--jp-border-color1, #bdbdbd);
  --bq-axis-path-stroke: var(--jp-border-color1, #bdbdbd); --bq-axis-rect-stroke: var(--jp-border-color1, #bdbdbd);
  --bq-axislabel-font: 12px var(--jp-ui-font-family, sans-serif); --bq-font: 11px var(--jp-ui-font-family, sans-serif);
  --bq-axis-tick-text-font: 11px var(--jp-ui-font-family, sans-serif); }
.labnb-figure .bqplot.figure.labnb-map { --bq-plotarea-background-fill: var(--jp-layout-color2, #e9e9e9); }
.labnb-figure .bqplot .axis path.domain { display: none; }
.labnb-figure .bqplot .axis .tick line { stroke-width: 1px; opacity: 0.7; }
.labnb-figure .bqplot .axis .tick text { font-variant-numeric: tabular-nums; }
.labnb-figure .bqplot .toolbar_div { display: none; }
</style>"""
"""One style sheet; every rule is scoped to labnb's own classes and follows JupyterLab's theme variables."""
