// Questions to the server, and its errors as it words them.
import { ROOT } from "./dom.js";

export class Refused extends Error {
  constructor(message, status, wait = 0) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

/** The JSON answer to a GET, or to a POST where there is a body. `status` 0: the server was not reached. */
export async function ask(path, { params = {}, body, method, signal, key } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(params)) if (value !== null && value !== undefined) url.searchParams.set(name, value);
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(url, { method: method ?? (body === undefined ? "GET" : "POST"), headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("", 0);
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  throw new Refused(said?.error?.message ?? answer.statusText, answer.status, Number(answer.headers.get("Retry-After")) || 0);
}

/** A place where the newest question wins: asking again ends the one before. */
export function newest() {
  let running = new AbortController();
  return async (path, options) => {
    running.abort();
    const mine = (running = new AbortController());
    const answer = await ask(path, { ...options, signal: mine.signal });
    if (mine.signal.aborted) throw new DOMException("", "AbortError");
    return answer;
  };
}

let loaded = null;

/** The models that can be asked for by name; asked for once. */
export const models = () => (loaded ??= ask("models").then((said) => said.models.filter((one) => /^[\w.-]+$/.test(one.name))).catch(() => ((loaded = null), [])));
