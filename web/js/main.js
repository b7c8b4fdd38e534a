// The page: photos in, one after the other through the worker, shown, corrected, downloaded

import { Colors } from "./colors.js"
import { Compare } from "./compare.js"
import { download } from "./download.js"
import { takeFiles } from "./drop_zone.js"
import { Editor } from "./editor.js"
import { fileList } from "./files.js"
import { Gallery } from "./gallery.js"
import { EditedHints } from "./hints.js"
import { Cancelled, Jobs } from "./jobs.js"
import { keepOffline } from "./offline.js"

const $ = id => document.getElementById(id), vendor = new URL("../vendor/", import.meta.url)
const bar = document.querySelector("progress"), strength = $("strength")
let editing = false, running = null, pending = null // the job that can be cancelled; the photo to be rendered next

function say(text, error = false) {
  if ($("status").textContent !== text) $("status").textContent = text // a screen reader reads each change
  $("status").classList.toggle("error", error)
}

function progress(state) {
  bar.hidden = !state
  $("cancel").hidden = !running
  if (!state) return
  bar.value = state.share
  say(state.words)
}

const jobs = new Jobs(why => say(`The worker ended (${why}) and was started again.`, true))
const compare = new Compare($("compare"))
const gallery = new Gallery(document.querySelector(".strip"), show, count)
const orderOf = photo => ({ photo: photo.id, file: photo.file, name: photo.name, hints: photo.hints?.hints ?? [], strength: +strength.value })
const keyOf = ({ hints, strength: s }) => JSON.stringify([hints, s])
let editor

/** Buttons that concern all photos */
function count() {
  $("save-all").hidden = gallery.photos.filter(o => o.state === "done").length < 2
  $("go-on").hidden = running || !gallery.photos.some(o => o.state === "stopped")
}

function show(photo) {
  const done = photo.state === "done", failed = photo.state === "failed"
  $("oops").hidden = !failed
  $("oops").querySelector("p").textContent = failed ? photo.message : ""
  $("compare").hidden = failed || (editing && done)
  $("editor").hidden = !(editing && done)
  compare.show(photo)
  for (const id of ["save", "correct"]) $(id).disabled = !done
  strength.disabled = !done
  $("correct").textContent = editing ? "Compare" : "Correct colours"
  $("correct").setAttribute("aria-pressed", editing)
  if (editing && done) editor.edit(photo)
  if (done && photo.made !== keyOf(orderOf(photo))) render(photo)
}

/** Run a job that the user can cancel; `false` if it was */
async function cancellable(what, order) {
  running = jobs.run(what, order, progress)
  progress({ words: `Opening ${order.name}`, share: 0 })
  try { return await running } catch (e) {
    if (e instanceof Cancelled) return false
    throw e
  } finally {
    running = null
    progress(null)
    count()
  }
}

/** Colour the photos that wait, one by one */
async function pump() {
  if (running) return
  const photo = gallery.photos.find(o => o.state === "waiting")
  if (!photo) return
  const order = orderOf(photo), set = values => { Object.assign(photo, values); gallery.update(photo) }
  set({ state: "working" })
  try {
    const found = await cancellable("color", order)
    if (!found) set({ state: "stopped" })
    else if (gallery.photos.includes(photo)) finish(photo, found, order)
  } catch (e) {
    set({ state: "failed", message: e.message })
    if (photo !== gallery.current) say(e.message, true)
  }
  pump()
}

function finish(photo, { before, after, size, notes }, order) {
  gallery.picture(photo, "before", before)
  gallery.picture(photo, "after", after)
  Object.assign(photo, { state: "done", size, hints: photo.hints ?? new EditedHints(size), made: keyOf(order) })
  photo.message = notes.length ? `${photo.name}: ${notes.join("; ")}` : ""
  say(photo.message || `${photo.name} is in colour, ${size.join(" by ")} pixels.`)
  gallery.update(photo)
}

/** Paint a photo again, with other hints or another strength; of several wishes the newest is done */
async function render(photo) {
  if (pending) { pending = photo; return }
  for (pending = photo; pending;) {
    const now = pending, order = orderOf(now)
    try {
      const { after } = await jobs.run("render", order)
      if (!gallery.photos.includes(now)) { pending = null; break }
      gallery.picture(now, "after", after)
      now.made = keyOf(order)
      if (pending === now && now.made === keyOf(orderOf(now))) pending = null
      gallery.strip.children[gallery.photos.indexOf(now)].firstChild.src = now.after
      if (now === gallery.current) { compare.show(now); editor.picture() }
    } catch (e) {
      pending = null
      say(e.message, true)
    }
  }
}

