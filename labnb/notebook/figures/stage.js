// What lies over the data of a bqplot figure: the pixels of a map, cursor, readout, zoom and keys.
//
// Everything that follows the mouse happens here, so that it is quick while the kernel is busy. The kernel is told what
// a person wishes (`wish`), and asked for the measured value under the cursor (`asked`, answered in `answer`).

const HEAD = 22; // bytes before the shades of a patch, see labnb.live.cells
const UNMEASURED = 255;
const CLICK_PX = 4;
const ASK_MS = 80;
const LATER_MS = 200;

const modelOf = (model, name) => model.widget_manager.get_model(model.get(name).slice("IPY_MODEL_".length));
const bytesOf = (model, name) => {
  const data = model.get(name);
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
};
const place = (value, log) => (log ? Math.log10(value) : value);
const value = (place, log) => (log ? 10 ** place : place);

function numberText(number, span, log) {
  if (!Number.isFinite(number)) return "–";
  const text = log
    ? number.toPrecision(4)
    : number.toFixed(Math.min(9, Math.max(0, Math.ceil(-Math.log10(Math.abs(span) / 800 || 1)))));
  return text.replace("-", "−");
}

// ---- the pixels of a map

class Pixels {
  constructor(model) {
    this.model = model;
    this.canvas = document.createElement("canvas");
    this.resize();
  }

  resize() {
    const [rows, columns] = this.model.get("shape");
    this.rows = rows || 0;
    this.columns = columns || 0;
    this.values = new Float64Array(this.rows * this.columns).fill(NaN);
    this.stale = true;
  }

  take(content, buffers) {
    if (content.clear) this.resize();
    const data = buffers[0];
    if (!data) return;
    let at = 0;
    while (at < data.byteLength) {
      const row = data.getUint16(at, true);
      const start = data.getUint16(at + 2, true);
      const count = data.getUint16(at + 4, true);
      const low = data.getFloat64(at + 6, true);
      const step = data.getFloat64(at + 14, true);
      at += HEAD;
      for (let k = 0; k < count; k++, at++) {
        const shade = data.getUint8(at);
        this.values[row * this.columns + start + k] = shade === UNMEASURED ? NaN : low + step * shade;
      }
    }
    this.stale = true;
  }

