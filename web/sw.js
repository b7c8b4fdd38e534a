// Keeps all files of one version of the page, and adds headers that a static server does not send:
// a policy for the worker too, which the page's own does not reach, and the isolation that threads need

const version = new URL(location.href).searchParams.get("v"), name = `colours ${version}`
const extra = {
  "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'",
}
const listPath = "vendor/files.json"
const hex = buffer => [...new Uint8Array(buffer)].map(v => v.toString(16).padStart(2, "0")).join("")

function withHeaders(answer) {
  if (!answer.ok) return answer
  const headers = new Headers(answer.headers)
  for (const [key, value] of Object.entries(extra)) headers.set(key, value)
  return new Response(answer.body, { status: answer.status, headers })
}

/** A file of this version: a copy that the browser has kept of another version is fetched again */
async function fetched(path, { sha256 }) {
  for (const cache of ["default", "reload"]) {
    const answer = await fetch(path, { cache })
    if (answer.ok && hex(await crypto.subtle.digest("SHA-256", await answer.clone().arrayBuffer())) === sha256) return answer
  }
  throw new Error(`${path}: not the file of version ${version}`)
}

async function fill() {
  const answer = await fetch(listPath, { cache: "no-cache" }), list = await answer.clone().json(), cache = await caches.open(name)
  if (list.version !== version) throw new Error("there is a newer version")
  for (const path of list.first) await cache.put(path, await fetched(path, list.files[path]))
  await cache.put(listPath, answer)
}

/** What not every visitor needs, such as the runtime for WebGPU, is kept where it was used: it will be needed again */
async function keep(paths) {
  const cache = await caches.open(name), { files } = await (await cache.match(listPath)).json()
  for (const path of paths) if (files[path] && !await cache.match(path)) await cache.put(path, await fetched(path, files[path]))
}

async function answerTo(request) {
  const url = new URL(request.url), scope = new URL(registration.scope), path = url.pathname.slice(scope.pathname.length) || "index.html"
  const cache = await caches.open(name)
  if (url.search === "?newest") return fetch(request) // so that a new version is found
  const found = await cache.match(path)
  if (found) return withHeaders(found)
  return withHeaders(await fetch(request))
}

addEventListener("install", e => e.waitUntil(fill()))
addEventListener("activate", e => e.waitUntil((async () => {
  for (const old of await caches.keys()) if (old.startsWith("colours ") && old !== name) await caches.delete(old)
  await clients.claim()
})()))
addEventListener("message", e => {
  if (e.data === "take over") skipWaiting()
  else e.waitUntil(keep(e.data.keep).catch(() => {}).then(() => e.ports[0].postMessage("done"))) // without them, WebAssembly does
})
addEventListener("fetch", e => {
  const url = new URL(e.request.url)
  if (e.request.method === "GET" && url.origin === location.origin && url.href.startsWith(registration.scope)) e.respondWith(answerTo(e.request))
})
