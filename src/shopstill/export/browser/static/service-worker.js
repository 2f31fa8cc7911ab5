// Keeps this folder, whole, for when there is no network. The list of its files is written in here when it is exported;
// each is kept under its SHA-256, so that a new release fetches what has changed and nothing else.

const VERSION = "";
const FILES = {};

const SCOPE = self.registration.scope;
const KEPT = `shopstill ${SCOPE} `;

const key = (path) => `${new URL(path, SCOPE).href}?sha256=${FILES[path]}`;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", ({ data }) => data === "take over" && self.skipWaiting());
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = request.method === "GET" ? within(request) : null;
  if (path !== null) event.respondWith(answer(path, request));
});

async function install() {
  const cache = await caches.open(KEPT + VERSION);
  for (const path of Object.keys(FILES)) {
    // What an older release has kept and has not changed is taken from there.
    const kept = await caches.match(key(path));
    await cache.put(key(path), kept ?? (await fetched(path)));
  }
}

async function fetched(path) {
  const integrity = `sha256-${btoa(String.fromCharCode(...FILES[path].match(/../g).map((byte) => parseInt(byte, 16))))}`;
  const found = await fetch(new URL(path, SCOPE), { cache: "no-cache", integrity });
  if (!found.ok) throw new Error(`${path}: ${found.status}`);
  // A page may not be answered with what a redirection led to.
  return found.redirected ? new Response(await found.blob(), { headers: found.headers }) : found;
}

async function activate() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(KEPT) && name !== KEPT + VERSION);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** The file of this folder that is asked for, or null. */
function within(request) {
  const address = request.url.split(/[?#]/)[0];
  if (!address.startsWith(SCOPE)) return null;
  const path = decodeURIComponent(address.slice(SCOPE.length)) || "index.html";
  return Object.hasOwn(FILES, path) ? path : null;
}

async function answer(path, request) {
  const cache = await caches.open(KEPT + VERSION);
  return (await cache.match(key(path))) ?? fetch(request);
}
