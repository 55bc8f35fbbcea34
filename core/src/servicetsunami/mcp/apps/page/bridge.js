// Speaks with whoever shows this page: JSON-RPC through postMessage, as MCP Apps of 2026-01-26 describes.
class Bridge {
  #last = 0;
  #waiting = new Map();
  #heard;
  canCall = false;

  constructor(heard) {
    this.#heard = heard;
    addEventListener("message", (event) => {
      if (event.source === window.parent && event.data?.jsonrpc === "2.0") this.#hear(event.data);
    });
  }

  async begin(name) {
    const appInfo = { name, version: "1.0.0" };
    const host = await this.ask("ui/initialize", { protocolVersion: "2026-01-26", appInfo, appCapabilities: {} });
    this.canCall = Boolean(host.hostCapabilities?.serverTools);
    this.#dress(host.hostContext ?? {});
    this.tell("ui/notifications/initialized", {});
    new ResizeObserver(() => this.#fit()).observe(document.body);
  }

  ask(method, params) {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post({ id, method, params });
    });
  }

  tell(method, params) {
    this.#post({ method, params });
  }

  #hear(message) {
    if (message.method === undefined) this.#settle(message);
    else if (message.id === undefined) this.#notice(message);
    else this.#answer(message);
  }

  #settle({ id, result, error }) {
    const asked = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) asked?.reject(new Error(String(error.message)));
    else asked?.resolve(result ?? {});
  }

  #notice({ method, params }) {
    if (method === "ui/notifications/host-context-changed") this.#dress(params ?? {});
    this.#heard[method]?.(params ?? {});
  }

  #answer({ id, method, params }) {
    this.#heard[method]?.(params ?? {});
    const known = method === "ping" || method === "ui/resource-teardown";
    this.#post(known ? { id, result: {} } : { id, error: { code: -32601, message: "Method not found" } });
  }

  #dress({ theme, styles }) {
    const style = document.documentElement.style;
    if (theme === "light" || theme === "dark") style.colorScheme = theme;
    for (const [name, value] of Object.entries(styles?.variables ?? {})) {
      if (name.startsWith("--") && value) style.setProperty(name, String(value));
    }
  }

  #fit() {
    const { width, height } = document.documentElement.getBoundingClientRect();
    this.tell("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
  }

  #post(message) {
    // To whichever origin: a page in a sandbox is not told which one shows it, and nothing it says is secret.
    window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }
}
