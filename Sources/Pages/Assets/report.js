// The script of a report: choosing a layer, values under the pointer, rows, saving. Without it the page
// shows the same figures. Words from files reach the document as text alone, never as markup.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const read = (element) => JSON.parse(element.textContent);
  const { layers, measures, runs, plates } = read(one("#known"));
  const svgSpace = "http://www.w3.org/2000/svg";

  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function draw(parent, name, attributes) {
    const element = document.createElementNS(svgSpace, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.append(element);
    return element;
  }

  // Tables

  /** Fields by row of comma-separated text (RFC 4180). */
  function parse(text) {
    const rows = [];
    let row = [], at = 0;
    while (at < text.length) {
      let field = "";
      if (text[at] === '"') {
        for (at += 1; at < text.length; at += 1) {
          if (text[at] !== '"') field += text[at];
          else if (text[at + 1] === '"') { field += '"'; at += 1; } else break;
        }
        at += 1;
      } else {
        let end = at;
        while (end < text.length && !",\r\n".includes(text[end])) end += 1;
        field = text.slice(at, end);
        at = end;
      }
      row.push(field);
      if (text[at] === ",") {
        at += 1;
        if (at === text.length) row.push("");
        continue;
      }
      if (text[at] === "\r") at += 1;
      at += 1;
      rows.push(row);
      row = [];
    }
    if (row.length) rows.push(row);
    return rows;
  }

  const tables = new Map();
  /** A table of a run; null where it is not in the page. */
  function table(run, name) {
    const key = `${run}/${name}`;
    if (!tables.has(key)) {
      const source = all("script.table").find(
        (block) => block.dataset.run === String(run) && block.dataset.table === name);
      if (!source) tables.set(key, null);
      else {
        const text = read(source);
        const [columns, ...rows] = parse(text);
        const place = Object.fromEntries(columns.map((column, index) => [column, index]));
        tables.set(key, { text, columns, rows, get: (row, column) => row[place[column]] ?? "" });
      }
    }
    return tables.get(key);
  }

  const numbers = new Map(layers.map((layer, index) =>
    [JSON.stringify([layer.run, layer.model, layer.site]), index]));
  /** The number of a layer by any of its names; the program names sites by the same rule. */
  function numberOf(run, model, name) {
    const ending = [".branch", "_branch", "_res"].find(
      (end) => name.endsWith(end) && name.length > end.length);
    const site = ending ? name.slice(0, -ending.length) : name.replace(/^(.+?)_map(_[^.]*)?$/, "$1");
    const [, block] = /^(.+)\.(?=[^.]*[^.\d][^.]*$)/.exec(site) ?? [null, site];
    const find = (site) => numbers.get(JSON.stringify([run, model, site]));
    return find(site) ?? find(block);
  }

  const head = (rows, row) => rows.get(row, "head_index") || rows.get(row, "head");
  const isOf = (rows, row, layer, nameColumn, modelColumn = "model") => {
    const model = rows.get(row, modelColumn), number = layers.indexOf(layer);
    return [model, `${model}, ${rows.get(row, "data")}`].some((model) =>
      model === layer.model && numberOf(layer.run, model, rows.get(row, nameColumn)) === number);
  };

  /** The measured row of a layer: the last one, which of a spectrum is the highest frequency. */
  function measured(measure, layer) {
    const rows = table(layer.run, measure.table);
    if (!rows) return null;
    const name = rows.columns.includes("block_name") ? "block_name" : "layer_name";
    const row = rows.rows.findLast((row) =>
      isOf(rows, row, layer, name) && !head(rows, row)
      && (!measure.statistic || rows.get(row, "statistic") === measure.statistic));
    if (!row || rows.get(row, measure.value) === "") return null;
    const ends = measure.ends?.map((column) => rows.get(row, column));
    return {
      value: rows.get(row, measure.value),
      error: measure.error ? rows.get(row, measure.error) : "",
      ends: ends?.every((end) => end !== "") ? ends : null,
      images: rows.get(row, "n_images"), status: rows.get(row, "status"),
    };
  }

  const uncertainty = (entry, digits) => entry.error
    ? ` ± ${short(entry.error, digits)}`
    : entry.ends ? ` [${entry.ends.map((end) => short(end, digits)).join(", ")}]` : "";

  function short(text, digits = 4) {
    const value = Number(text);
    if (text === "" || !Number.isFinite(value)) return text;
    if (/^-?\d+$/.test(text)) return text.replace(/^-/, "−");
    return (digits ? String(Number(value.toPrecision(digits))) : text).replace(/^-/, "−");
  }

  // The view that is shown; the fragment of the address has it.

  const state = { layer: null, theme: "auto", at: "" };

  function fragment() {
    const parts = [];
    if (state.layer !== null) {
      const { run, model, site } = layers[state.layer];
      parts.push("layer=" + [run, model, site].map(encodeURIComponent).join("/"));
    }
    if (state.theme !== "auto") parts.push(`theme=${state.theme}`);
    if (state.at) parts.push(`at=${state.at}`);
    return parts.length ? `#${parts.join("&")}` : " ";
  }

  function restore() {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) { state.at = text; return; }
    const parts = Object.fromEntries(text.split("&").map((part) => {
      const cut = part.indexOf("=");
      return [part.slice(0, cut), part.slice(cut + 1)];
    }));
    let names = [];
    try { names = (parts.layer ?? "").split("/").map(decodeURIComponent); } catch { names = []; }
    const found = layers.findIndex((layer) =>
      String(layer.run) === names[0] && layer.model === names[1] && layer.site === names[2]);
    state.layer = found < 0 ? null : found;
    state.theme = ["light", "dark"].includes(parts.theme) ? parts.theme : "auto";
    state.at = /^[a-z]+$/.test(parts.at ?? "") ? parts.at : "";
  }

  function remember() {
    try { history.replaceState(null, "", fragment().trim() || location.pathname); } catch { /* no history */ }
  }

  function choose(layer) {
    state.layer = layer;
    remember();
    show();
  }

  /** To the next layer of the same model. */
  function step(by) {
    if (!layers.length) return;
    if (state.layer === null) return choose(by > 0 ? 0 : layers.length - 1);
    const next = layers[state.layer + by], now = layers[state.layer];
    if (!next || next.run !== now.run || next.model !== now.model) return;
    choose(state.layer + by);
    if (document.activeElement.matches("tr[data-layer]")) {
      one(`.spine tr[data-layer="${state.layer}"]`)?.focus();
    }
  }

  // Showing it

  /** The numbers that a layer has: one in each run of its model. */
  const twins = (number) => layers.flatMap((layer, index) =>
    layer.model === layers[number].model && layer.site === layers[number].site ? [index] : []);

  /** Which numbers of a figure stand for the chosen layer: its own, else those of its block. */
  function matches(numbers) {
    const chosen = layers[state.layer], mine = new Set(twins(state.layer));
    const own = numbers.filter((number) => mine.has(number));
    if (own.length) return new Set(own);
    return new Set(numbers.filter((number) => {
      const layer = layers[number];
      return layer && layer.model === chosen.model && layer.block === chosen.block;
    }));
  }

  function show() {
    document.documentElement.dataset.theme = state.theme;
    const isChosen = state.layer !== null;
    document.body.classList.toggle("choosing", isChosen);
    const mine = new Set(isChosen ? twins(state.layer) : []);
    for (const figure of all("figure[data-plate]")) {
      const marks = all("[data-key]", figure), cells = all("[data-row]", figure);
      const number = (mark, name) => Number(mark.dataset[name]);
      const hit = isChosen
        ? matches([...marks.map((mark) => number(mark, "key")),
          ...cells.flatMap((cell) => [number(cell, "row"), number(cell, "column")])])
        : new Set();
      for (const mark of marks) mark.classList.toggle("on", hit.has(number(mark, "key")));
      for (const cell of cells) {
        cell.classList.toggle("on", hit.has(number(cell, "row")) || hit.has(number(cell, "column")));
      }
      const isKeyed = marks.length + cells.length > 0;
      figure.classList.toggle("hit", hit.size > 0);
      figure.classList.toggle("off", isChosen && isKeyed && hit.size === 0);
      curve(figure, hit);
    }
    for (const row of all("tr[data-layer]")) {
      row.classList.toggle("on", mine.has(Number(row.dataset.layer)));
    }
    bar();
    for (const details of all(".rows details[open]")) fill(details);
  }

  /** What is known of the chosen layer, at the foot of the window. */
  function bar() {
    const aside = one("#chosen");
    aside.replaceChildren();
    aside.hidden = state.layer === null;
    if (aside.hidden) return;
    const layer = layers[state.layer];
    const entries = twins(state.layer).flatMap((number) => measures.map((measure) => {
      const origin = runs.length > 1 ? `${runs[layers[number].run].title}: ` : "";
      return [{ label: origin + measure.label }, measured(measure, layers[number])];
    })).filter(([, entry]) => entry);
    aside.append(
      make("div", { class: "who" },
        make("button", { type: "button", title: "Layer before (←)", onclick: () => step(-1) }, "‹"),
        make("button", { type: "button", title: "Next layer (→)", onclick: () => step(1) }, "›"),
        make("span", {}, `${layer.model} · `, make("code", {}, layer.name))),
      make("dl", {}, ...entries.map(([measure, entry]) =>
        make("div", {}, make("dt", {}, measure.label),
          make("dd", {}, short(entry.value) + uncertainty(entry, 3))))),
      make("div", { class: "do" },
        make("button", { type: "button", onclick: () => copy(citation(layer, entries)) }, "Copy"),
        make("button", { type: "button", title: "Let go (Esc)", onclick: () => choose(null) }, "×")));
  }

  /** Values with their errors, numbers of images and the digest of the run, for a note. */
  function citation(layer, entries) {
    const values = entries.map(([measure, entry]) =>
      `${measure.label} ${entry.value}`
      + (entry.error ? ` ± ${entry.error} (SE)`
        : entry.ends ? ` (95 % ${entry.ends.join(" to ")})` : "")
      + (entry.images ? `, n = ${entry.images}` : ""));
    return `${layer.model}, ${layer.name}: ${values.join("; ")}. `
      + [...new Set(twins(layers.indexOf(layer)).map((number) => layers[number].run))].map((run) =>
        `${runs[run].title}: run.json SHA-256 ${runs[run].digest}`).join("; ");
  }

  function copy(text) {
    const area = make("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }

  // Similarities of one layer

  let pairs = null;
  /** Rows of cka.csv by the numbers of their layers. */
  function pair(first, second) {
    if (!pairs) {
      pairs = new Map();
      runs.forEach((_, run) => {
        const rows = table(run, "cka");
        for (const row of rows?.rows ?? []) {
          const [a, b] = ["a", "b"].map((end) =>
            numberOf(run, rows.get(row, `model_${end}`), rows.get(row, `layer_${end}_name`)));
          pairs.set(`${a}/${b}`, { rows, row });
        }
      });
    }
    return pairs.get(`${first}/${second}`);
  }

  /** Under a heat map of CKA, the similarities of the chosen layer as a curve with its interval. */
  function curve(figure, hit) {
    one(".curve", figure)?.remove();
    if (plates[figure.dataset.plate].view !== "cka" || !hit.size || !one("[data-row]", figure)) return;
    const cells = all("[data-row]", figure);
    const byRow = cells.filter((cell) => hit.has(Number(cell.dataset.row)));
    const chosen = byRow.length ? byRow : cells.filter((cell) => hit.has(Number(cell.dataset.column)));
    const other = byRow.length ? "column" : "row";
    const first = chosen[0]?.dataset[byRow.length ? "row" : "column"];
    const points = chosen.filter((cell) => cell.dataset[byRow.length ? "row" : "column"] === first)
      .map((cell) => {
        const found = pair(cell.dataset.row, cell.dataset.column);
        const get = (column) => found ? found.rows.get(found.row, column) : "";
        return { key: Number(cell.dataset[other]), value: get("cka"), low: get("ci_lo"), high: get("ci_hi") };
      }).filter((point) => point.value !== "");
    if (!points.length) return;
    const [width, height, left, top, base] = [460, 170, 44, 12, 140];
    const values = points.flatMap((point) => [point.value, point.low, point.high])
      .filter((text) => text !== "").map(Number);
    const low = Math.min(0, ...values), high = Math.max(1, ...values);
    const x = (index) => left + (width - left - 14) * (points.length > 1 ? index / (points.length - 1) : 0.5);
    const y = (value) => base - (base - top) * (Number(value) - low) / (high - low);
    const svg = document.createElementNS(svgSpace, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    const name = layers[first];
    svg.setAttribute("aria-label", `Similarities of ${name.model}, ${name.name}`);
    for (const level of [0, 0.25, 0.5, 0.75, 1]) {
      draw(svg, "line", { x1: left, x2: width - 14, y1: y(level), y2: y(level), class: "grid" });
      const label = draw(svg, "text", { x: left - 6, y: y(level) + 4, "text-anchor": "end" });
      label.textContent = String(level);
    }
    if (points.every((point) => point.low !== "" && point.high !== "")) {
      const edge = (end) => points.map((point, index) => `${x(index)} ${y(point[end])}`);
      draw(svg, "path", { class: "band", d: `M${edge("high").join("L")}L${edge("low").reverse().join("L")}Z` });
    }
    draw(svg, "path", { class: "line",
      d: `M${points.map((point, index) => `${x(index)} ${y(point.value)}`).join("L")}` });
    points.forEach((point, index) => {
      const mark = draw(svg, "circle", { cx: x(index), cy: y(point.value), r: 3.5 });
      const layer = layers[point.key];
      mark.dataset.tip = `${layer ? layer.name : "?"}: ${point.value}`
        + (point.low !== "" ? `\n95 %: ${point.low} to ${point.high}` : "");
      mark.dataset.go = point.key;
    });
    const ends = [[0, "start"], [points.length - 1, "end"]];
    for (const [index, anchor] of points.length > 1 ? ends : ends.slice(0, 1)) {
      const label = draw(svg, "text", { x: x(index), y: base + 18, "text-anchor": anchor });
      label.textContent = layers[points[index].key]?.name ?? "";
    }
    one(".save", figure).before(make("div", { class: "curve" },
      make("p", {}, "CKA of ", make("code", {}, name.name), ` of ${name.model} with each `
        + `${byRow.length ? "column" : "row"}`), svg));
  }

  // Values under the pointer

  const tip = one("#tip");

  /** The words of a mark: what the drawing says, then all digits of the table. */
  function words(mark) {
    if (mark.dataset.tip) return mark.dataset.tip;
    // The window's own tooltip would stand on ours.
    const title = one(":scope > title", mark);
    if (title) {
      mark.dataset.said = title.textContent;
      title.remove();
    }
    let text = mark.dataset.said ?? "";
    const view = plates[mark.closest("figure")?.dataset.plate]?.view;
    if (mark.dataset.row !== undefined && view === "cka") {
      const found = pair(mark.dataset.row, mark.dataset.column);
      if (found) {
        const get = (column) => found.rows.get(found.row, column);
        text = `${get("model_a")}, ${get("layer_a_name")} × ${get("model_b")}, ${get("layer_b_name")}`
          + `\nCKA ${get("cka") || "undefined"}`
          + (get("ci_lo") && get("ci_hi") ? `\n95 %: ${get("ci_lo")} to ${get("ci_hi")}` : "")
          + `\n${get("estimator")}, ${get("kernel")}, ${get("rows")}; n = ${get("n_images")} in `
          + `${get("n_batches")} × ${get("batch_size")}; ${get("status")}`;
      }
    } else if (mark.dataset.key !== undefined && ["circle", "path"].includes(mark.localName)) {
      const layer = layers[mark.dataset.key];
      const measure = measures.find((measure) => measure.view === view && view !== "attention");
      const entry = layer && measure && measured(measure, layer);
      if (entry) {
        text += `\n${measure.label} ${entry.value}`
          + (entry.error ? `\nstandard error ${entry.error}` : "")
          + (entry.ends ? `\n95 %: ${entry.ends.join(" to ")}` : "")
          + (entry.images ? `\nn = ${entry.images}` : "") + (entry.status ? `; ${entry.status}` : "");
      }
    }
    return text;
  }

  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.("svg *");
    const text = mark ? words(mark) || (mark.parentNode.dataset?.key ? words(mark.parentNode) : "") : "";
    tip.hidden = !text;
    tip.textContent = text;
    if (text) place(event);
  });
  document.addEventListener("pointermove", (event) => { if (!tip.hidden) place(event); });
  document.addEventListener("pointerleave", () => { tip.hidden = true; });

  function place(event) {
    const { offsetWidth: width, offsetHeight: height } = tip;
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${event.clientY + 18 + height > innerHeight
      ? Math.max(4, event.clientY - height - 10) : event.clientY + 18}px`;
  }

  // Choosing

  const asNumber = (text) => text === undefined || Number(text) < 0 ? null : Number(text);

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link) {
      event.preventDefault();
      state.at = link.getAttribute("href").slice(1);
      if (link.dataset.choose !== undefined) choose(Number(link.dataset.choose));
      else remember();
      one(`#${CSS.escape(state.at)}`)?.scrollIntoView();
      return;
    }
    const mark = event.target.closest?.("[data-go], [data-key], [data-row], tr[data-layer]");
    if (!mark || mark.closest("a, button, input")) return;
    const { go, key, row, column, layer } = mark.dataset;
    const number = asNumber(go) ?? asNumber(key) ?? asNumber(row) ?? asNumber(column) ?? asNumber(layer);
    if (number !== null) choose(number === state.layer ? null : number);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches?.("input, select, textarea")) return;
    const row = event.target.closest?.("tr[data-layer]");
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "Escape" && state.layer !== null) choose(null);
    else if (row && (event.key === "Enter" || event.key === " ")) choose(Number(row.dataset.layer));
    else return;
    event.preventDefault();
  });

  // Rows and files

  function save(name, type, text) {
    const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const shownRows = 200;
  /** The rows of an open table: those of the chosen layer where the table names layers. */
  function fill(details) {
    const { run, table: name } = details.parentNode.dataset;
    const rows = table(run, name);
    let shown = rows.rows.map((row, index) => ({ row, index }));
    const names = [["layer_name", "model"], ["block_name", "model"], ["layer_a_name", "model_a"],
      ["layer_b_name", "model_b"]].filter(([column]) => rows.columns.includes(column));
    const layer = state.layer === null ? null
      : twins(state.layer).map((number) => layers[number]).find((layer) => layer.run === Number(run));
    if (layer && names.length) {
      shown = shown.filter(({ row }) => names.some(([column, model]) =>
        isOf(rows, row, layer, column, model)));
    }
    const { sort, down } = details.dataset;
    if (sort !== undefined) {
      const column = Number(sort), turn = down ? -1 : 1;
      const isNumber = shown.every(({ row }) => row[column] === "" || Number.isFinite(Number(row[column])));
      const value = ({ row }) => isNumber ? (row[column] === "" ? Infinity : Number(row[column])) : row[column];
      shown.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        return (x < y ? -turn : x > y ? turn : 0) || a.index - b.index;
      });
    }
    const header = make("tr", {}, ...rows.columns.map((column, index) =>
      make("th", { scope: "col" }, make("button", { type: "button", onclick: () => {
        details.dataset.down = details.dataset.sort === String(index) && !details.dataset.down ? "1" : "";
        details.dataset.sort = index;
        fill(details);
      } }, column))));
    const body = shown.slice(0, shownRows).map(({ row }) => make("tr", {}, ...row.map((field) =>
      make("td", Number.isFinite(Number(field)) && field !== "" ? { class: "n", title: field } : {},
        short(field)))));
    one(".scroll", details)?.remove();
    one(".note", details)?.remove();
    details.append(
      make("div", { class: "scroll" }, make("table", {}, make("thead", {}, header), make("tbody", {}, ...body))),
      make("p", { class: "note" }, `${Math.min(shown.length, shownRows)} of ${rows.rows.length} rows`
        + (shown.length < rows.rows.length ? `, ${shown.length} of them of the chosen layer` : "")));
  }

  for (const place of all(".rows")) {
    const { run, table: name } = place.dataset;
    const rows = table(run, name);
    if (!rows) continue;
    const details = make("details", { ontoggle: () => { if (details.open) fill(details); } },
      make("summary", {}, `${name}.csv, ${rows.rows.length} rows`));
    place.append(details, make("button", { type: "button",
      onclick: () => save(`${name}.csv`, "text/csv", rows.text) }, "Save CSV"));
  }

  for (const figure of all("figure[data-plate]")) {
    const { file } = plates[figure.dataset.plate];
    const svg = one("svg", figure);
    one(":scope > title", svg)?.remove();
    svg.removeAttribute("aria-labelledby");
    svg.setAttribute("aria-label", plates[figure.dataset.plate].title);
    const buttons = make("div", { class: "save" }, make("button", { type: "button",
      onclick: () => save(`${file}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(svg)) }, "SVG"));
    const vega = all("script.vega").find((block) => block.dataset.plate === figure.dataset.plate);
    if (vega) {
      buttons.append(make("button", { type: "button", onclick: () =>
        save(`${file}.vl.json`, "application/json", JSON.stringify(read(vega), null, 2)) }, "Vega-Lite"));
    }
    figure.append(buttons);
  }

  const spine = one("#layers");
  if (spine) {
    const search = make("input", { type: "search", placeholder: "Find layers: blocks.*.attn*",
      "aria-label": "Find layers", oninput: () => {
        const parts = search.value.trim().split("*")
          .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
        const pattern = new RegExp(parts.join(".*"), "i");
        for (const row of all("tr[data-layer]", spine)) {
          row.hidden = !pattern.test(layers[row.dataset.layer].name);
        }
      } });
    one("h2", spine).after(search);
  }

  const themes = ["auto", "light", "dark"];
  const button = make("button", { type: "button", class: "theme", onclick: () => {
    state.theme = themes[(themes.indexOf(state.theme) + 1) % themes.length];
    button.textContent = `Colours: ${state.theme}`;
    remember();
    show();
  } });
  one("header .wide").prepend(button);

  addEventListener("hashchange", () => { restore(); show(); });
  restore();
  button.textContent = `Colours: ${state.theme}`;
  document.documentElement.classList.add("scripted");
  show();
  if (state.at) one(`#${CSS.escape(state.at)}`)?.scrollIntoView();
})();
