"""How panels look: one style sheet in JupyterLab's own colours, and the small widgets that all of them are made of.

Every control has a description, which the browser ties to it as its label: people see it above the control, and screen
readers say it.
"""

import html
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import ipywidgets as widgets

from labnb.notebook.figures import close_all
from labnb.notebook.style import STYLE

_PANELS = """<style>
.labnb-panel.labnb-tool { gap: 10px; padding: 10px 12px 12px; border: 1px solid var(--labnb-line); border-radius: 6px;
  margin: 2px 0; overflow: visible; }
.labnb-tool > * { margin: 0; overflow: visible; }
.labnb-tool .labnb-row { gap: 4px 10px; align-items: flex-end; flex-wrap: wrap; overflow: visible; margin: 0; }
.labnb-tool .labnb-row > * { margin: 0; }
.labnb-tool .labnb-columns { gap: 14px; align-items: stretch; overflow: visible; margin: 0; }
.labnb-tool .labnb-title { font-weight: 600; }
.labnb-tool .labnb-title small { font-weight: 400; color: var(--labnb-soft); margin-left: 10px; font-size: inherit; }
.labnb-tool .labnb-field { display: flex; flex-direction: column; align-items: stretch; height: auto; margin: 0; }
.labnb-tool .labnb-field > label { width: auto; text-align: left; height: 16px; line-height: 16px; margin: 0 0 2px;
  padding: 0; font-size: var(--jp-ui-font-size0, 11px); color: var(--labnb-soft); }
.labnb-tool .labnb-field input, .labnb-tool .labnb-field select, .labnb-tool .labnb-field textarea { font-size: inherit;
  font-family: inherit; color: var(--labnb-text); background-color: var(--jp-layout-color1, #fff); border-radius: 3px;
  border: 1px solid var(--jp-border-color1, #bdbdbd); font-variant-numeric: tabular-nums; width: 100%; flex: none; }
.labnb-tool .labnb-field input[type="text"], .labnb-tool .labnb-field select:not([multiple]) { height: 26px;
  line-height: 24px; padding: 0 6px; }
.labnb-tool .labnb-field select:not([multiple]) { padding-right: 24px; }
.labnb-tool .labnb-field select[multiple] { padding: 2px; overflow-y: auto; scrollbar-width: thin; }
.labnb-tool .labnb-field select[multiple] option { padding: 1px 5px; border-radius: 2px; }
.labnb-tool .labnb-field input:focus-visible, .labnb-tool .labnb-field select:focus-visible,
.labnb-tool .labnb-field textarea:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 0; }
.labnb-tool .labnb-field input:disabled, .labnb-tool .labnb-field select:disabled { opacity: 0.55; }
.labnb-tool .labnb-mono textarea, .labnb-tool .labnb-mono select, .labnb-tool .labnb-mono .widget-html-content {
  font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 13px); line-height: 18px; }
.labnb-tool .labnb-mono textarea { resize: none; padding: 6px 8px; background: var(--jp-cell-editor-background, #f5f5f5);
  border-color: var(--labnb-line); white-space: pre; overflow: auto; scrollbar-width: thin; flex: 1 1 auto; }
.labnb-tool .labnb-plan .widget-html-content, .labnb-tool .labnb-message .widget-html-content { white-space: pre-wrap;
  overflow-wrap: anywhere; line-height: 19px; }
.labnb-tool .labnb-plan .widget-html-content { font-size: 12px; }
.labnb-tool .labnb-taken .widget-html-content { font-size: var(--jp-ui-font-size0, 11px); line-height: 16px; }
.labnb-tool .labnb-columns > .labnb-grow { flex: 1 1 0; }
.labnb-tool .labnb-columns > button { align-self: flex-start; }
.labnb-tool .labnb-bad { color: var(--labnb-bad); }
.labnb-tool .labnb-good { color: var(--labnb-good); }
.labnb-panel.labnb-tool button.jupyter-button { width: auto; padding: 0 14px; flex: none; }
.labnb-panel.labnb-tool button.labnb-primary { background: var(--jp-brand-color1, #1976d2); color: #fff; border-color: transparent;
  font-weight: 600; }
.labnb-panel.labnb-tool button.labnb-primary:hover:enabled { background: var(--jp-brand-color0, #1565c0); }
[data-jp-theme-light="false"] .labnb-panel.labnb-tool button.labnb-primary { color: #0b0b0b; }
[data-jp-theme-light="false"] .labnb-panel.labnb-tool button.labnb-primary:hover:enabled { background: var(--jp-brand-color2); }
.labnb-panel.labnb-tool button.labnb-primary:disabled { background: var(--jp-layout-color2, #eee); color: var(--labnb-text);
  border-color: var(--jp-border-color1, #bdbdbd); }
.labnb-panel.labnb-tool button.labnb-safe { background: #b3261e; color: #fff; border-color: transparent; font-weight: 600; height: 40px;
  min-width: 150px; font-size: 15px; }
.labnb-panel.labnb-tool button.labnb-safe:hover:enabled { background: #8f1d17; }
.labnb-panel.labnb-tool button.labnb-on { border-color: var(--labnb-good); color: var(--labnb-good); font-weight: 600; }
.labnb-tool .labnb-grid { display: grid; column-gap: 14px; row-gap: 0; align-items: center; overflow: visible; }
.labnb-tool .labnb-line { gap: 12px; align-items: center; min-height: 34px; border-top: 1px solid var(--labnb-line);
  margin: 0; padding: 3px 0; overflow: visible; }
.labnb-tool .labnb-line > * { margin: 0; flex: none; }
.labnb-tool .labnb-line .labnb-grow { flex: 1 1 60px; min-width: 0; }
.labnb-tool .labnb-line .labnb-value .widget-html-content { text-align: right; font-weight: 600; }
.labnb-tool .labnb-line .labnb-field > label { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.labnb-tool .labnb-part { margin: 6px 0 0; }
.labnb-tool .labnb-part .widget-html-content { font-weight: 600; text-transform: capitalize; }
.labnb-tool .labnb-flow { display: flex; gap: 14px; align-items: center; }
.labnb-tool .labnb-flow .labnb-progress { flex: 0 0 120px; }
.labnb-panel.labnb-tool .labnb-pause { min-width: 84px; }
.labnb-tool .labnb-preview img { max-width: 100%; height: auto; border-radius: 4px; }
.labnb-tool .labnb-empty { color: var(--labnb-soft); }
</style>"""


