// What the elements are made of. Text only ever becomes text: nothing that came from a source is read as markup.
function make(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function within(tag, kind, children) {
  const made = make(tag, undefined, kind);
  made.append(...children.filter(Boolean));
  return made;
}

function whole(number) {
  return Number(number).toLocaleString();
}

function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
  return `${size.toLocaleString(undefined, { maximumFractionDigits: unit ? 1 : 0 })} ${units[unit]}`;
}

function seconds(time) {
  if (time < 60) return `${time.toLocaleString(undefined, { maximumFractionDigits: 1 })} s`;
  const left = Math.floor(time % 60);
  return `${whole(Math.floor(time / 60))} min ${left} s`;
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return within("dl", "", known.map(([name, value]) => within("div", "", [make("dt", name), make("dd", value)])));
}

function problem(found) {
  return within("div", "told problem", [
    make("p", `${found.code}: ${found.message}`),
    found.why && make("p", found.why, "faint"),
    found.fix && make("p", found.fix),
  ]);
}

function told(lines) {
  return lines.length ? within("div", "told", lines.map((line) => make("p", line))) : null;
}

function grid(header, rows) {
  const head = within("tr", "", header.map(([name, kind]) => make("th", name, kind)));
  const body = rows.map((cells) => within("tr", "", cells));
  return within("div", "wide", [within("table", "", [within("thead", "", [head]), within("tbody", "", body)])]);
}
