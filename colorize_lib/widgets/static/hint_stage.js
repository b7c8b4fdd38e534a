// A picture with hints on it: click to choose a place, drag a hint to move it; all of it by keyboard too.
// The picture comes from Python. While a hint is dragged, one position at a time is on its way; of those that come meanwhile the newest is sent.
const patience = 500
let count = 0

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  el.innerHTML = `<div class="clz-hints" tabindex="0" role="application" aria-roledescription="photo with hints"><canvas></canvas><span class="clz-place"></span>
    <div class="clz-points"></div><div class="clz-busy"><span class="clz-spin"></span></div></div>
    <p class="clz-hint clz-keys">Keyboard: arrow keys move the mark or a hint, with Shift in larger steps; C leads to the colours, Escape back; Enter puts the last colour again;
    N and P select hints; Delete removes one; Control Z and Y undo and redo.</p>`
  const find = s => el.querySelector(s), frame = find(".clz-hints"), canvas = find("canvas"), place = find(".clz-place"), points = find(".clz-points")
  const prefix = `clz-point-${count++}-`
  let drag, sent = 0, next, newest

  const send = (what, more) => model.send({ do: what, ...more })
  const percent = (xy, i) => `${(100 * (xy + 0.5)) / model.get("size")[i]}%`
  const put = (dot, x, y) => { dot.style.left = percent(x, 0); dot.style.top = percent(y, 1) }
  const pixel = (clientX, clientY) => {
    const box = frame.getBoundingClientRect(), [w, h] = model.get("size")
    const clamp = (v, n) => Math.min(n - 1, Math.max(0, Math.floor(v * n)))
    return { x: clamp((clientX - box.left) / box.width, w), y: clamp((clientY - box.top) / box.height, h) }
  }
  const travel = at => {
    if (Date.now() - sent < patience) { next = at; return }
    sent = Date.now()
    next = undefined
    send("move", { ...at, last: false })
  }

  const add = i => {
    const dot = Object.assign(document.createElement("button"), { type: "button", className: "clz-point", id: prefix + i, tabIndex: -1 })
    dot.onpointerdown = e => {
      if (e.button) return
      const box = dot.getBoundingClientRect()
      e.preventDefault() // the focus stays with the picture
      frame.focus()
      dot.setPointerCapture(e.pointerId)
      drag = { i, x: e.clientX, y: e.clientY, dx: box.left + box.width / 2 - e.clientX, dy: box.top + box.height / 2 - e.clientY }
      send("select", { index: i })
    }
    dot.onpointermove = e => {
      if (!drag || !dot.hasPointerCapture(e.pointerId)) return
      if (!drag.at && Math.hypot(e.clientX - drag.x, e.clientY - drag.y) < 4) return // a finger is never quite still
      drag.at = pixel(e.clientX + drag.dx, e.clientY + drag.dy)
      put(dot, drag.at.x, drag.at.y)
      travel(drag.at)
    }
    dot.onpointerup = dot.onpointercancel = () => {
      if (drag?.at) send("move", { ...drag.at, last: true })
      drag = next = undefined
    }
    points.append(dot)
  }
  const show = () => {
    const all = model.get("points"), selected = model.get("selected"), mark = model.get("mark")
    while (points.children.length > all.length) points.lastChild.remove()
    while (points.children.length < all.length) add(points.children.length)
    all.forEach(({ x, y, color, label }, i) => {
      const dot = points.children[i]
      if (drag?.i !== i || !drag.at) put(dot, x, y)
      dot.style.background = color
      dot.title = label
      dot.setAttribute("aria-label", label)
      dot.setAttribute("aria-pressed", i === selected)
    })
    if (selected >= 0) frame.setAttribute("aria-activedescendant", prefix + selected)
    else frame.removeAttribute("aria-activedescendant")
    place.style.display = mark.length && selected < 0 ? "" : "none"
    if (mark.length) put(place, ...mark)
    frame.setAttribute("aria-label", `${model.get("name")}, in colour, ${all.length} ${all.length === 1 ? "hint" : "hints"}. Arrow keys move the mark or the selected hint, with Shift by ten. `
      + "C leads to the colours. Enter puts a hint of the last colour there. N and P select the next and the previous hint, Escape selects none, Delete removes it. Control Z undoes, Control Y redoes.")
    frame.setAttribute("aria-busy", model.get("busy"))
    find(".clz-busy").style.display = model.get("busy") ? "" : "none"
  }
  const picture = async () => {
    const view = newest = model.get("image")
    sent = 0
    if (next) travel(next)
    if (!view?.byteLength) return
    const made = await createImageBitmap(new Blob([view])) // an <img> of these bytes takes Chromium twice the time
    if (view !== newest) return
    const { width, height } = Object.assign(canvas, { width: made.width, height: made.height }), shape = width / height
    canvas.getContext("bitmaprenderer").transferFromImageBitmap(made) // a canvas that is drawn on is copied in every frame
    frame.style.aspectRatio = shape
    frame.style.width = `min(100%, ${Math.round(540 * shape)}px)`
    const rows = Math.round(frame.clientHeight * devicePixelRatio) // of the screen: the next first picture needs no more
    if (rows && rows !== model.get("rows")) { model.set("rows", rows); model.save_changes() }
    frame.dataset.pictures = +(frame.dataset.pictures ?? 0) + 1
  }

  frame.onclick = e => { if (!e.target.closest(".clz-point")) { frame.focus(); send("point", pixel(e.clientX, e.clientY)) } }
  frame.onkeydown = e => {
    const step = Math.max(1, Math.round(model.get("size")[0] / frame.clientWidth)) * (e.shiftKey ? 10 : 1) // a pixel of the screen, but at least one of the photo
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key] ?? [0, 0]
    const key = e.key.toLowerCase()
    if (e.ctrlKey || e.metaKey || e.altKey) return
    else if (dx || dy) send("nudge", { dx: dx * step, dy: dy * step })
    else if (key === "delete" || key === "backspace") send("delete")
    else if (key === "enter" || key === " ") send("again")
    else if (key === "n" || key === "p") send("step", { by: key === "n" ? 1 : -1 })
    else if (key === "escape") send("select", { index: -1 })
    else if (key === "c") editor?.querySelector(".clz-color")?.focus()
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  // in the whole editor: undo and redo, and Escape from the colours back to the picture
  let editor
  const keys = e => {
    const key = e.key.toLowerCase(), command = e.ctrlKey || e.metaKey
    if (command && ["z", "y"].includes(key) && e.target.type !== "text") send(key === "y" || e.shiftKey ? "redo" : "undo")
    else if (key === "escape" && e.target.closest(".clz-right")) frame.focus()
    else return
    e.preventDefault()
    e.stopPropagation()
  }
  const timer = setTimeout(() => {
    editor = el.closest(".clz-editor") ?? el
    editor.addEventListener("keydown", keys)
  })
  model.on("change:image", picture)
  for (const name of ["points", "selected", "mark", "size", "name", "busy"]) model.on(`change:${name}`, show)
  picture()
  show()
  return () => { clearTimeout(timer); editor?.removeEventListener("keydown", keys) }
}
export default { render }