def sheet() -> widgets.HTML:
    """Return the invisible widget that brings the style sheets."""
    return widgets.HTML(STYLE + _PANELS, layout={"display": "none"})


def text(*css: str, value: str = "", width: str | None = None) -> widgets.HTML:
    """Return a piece of text."""
    made = widgets.HTML(value, layout={} if width is None else {"width": width})
    return dressed(made, *css)


def dressed(widget: Any, *css: str) -> Any:  # widgets have no typed base with add_class
    """Return `widget` with these classes."""
    for each in css:
        widget.add_class(each)
    return widget


def row(children: Iterable[widgets.Widget], *css: str) -> widgets.HBox:
    """Return widgets side by side."""
    return dressed(widgets.HBox(tuple(children)), *(css or ("labnb-row",)))


def column(children: Iterable[widgets.Widget], *css: str, **layout: str) -> widgets.VBox:
    """Return widgets one below the other."""
    return dressed(widgets.VBox(tuple(children), layout={"overflow": "visible", **layout}), *css)


def button(word: str, says: str, act: Callable[[], None], *css: str) -> widgets.Button:
    """Return a button that says `word`; `says` is what it does, for the pointer and for screen readers."""
    made = widgets.Button(description=word, tooltip=says)
    made.on_click(partial(_clicked, act))
    return dressed(made, *css)


def _clicked(act: Callable[[], None], _button: widgets.Button) -> None:
    act()


def entry(label: str, act: Callable[[], None], *, value: str = "", hint: str = "", width: str = "90px") -> widgets.Text:
    """Return a field for a text or a number, which tells when it is left or Enter is pressed."""
    made = widgets.Text(
        value=value, description=label, placeholder=hint, continuous_update=False, layout={"width": width}
    )
    made.observe(partial(_changed, act), "value")
    return dressed(made, "labnb-field")


def choice(
    label: str, options: Iterable[Any], act: Callable[[], None], *, width: str = "220px", several: int = 0
) -> Any:  # one of two widgets
    """Return a list to choose one from, or with `several` any number, in that many lines."""
    kind = widgets.SelectMultiple if several else widgets.Dropdown
    lines = {"rows": several} if several else {}
    made = kind(options=tuple(options), description=label, layout={"width": width}, **lines)
    made.observe(partial(_changed, act), "value")
    return dressed(made, "labnb-field")


def area(label: str, rows: int, *css: str, width: str = "auto") -> widgets.Textarea:
    """Return a field of several lines."""
    made = widgets.Textarea(description=label, rows=rows, layout={"width": width}, continuous_update=False)
    return dressed(made, "labnb-field", *css)


def _changed(act: Callable[[], None], _change: object) -> None:
    act()


def words(shown: str) -> str:
    """Return the text of an HTML widget."""
    return html.unescape(re.sub(r"<[^>]*>", "", shown))


def free(widget: widgets.Widget) -> None:
    """Free a widget and all inside of it, here and in the browser."""
    close_all(_below(widget))


def _below(widget: widgets.Widget) -> list[Any]:  # widgets of an untyped library
    inner = [each for child in getattr(widget, "children", ()) for each in _below(child)]
    return [*inner, widget]


def bad(message: str) -> str:
    """Return what went wrong, marked by a word and a shape, for an HTML widget; announced politely."""
    return f'<span class="labnb-bad" role="status" aria-live="polite">✗ {html.escape(message)}</span>'


def plain(message: str) -> str:
    """Return a message for an HTML widget; announced politely."""
    return f'<span role="status" aria-live="polite">{html.escape(message)}</span>' if message else ""


def one_line(error: BaseException) -> str:
    """Return what a person reads of an error under a control."""
    kind = "" if type(error).__module__.startswith("labnb.") else f"{type(error).__name__}: "
    return f"{kind}{error}"
