// <tsunami-run>: how far a run is. Its `value` is what sync_to_bronze, get_run and cancel_run answer.
const OPEN = ["queued", "running"];

class TsunamiRun extends HTMLElement {
  #value = null;

  get value() {
    return this.#value;
  }

  set value(run) {
    this.#value = run;
    this.setAttribute("role", "status");
    this.replaceChildren(...this.#parts(run).filter(Boolean));
  }

  #parts(run) {
    const named = Boolean(run.table_name && run.bronze_table);
    return [
      within("div", "head", [
        make("h1", named ? `${run.table_name} → ${run.bronze_table}` : run.kind),
        make("span", run.status, `status ${run.status}`),
      ]),
      OPEN.includes(run.status) && this.#progress(run),
      this.#counts(run),
      run.problem ? problem(run.problem) : run.message && told([run.message]),
      told(run.notes ?? []),
      this.#drift(run.drift ?? []),
      make("p", run.run_id, "faint"),
    ];
  }

  #progress(run) {
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", "rows read");
    if (run.rows_total) {
      bar.max = Math.max(run.rows_total, run.rows_read);
      bar.value = run.rows_read;
    }
    return bar;
  }

  #counts(run) {
    const total = run.rows_total ? ` of about ${whole(run.rows_total)}` : "";
    const rate = run.rows_read && run.elapsed_seconds ? `${whole(Math.round(run.rows_read / run.elapsed_seconds))} rows/s` : null;
    return facts([
      ["Rows read", `${whole(run.rows_read)}${total}`],
      ["Rows written", whole(run.rows)],
      ["Rows rescued", run.rows_rescued ? whole(run.rows_rescued) : null],
      ["Read", run.bytes_read ? bytes(run.bytes_read) : null],
      ["Time", run.elapsed_seconds === undefined ? null : seconds(run.elapsed_seconds)],
      ["Speed", rate],
      ["Mode", run.sync_mode],
      ["Log kept at the source", run.lag_bytes === undefined ? null : bytes(run.lag_bytes)],
    ]);
  }

  #drift(findings) {
    const rows = findings.map((one) => [one.kind, one.column, one.before, one.after].map((text) => make("td", text)));
    const header = [["Change"], ["Column"], ["Before"], ["Now"]];
    return rows.length ? within("section", "", [make("h2", "How the source changed"), grid(header, rows)]) : null;
  }
}

customElements.define("tsunami-run", TsunamiRun);