const look = (photo, mark) => jobs.run("look", { ...orderOf(photo), mark }).catch(e => say(e.message, true))

async function save(photo) {
  if (running) return say("One moment: a photo is being coloured. Download it when the others are done, or cancel them.")
  try {
    const result = await cancellable("save", orderOf(photo))
    if (!result) return say("Cancelled.")
    download(result.name, result.blob)
    say(`${result.name} is among your downloads.`)
    return true
  } catch (e) { say(e.message, true) }
  finally { pump() }
}

function take(files) {
  if (!files.length) return
  const added = files.map(file => gallery.add(file, file.name))
  $("start").hidden = true
  $("work").hidden = false
  gallery.select(added[0])
  pump()
}

function listen() {
  $("save").addEventListener("click", () => save(gallery.current))
  $("save-all").addEventListener("click", async () => {
    for (const photo of gallery.photos.filter(o => o.state === "done")) if (!await save(photo)) return
  })
  $("correct").addEventListener("click", () => { editing = !editing; show(gallery.current) })
  $("cancel").addEventListener("click", () => {
    for (const photo of gallery.photos.filter(o => o.state === "waiting")) { photo.state = "stopped"; gallery.update(photo) }
    running?.cancel()
    say("Cancelled.")
  })
  $("go-on").addEventListener("click", () => {
    for (const photo of gallery.photos.filter(o => o.state === "stopped")) { photo.state = "waiting"; gallery.update(photo) }
    pump()
  })
  $("remove").addEventListener("click", () => {
    const photo = gallery.current
    if (photo.state === "working") running?.cancel()
    jobs.run("forget", { photo: photo.id })
    gallery.remove(photo)
    $("work").hidden = !gallery.photos.length
    $("start").hidden = gallery.photos.length > 0
    say(`${photo.name} was removed from this page.`)
  })
  strength.addEventListener("input", () => {
    strength.nextElementSibling.value = (+strength.value).toFixed(1)
    if (gallery.current?.state === "done") render(gallery.current)
  })
}

function offerSamples(names) {
  const row = document.querySelector(".samples .row")
  for (const path of names) {
    const url = new URL(path, vendor), name = path.split("/").pop(), button = Object.assign(document.createElement("button"), { type: "button" })
    button.append(Object.assign(new Image(), { src: url.href, alt: `Sample: ${name}` }))
    button.addEventListener("click", async () => take([new File([await (await fetch(url)).blob()], name)]))
    row.append(button)
  }
  row.parentElement.hidden = !names.length
}

async function start() {
  if (!("OffscreenCanvas" in self && "createImageBitmap" in self && "DecompressionStream" in self && "WebAssembly" in self)) {
    throw new Error("This browser is too old for this page. It works in Chrome and Edge 94, Firefox 113 and Safari 16.4, and in newer ones.")
  }
  takeFiles(document.body, take) // first of all: a browser would open a photo that is dropped on a page that does not listen
  const wanted = new URL(location.href).searchParams.get("backend") ?? undefined
  const loaded = jobs.run("load", { backend: wanted }, state => { if (!gallery.photos.length) progress(state) })
  const used = loaded.then(({ files }) => files, () => []) // if it fails, a new version may be the cure
  used.then(files => keepOffline($("offline"), files))
  const json = name => fetch(new URL(name, vendor)).then(answer => answer.json())
  const [list, usual, names] = await Promise.all([fileList(), json("usual_colors.json"), json("color_names.json")])
  editor = new Editor($("editor"), new Colors(usual, names), { look, render, say })
  $("bytes").textContent = `${(list.first.reduce((sum, o) => sum + list.files[o].bytes, 0) / 1e6).toFixed(0)} MB`
  listen()
  $("start").hidden = gallery.photos.length > 0
  offerSamples(list.samples)
  const { backend } = await loaded
  $("backend").textContent = backend
  document.body.dataset.backend = backend
  if (!running) progress(null)
  if (!gallery.photos.length) say("")
}

document.body.classList.remove("starting")
start().catch(e => { progress(null); say(e.message, true) })
