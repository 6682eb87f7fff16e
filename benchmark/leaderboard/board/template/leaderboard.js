"use strict";
(() => {
  const board = JSON.parse(document.getElementById("board").textContent);
  const rows = new Map(board.rows.map((row) => [row.id, row]));
  const filters = document.getElementById("filters");
  const sections = [...document.querySelectorAll("section[data-set]")];
  const groups = [...document.querySelectorAll("tbody.group")];
  const marks = [...document.querySelectorAll("[data-mark]")];
  const bodies = [...document.querySelectorAll("tbody[data-id]")];
  const order = ["reported", "recomputed", "re-executed", "retrained"];

  const make = (name, text, attributes = {}) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  // Sort key of each column. Undefined keys, such as missing scores, come last in both directions.
  const keys = {
    rank: (row) => row.rank ?? undefined,
    method: (row) => row.method.toLowerCase(),
    level: (row) => order.indexOf(row.level),
    "fresh-mcc": (row) => row.fresh.mcc?.mean,
    "fresh-r2": (row) => row.fresh.r2?.mean,
    "public-mcc": (row) => row.public.mcc?.mean,
    "public-r2": (row) => row.public.r2?.mean,
    gap: (row) => row.gap?.mcc.difference,
    best: (row) => (row.best ? 0 : row.interval ? (row.interval[0] + row.interval[1]) / 2 : undefined),
    seeds: (row) => parseInt(row.seeds, 10),
  };
  const rising = new Set(["rank", "method"]);
  const places = new Map(bodies.map((body, place) => [body.dataset.id, place]));

  const sort = (table, key, direction) => {
    const value = keys[key];
    const compare = (a, b) => {
      const [x, y] = [value(rows.get(a.dataset.id)), value(rows.get(b.dataset.id))];
      if (x === undefined || y === undefined) {
        return (x === undefined) - (y === undefined) || places.get(a.dataset.id) - places.get(b.dataset.id);
      }
      const apart = x < y ? -1 : x > y ? 1 : 0;
      return apart * direction || places.get(a.dataset.id) - places.get(b.dataset.id);
    };
    // Rows stay below the heading of their supervision, since figures of two kinds are not compared.
    for (const heading of table.querySelectorAll("tbody.group")) {
      const own = bodies.filter((body) => body.dataset.track === heading.dataset.track);
      table.append(heading, ...own.sort(compare));
    }
    for (const head of table.tHead.querySelectorAll("th")) {
      const own = head.dataset.key === key;
      head.setAttribute("aria-sort", own ? (direction > 0 ? "ascending" : "descending") : "none");
    }
  };

  for (const section of sections) {
    const table = section.querySelector("table");
    for (const head of table.tHead.querySelectorAll("th")) {
      const key = head.dataset.key;
      const button = make("button", head.textContent, { type: "button" });
      button.addEventListener("click", () => {
        const first = rising.has(key) ? 1 : -1;
        const now = { ascending: 1, descending: -1 }[head.getAttribute("aria-sort")];
        sort(table, key, now === undefined ? first : -now);
        filters.elements.sort.value = "";
      });
      head.replaceChildren(button);
      head.setAttribute("aria-sort", key === "rank" ? "ascending" : "none");
    }
  }

  // Rows that match the filters, in the order of the page.
  const shown = () => [...document.querySelectorAll("tbody[data-id]")]
    .filter((body) => !body.hidden).map((body) => rows.get(body.dataset.id));

  const filter = () => {
    const asked = Object.fromEntries(new FormData(filters));
    const part = asked.method.trim().toLowerCase();
    const fits = (row) =>
      ["data", "level", "supervision"].every((name) => !asked[name] || row[name] === asked[name]) &&
      row.method.toLowerCase().includes(part);
    let count = 0;
    for (const body of bodies) {
      body.hidden = !fits(rows.get(body.dataset.id));
      count += !body.hidden;
    }
    const left = new Set(bodies.filter((body) => !body.hidden).map((body) => body.dataset.track));
    for (const heading of groups) heading.hidden = !left.has(heading.dataset.track);
    for (const mark of marks) mark.toggleAttribute("hidden", !fits(rows.get(mark.dataset.mark)));
    for (const section of sections) {
      section.hidden = ![...section.querySelectorAll("tbody[data-id]")].some((body) => !body.hidden);
    }
    document.getElementById("nothing").hidden = count > 0 || bodies.length === 0;
    document.getElementById("count").textContent = `${count} of ${bodies.length} rows`;
  };
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.elements.sort.addEventListener("change", (event) => {
    const key = event.target.value || "rank";
    for (const section of sections) sort(section.querySelector("table"), key, rising.has(key) ? 1 : -1);
  });

  // The colour of a cell shows its value: blue is positive, red is negative. Its text is the number.
  const tint = (cell, value) => {
    const strength = Math.min(1, Math.abs(value));
    cell.style.backgroundColor = `hsl(${value < 0 ? 14 : 214} 65% ${97 - 40 * strength}%)`;
  };

  const heat = (caption, heads, labels, lines) => {
    const table = make("table", undefined, { class: "heat" });
    table.append(make("caption", caption));
    const top = table.createTHead().insertRow();
    top.append(make("td"));
    for (const head of heads) {
      const cell = make("th", undefined, { scope: "col" });
      cell.append(make("span", head));
      top.append(cell);
    }
    const body = table.createTBody();
    lines.forEach((line, index) => {
      const row = body.insertRow();
      row.append(make("th", labels[index], { scope: "row" }));
      for (const value of line) {
        const cell = make("td", value.toFixed(2));
        tint(cell, value);
        row.append(cell);
      }
    });
    const scroll = make("div", undefined, { class: "scroll", tabindex: "0", role: "group", "aria-label": caption });
    scroll.append(table);
    return scroll;
  };

  const detail = (row) => {
    const { factors, per_factor, correlation, codes, facts, reproduce } = row.detail;
    const place = make("td", undefined, { colspan: "10", role: "cell" });
    const grid = make("div", undefined, { class: "grid" });
    const [left, right] = [make("div"), make("div")];
    const names = Object.keys(per_factor);
    const lines = factors.map((_, index) => names.map((name) => per_factor[name][index]));
    left.append(make("h3", "Factor by factor"));
    left.append(heat("Mean over seeds, at best 1", names, factors, lines));
    right.append(make("h3", "Correlation of factors and codes"));
    right.append(heat("Pearson, first seed, public test split, codes as assigned", codes, factors, correlation));
    grid.append(left, right);
    const list = make("dl", undefined, { class: "facts" });
    for (const [name, value] of Object.entries(facts)) list.append(make("dt", name), make("dd", value));
    place.append(grid, make("h3", "Facts"), list, make("h3", "Reproduce"), make("pre", reproduce));
    const line = make("tr", undefined, { class: "detail", role: "row", id: `detail-${row.id}` });
    line.append(place);
    return line;
  };

  for (const body of bodies) {
    const row = rows.get(body.dataset.id);
    if (!row.detail) continue;
    const button = make("button", "details", {
      type: "button", class: "more", "aria-expanded": "false", "aria-controls": `detail-${row.id}`, "aria-label": `details of ${row.method}`,
    });
    button.addEventListener("click", () => {
      const open = body.querySelector(".detail");
      if (open) open.remove();
      else body.append(detail(row));
      button.setAttribute("aria-expanded", String(!open));
    });
    body.querySelector("th").append(button);
  }

  const save = (name, type, text) => {
    const link = make("a", "", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };

  // Cells that a spreadsheet would read as a formula are written as text.
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const columns = {
    id: (r) => r.id, track: (r) => r.track, data: (r) => r.data, supervision: (r) => r.supervision,
    rank: (r) => r.rank, method: (r) => r.method, level: (r) => r.level, seeds: (r) => r.seeds,
    fresh_mcc: (r) => r.fresh.mcc?.mean, fresh_mcc_sd: (r) => r.fresh.mcc?.sd,
    fresh_r2: (r) => r.fresh.r2?.mean, fresh_r2_sd: (r) => r.fresh.r2?.sd,
    public_mcc: (r) => r.public.mcc?.mean, public_mcc_sd: (r) => r.public.mcc?.sd,
    public_r2: (r) => r.public.r2?.mean, public_r2_sd: (r) => r.public.r2?.sd,
    gap_mcc: (r) => r.gap?.mcc.difference, gap_mcc_se: (r) => r.gap?.mcc.standard_error,
    gap_r2: (r) => r.gap?.r2.difference, gap_r2_se: (r) => r.gap?.r2.standard_error,
    best_from: (r) => r.interval?.[0], best_to: (r) => r.interval?.[1], best_r2_from: (r) => r.r2_interval?.[0], best_r2_to: (r) => r.r2_interval?.[1], best_by_seeds_alone: (r) => r.by_seeds_alone, suspicious: (r) => r.suspicious,
    season: (r) => r.season, fresh_rows: (r) => r.rows, protocol: (r) => r.protocol, date: (r) => r.id.slice(0, 10),
    licence: (r) => r.licence, paper: (r) => r.paper, code: (r) => r.code,
  };
  document.getElementById("csv").addEventListener("click", () => {
    const lines = shown().map((row) => Object.values(columns).map((read) => cell(read(row))).join(","));
    save("leaderboard.csv", "text/csv", [Object.keys(columns).join(","), ...lines, ""].join("\n"));
  });
  document.getElementById("json").addEventListener("click", () => {
    save("leaderboard.json", "application/json", JSON.stringify(shown(), null, 2));
  });

  filters.hidden = false;
  filter();
})();
