// <tsunami-table>: a table's columns with their profile, and some rows. Its `value` is what describe_table answers.
const NUMBERS = /^(tinyint|smallint|int|bigint|float|double|decimal)/i;

class TsunamiTable extends HTMLElement {
  #value = null;

  get value() {
    return this.#value;
  }

  set value(described) {
    this.#value = described;
    this.replaceChildren(...this.#parts(described).filter(Boolean));
  }

  #parts(described) {
    const { table, columns, sample = [] } = described;
    return [
      within("div", "head", [make("h1", table.table), make("span", `version ${described.version}`, "faint")]),
      table.comment && make("p", table.comment),
      this.#facts(described),
      make("h2", this.#profiled(described)),
      this.#columns(columns, described.profiled_rows),
      sample.length ? make("h2", sample.length === 1 ? "1 row" : `${whole(sample.length)} rows`) : null,
      sample.length ? this.#rows(columns, sample) : null,
      described.notice && told([described.notice]),
    ];
  }

  #facts({ table, key = [] }) {
    return facts([
      ["Rows", table.rows === undefined ? null : whole(table.rows)],
      ["Size", table.size_bytes === undefined ? null : bytes(table.size_bytes)],
      ["Updated", table.updated_at && new Date(table.updated_at).toLocaleString()],
      ["Key", key.join(", ")],
    ]);
  }

  #profiled({ columns, profiled_rows: rows }) {
    const count = columns.length === 1 ? "1 column" : `${whole(columns.length)} columns`;
    return rows ? `${count}, profiled over ${whole(rows)} rows` : count;
  }

  #columns(columns, rows) {
    const profiled = Boolean(rows);
    const comments = columns.some((column) => column.comment);
    const header = [["Column"], ["Type"]];
    if (profiled) header.push(["Empty", "number"], ["Distinct", "number"], ["Least"], ["Greatest"]);
    if (comments) header.push(["Comment"]);
    return grid(
      header,
      columns.map((column) => [
        make("td", column.name),
        make("td", column.nullable ? column.type : `${column.type}, never empty`),
        ...(profiled ? this.#profile(column, rows) : []),
        ...(comments ? [make("td", column.comment, "words")] : []),
      ]),
    );
  }

  #profile({ profile }, rows) {
    if (!profile) return ["", "", "", ""].map((text) => make("td", text));
    const distinct = profile.distinct === undefined ? "" : `~${whole(profile.distinct)}`;
    return [
      this.#share(profile.nulls / rows),
      make("td", distinct, "number"),
      make("td", String(profile.minimum ?? "")),
      make("td", String(profile.maximum ?? "")),
    ];
  }

  #share(share) {
    const shown = share > 0 && share < 0.001 ? "< 0.1 %" : `${+(share * 100).toFixed(1)} %`;
    const filled = make("i");
    filled.style.width = `${Math.min(share, 1) * 100}%`;
    const cell = make("td", shown, "number");
    cell.append(within("span", "share", [filled]));
    return cell;
  }

  #rows(columns, sample) {
    const header = columns.map((column) => [column.name, NUMBERS.test(column.type) ? "number" : ""]);
    return grid(
      header,
      sample.map((row) => row.map((value, place) => this.#cell(value, columns[place]?.type ?? ""))),
    );
  }

  #cell(value, type) {
    const kind = NUMBERS.test(type) ? "number" : "";
    return value === null ? make("td", "null", `${kind} null`) : make("td", String(value), kind);
  }
}

customElements.define("tsunami-table", TsunamiTable);