  paint() {
    if (!this.stale || !this.rows) return;
    this.stale = false;
    const across = new Uint16Array(bytesOf(this.model, "across"));
    const up = new Uint16Array(bytesOf(this.model, "up"));
    const table = new Uint8Array(bytesOf(this.model, "table"));
    const [low, high] = this.model.get("colours");
    const scale = 254 / (high - low || 1);
    this.canvas.width = across.length;
    this.canvas.height = up.length;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(across.length, up.length);
    let at = 0;
    for (let y = up.length - 1; y >= 0; y--) {
      const row = up[y] * this.columns;
      for (let x = 0; x < across.length; x++, at += 4) {
        const value = this.values[row + across[x]];
        if (Number.isNaN(value)) continue; // transparent: not measured
        const shade = 3 * Math.min(254, Math.max(0, Math.round((value - low) * scale)));
        image.data[at] = table[shade];
        image.data[at + 1] = table[shade + 1];
        image.data[at + 2] = table[shade + 2];
        image.data[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }
}

// ---- one view

class View {
  constructor(model, pixels, scales, el) {
    Object.assign(this, { model, pixels, el, xs: scales[0], ys: scales[1] });
    this.serial = 0;
    this.asked = 0;
    el.classList.add("labnb-stage");
    this.area = this.make("div", "labnb-area");
    this.canvas = this.make("canvas", "labnb-canvas", this.area);
    this.across = this.make("div", "labnb-cross labnb-cross-x", this.area);
    this.up = this.make("div", "labnb-cross labnb-cross-y", this.area);
    this.box = this.make("div", "labnb-zoombox", this.area);
    this.readout = this.make("div", "labnb-readout");
    this.readout.setAttribute("role", "status");
    this.readout.setAttribute("aria-live", "off");
    this.fit();
    this.area.tabIndex = 0;
    this.area.setAttribute("role", "application");
    this.area.dataset.lmSuppressShortcuts = "true"; // JupyterLab's shortcuts (0 0 restarts the kernel) are not meant here
    this.listen();
  }

  make(tag, name, parent = this.el) {
    const made = document.createElement(tag);
    made.className = name;
    parent.appendChild(made);
    return made;
  }

  fit() {
    const [top, right, bottom, left] = this.model.get("margin");
    Object.assign(this.area.style, { top: `${top}px`, right: `${right}px`, bottom: `${bottom}px`, left: `${left}px` });
    Object.assign(this.readout.style, { right: `${right}px`, left: `${left}px`, height: `${top}px`, lineHeight: `${top}px` });
    this.area.setAttribute("aria-label", this.model.get("label"));
    this.area.dataset.view = JSON.stringify(this.limits());
  }

  listen() {
    this.stopped = new AbortController();
    const on = (kind, act, options = {}) =>
      this.area.addEventListener(kind, act.bind(this), { signal: this.stopped.signal, ...options });
    on("pointermove", this.move);
    on("pointerdown", this.press);
    on("pointerup", this.release);
    on("pointercancel", this.drop);
    on("pointerleave", this.leave);
    on("dblclick", this.reset);
    on("wheel", this.wheel, { passive: false });
    on("keydown", this.key);
    this.draw = this.draw.bind(this);
    this.soon = this.soon.bind(this);
    this.watched = [this.xs, this.ys];
    for (const scale of this.watched) scale.on("change:min change:max", this.soon);
    this.model.on("change", this.soon);
    this.model.on("msg:custom", this.soon);
    this.model.on("change:answer", (this.answered = this.answered.bind(this)));
    this.observer = new ResizeObserver(this.soon);
    this.observer.observe(this.area);
  }

  close() {
    this.stopped.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.later);
    for (const scale of this.watched) scale.off("change:min change:max", this.soon);
    this.model.off("change", this.soon);
    this.model.off("msg:custom", this.soon);
    this.model.off("change:answer", this.answered);
  }

  // ---- where things are

  limits() {
    return [this.xs.get("min"), this.xs.get("max"), this.ys.get("min"), this.ys.get("max")];
  }

  places() {
    const [logX, logY] = this.model.get("log");
    const [x0, x1, y0, y1] = this.limits();
    return [place(x0, logX), place(x1, logX), place(y0, logY), place(y1, logY)];
  }

  at(event) {
    const box = this.area.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
  }

  valuesAt([u, v]) {
    const [logX, logY] = this.model.get("log");
    const [x0, x1, y0, y1] = this.places();
    return [value(x0 + u * (x1 - x0), logX), value(y0 + v * (y1 - y0), logY)];
  }

  // ---- what a person does

  move(event) {
    const here = this.at(event);
    if (this.start && event.shiftKey) return this.pan(here);
    if (this.start && this.isDrag(event)) this.showBox(here);
    this.show(here);
  }

  show(here) {
    const [x, y] = this.valuesAt(here);
    this.across.style.cssText = `display:block;top:${100 * (1 - here[1])}%`;
    this.up.style.cssText = `display:block;left:${100 * here[0]}%`;
    const [x0, x1, y0, y1] = this.limits();
    const [logX, logY] = this.model.get("log");
    const [[nameX, unitX], [nameY, unitY]] = this.model.get("names");
    this.coordinates =
      `${nameX} ${numberText(x, x1 - x0, logX)} ${unitX}`.trim() +
      `   ${nameY} ${numberText(y, y1 - y0, logY)} ${unitY}`.trimEnd();
    this.readout.textContent = this.found ? `${this.coordinates}   ${this.found}` : this.coordinates;
    this.ask(x, y);
  }

  ask(x, y) {
    this.next = [x, y];
    if (this.asking) return;
    this.asking = setTimeout(() => {
      this.asking = null;
      if (!this.next) return;
      this.asked += 1;
      this.model.set("asked", [...this.next, this.asked]);
      this.model.save_changes();
    }, ASK_MS);
  }

  answered() {
    const [, text] = this.model.get("answer");
    this.found = text;
    if (this.next) this.readout.textContent = text ? `${this.coordinates}   ${text}` : this.coordinates;
  }

  leave() {
    this.next = null;
    this.found = "";
    this.across.style.display = this.up.style.display = "none";
    this.readout.textContent = "";
  }

  press(event) {
    if (event.button !== 0) return;
    this.area.focus({ preventScroll: true });
    this.area.setPointerCapture(event.pointerId);
    this.start = { here: this.at(event), x: event.clientX, y: event.clientY, places: this.places() };
  }

  isDrag(event) {
    return Math.abs(event.clientX - this.start.x) + Math.abs(event.clientY - this.start.y) > CLICK_PX;
  }

  showBox(here) {
    const [left, right] = [this.start.here[0], here[0]].sort((a, b) => a - b);
    const [low, high] = [this.start.here[1], here[1]].sort((a, b) => a - b);
    this.box.style.cssText =
      `display:block;left:${100 * left}%;width:${100 * (right - left)}%;` +
      `top:${100 * (1 - high)}%;height:${100 * (high - low)}%`;
  }

  release(event) {
    const start = this.start;
    if (!start) return;
    const dragged = this.isDrag(event);
    const here = this.at(event).map((part) => Math.min(1, Math.max(0, part)));
    this.drop();
    if (event.shiftKey && dragged) return;
    if (!dragged) return this.wish({ pick: this.valuesAt(here) });
    // A drag along one direction only zooms in that direction.
    const box = this.area.getBoundingClientRect();
    const [u, v] = [0, 1].map((k) => [start.here[k], here[k]].sort((a, b) => a - b));
    if ((u[1] - u[0]) * box.width < 8) u.splice(0, 2, 0, 1);
    if ((v[1] - v[0]) * box.height < 8) v.splice(0, 2, 0, 1);
    this.zoom(u[0], u[1], v[0], v[1]);
  }

  drop() {
    this.start = null;
    this.box.style.display = "none";
  }

  pan(here) {
    const [x0, x1, y0, y1] = this.start.places;
    const [dx, dy] = [(here[0] - this.start.here[0]) * (x1 - x0), (here[1] - this.start.here[1]) * (y1 - y0)];
    this.look([x0 - dx, x1 - dx, y0 - dy, y1 - dy]);
  }

  wheel(event) {
    // A page that is scrolled past the figure must not stop in it.
    if (!event.ctrlKey && document.activeElement !== this.area) return;
    event.preventDefault();
    const [u, v] = this.at(event);
    const by = Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300)));
    this.zoom(u - u * by, u + (1 - u) * by, v - v * by, v + (1 - v) * by);
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const row = { PageUp: 1, PageDown: -1 }[event.key];
    if (step) this.zoom(0.1 * step[0], 1 + 0.1 * step[0], 0.1 * step[1], 1 + 0.1 * step[1]);
    else if (event.key === "+" || event.key === "=") this.zoom(0.1, 0.9, 0.1, 0.9);
    else if (event.key === "-") this.zoom(-0.125, 1.125, -0.125, 1.125);
    else if (event.key === "0" || event.key === "Home") this.reset();
    else if (row && this.pixels.rows) this.wish({ step: row });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  zoom(u0, u1, v0, v1) {
    const [x0, x1, y0, y1] = this.places();
    this.look([x0 + u0 * (x1 - x0), x0 + u1 * (x1 - x0), y0 + v0 * (y1 - y0), y0 + v1 * (y1 - y0)]);
  }

