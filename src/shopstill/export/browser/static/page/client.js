// The page's side of the worker: one question at a time, and of those that wait only the newest.

export class Client {
  /** @param {(bytes: number) => void} loaded is told what has come */
  constructor(loaded = () => {}) {
    this.worker = new Worker(new URL("../worker.js", import.meta.url), { type: "module" });
    this.number = 0;
    this.busy = null;
    this.waiting = null;
    this.facts = new Promise((resolve, reject) => {
      this.worker.addEventListener("error", (event) => reject(new Error(event.message || "worker.js")));
      this.worker.addEventListener("message", ({ data }) => {
        if (data.loaded) loaded(data.loaded);
        else if (data.facts) resolve(data.facts);
        else if (data.number) this.#answered(data);
        else reject(new Error(data.fault));
      });
    });
  }

  /** {query, hits, total, facets, spelling, ms, waited}; null where a newer question came first. */
  search(query, { limit = 24, ...more } = {}) {
    return new Promise((resolve, reject) => {
      this.waiting?.resolve(null);
      this.waiting = { query, options: { limit, ...more }, resolve, reject };
      this.#next();
    });
  }

  #next() {
    if (this.busy || !this.waiting) return;
    this.busy = { ...this.waiting, number: ++this.number, begun: performance.now() };
    this.waiting = null;
    const { number, query, options } = this.busy;
    this.worker.postMessage({ number, query, options });
  }

  #answered(data) {
    const { resolve, reject, begun } = this.busy;
    this.busy = null;
    if (data.fault) reject(new Error(data.fault));
    else resolve({ ...data, waited: performance.now() - begun });
    this.#next();
  }
}
