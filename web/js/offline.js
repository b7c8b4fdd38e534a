// The service worker that keeps the page for work without a connection: what is said about it, and new versions

/** Let a service worker keep files of the page that it does not keep for everybody */
function keep(worker, files) {
  const { port1, port2 } = new MessageChannel()
  return new Promise(done => {
    port1.onmessage = done
    worker.postMessage({ keep: files }, [port2])
  })
}

/**
 * @param {HTMLElement} line where it is said
 * @param {string[]} used files that this browser needs
 */
export async function keepOffline(line, used) {
  if (!navigator.serviceWorker) { line.textContent = "Works while you are connected: a page that comes neither by https nor from this machine cannot be kept."; return }
  const kept = await navigator.serviceWorker.getRegistration()
  const list = await fetch("vendor/files.json?newest", { cache: "no-cache" }).then(answer => answer.json()).catch(() => null)
  const ready = async worker => {
    await keep(worker, used)
    line.textContent = "Ready to work without a connection."
    document.body.dataset.offline = "ready"
  }
  if (!list) { if (kept?.active) ready(kept.active); return } // there is no connection
  let asked = false
  const offer = waiting => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Reload" })
    button.addEventListener("click", () => { asked = true; waiting.postMessage("take over") })
    line.replaceChildren("A new version of this page is here.", button)
  }
  const registration = await navigator.serviceWorker.register(`sw.js?v=${list.version}`).catch(() => null)
  if (!registration) { line.textContent = "Works while you are connected: this browser does not keep pages."; return }
  const had = navigator.serviceWorker.controller
  navigator.serviceWorker.addEventListener("controllerchange", () => { if (asked) location.reload() }) // other tabs keep their photos
  const watch = worker => worker?.addEventListener("statechange", () => {
    if (worker.state === "installed" && had) offer(worker)
    else if (worker.state === "activated" && !had) ready(worker)
    else if (worker.state === "redundant" && !registration.active) line.textContent = "Works while you are connected: there is no room to keep the page, or the connection broke off."
  })
  watch(registration.installing)
  registration.addEventListener("updatefound", () => watch(registration.installing))
  if (registration.waiting) offer(registration.waiting)
  else if (registration.active && !registration.installing) ready(registration.active)
  else line.textContent = "Being kept for work without a connection…"
}