  look(places) {
    const [logX, logY] = this.model.get("log");
    const view = places.map((one, k) => value(one, k < 2 ? logX : logY));
    if (!view.every(Number.isFinite) || !(view[1] > view[0] && view[3] > view[2])) return;
    this.xs.set({ min: view[0], max: view[1] });
    this.ys.set({ min: view[2], max: view[3] });
    this.wish({ view });
  }

  reset() {
    this.wish({ view: null });
  }

  wish(what) {
    this.serial += 1;
    this.model.set("wish", { ...what, serial: this.serial });
    this.model.save_changes();
  }

  // ---- drawing

  soon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    this.fit();
    this.pixels.paint();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.area.clientWidth, this.area.clientHeight];
    if (!width || !height) {
      // A page that changes its theme has no sizes for a moment, which no observer may see.
      clearTimeout(this.later);
      this.later = setTimeout(this.soon, LATER_MS);
      return;
    }
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    const [logX, logY] = this.model.get("log");
    const [x0, x1, y0, y1] = this.places();
    const px = (x) => ((place(x, logX) - x0) / (x1 - x0)) * width;
    const py = (y) => (1 - (place(y, logY) - y0) / (y1 - y0)) * height;
    if (this.pixels.rows) {
      const [left, right, bottom, top] = this.model.get("box");
      context.drawImage(this.pixels.canvas, px(left), py(top), px(right) - px(left), py(bottom) - py(top));
    }
    this.drawDots(context, px, py);
    this.drawCut(context, py, width);
  }

  drawDots(context, px, py) {
    const dots = new Float32Array(bytesOf(this.model, "dots"));
    if (!dots.length) return;
    context.fillStyle = "rgba(0, 0, 0, 0.75)";
    context.strokeStyle = "rgba(255, 255, 255, 0.8)";
    context.lineWidth = 0.7;
    for (let k = 0; k < dots.length; k += 2) {
      context.beginPath();
      context.arc(px(dots[k]), py(dots[k + 1]), 1.7, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  drawCut(context, py, width) {
    const [cut] = this.model.get("cut");
    if (cut === undefined) return;
    const y = Math.round(py(cut)) + 0.5;
    // Dark and light side by side, to be seen on every colour.
    for (const [style, dash] of [["rgba(0,0,0,0.9)", 0], ["rgba(255,255,255,0.95)", 5]]) {
      context.strokeStyle = style;
      context.lineWidth = 1;
      context.setLineDash([5, 5]);
      context.lineDashOffset = dash;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
    }
  }
}

export default () => {
  let pixels;
  return {
    initialize({ model }) {
      pixels = new Pixels(model);
      const take = (content, buffers) => pixels.take(content, buffers);
      const stale = () => (pixels.stale = true);
      const resize = () => pixels.resize();
      model.on("msg:custom", take);
      model.on("change:shape", resize);
      model.on("change:colours change:table change:across change:up", stale);
      model.send({ hello: true }); // what was sent before is lost: this code is loaded later than its model
      return () => {
        model.off("msg:custom", take);
        model.off("change:shape", resize);
        model.off("change:colours change:table change:across change:up", stale);
      };
    },
    async render({ model, el }) {
      const scales = await Promise.all(["x_scale", "y_scale"].map((name) => modelOf(model, name)));
      const view = new View(model, pixels, scales, el);
      view.draw();
      return () => view.close();
    },
  };
};
