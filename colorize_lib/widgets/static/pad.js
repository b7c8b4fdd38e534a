// A sheet to draw on with mouse, finger, pen or keyboard, in lines and in colours that fill; what is on it goes to Python while it is drawn, but not
// more often than every 150 ms, and at the end of a stroke
const side = 512, pause = 150, apart = 24 // pixels between the points of a stroke of colour
const colors = { red: "#d23b2f", orange: "#e8862e", yellow: "#f2c230", green: "#5aa84a", blue: "#3a7fc4", purple: "#7a4fb0", pink: "#e06a9a", skin: "#f0c8a0", brown: "#8b5a2b", gray: "#9aa0a8" }

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  const swatches = Object.entries(colors).map(([name, c]) => `<button type="button" class="clz-color" data-color="${c}" style="background:${c}" title="${name}" aria-label="Colour: ${name}"></button>`)
  el.innerHTML = `<div class="clz-paper"><canvas width="${side}" height="${side}" tabindex="0" role="application"></canvas><canvas class="clz-drops" width="${side}" height="${side}" aria-hidden="true"></canvas><span class="clz-dot"></span></div>
    <div class="clz-tools"><button type="button" class="clz-button" data-tool="pen">Pen</button><button type="button" class="clz-button" data-tool="eraser">Eraser</button>
      <label>Width <input type="range" min="1" max="24" value="4" aria-label="Width of the pen in pixels"></label>
      <button type="button" class="clz-button" data-do="undo">Undo</button><button type="button" class="clz-button" data-do="redo">Redo</button><button type="button" class="clz-button" data-do="clear">Clear</button></div>
    <div class="clz-tools" role="group" aria-label="Colours that fill"><button type="button" class="clz-button" data-tool="color">Colour</button>
      <span class="clz-colors">${swatches.join("")}</span><input type="color" value="#d23b2f" aria-label="Any colour"></div>
    <p class="clz-hint">A drop of colour, or a stroke, fills what the lines around it enclose. Keyboard: arrow keys move the pen, Space puts it down and lifts it, P pen, E eraser, C colour, U undoes, R redoes.</p>`
  const find = s => el.querySelector(s), canvas = find("canvas"), context = canvas.getContext("2d"), drops = find(".clz-drops").getContext("2d")
  const width = find("input[type=range]"), picker = find("input[type=color]"), dot = find(".clz-dot")
  let tool = "pen", strokes = [], undone = [], stroke, background, timer, sent = 0, pen = { x: side / 2, y: side / 2, down: false }
  canvas.setAttribute("aria-label", "A sheet to draw on: arrow keys move the pen, Space puts it down and lifts it, P takes the pen, E the eraser, C the colour, U undoes, R redoes")
  dot.style.display = "none"

  const trace = (where, points, color, lineWidth) => {
    where.strokeStyle = color
    where.lineWidth = lineWidth
    where.lineCap = where.lineJoin = "round"
    where.beginPath()
    where.moveTo(...points[0])
    for (const p of points.length > 1 ? points.slice(1) : points) where.lineTo(...p)
    where.stroke()
  }
  const paint = (s, points = s.points) => {
    if (s.tool === "color") { trace(drops, points, "#fff", 13); trace(drops, points, s.color, 9) }
    else trace(context, points, s.tool === "pen" ? "#000" : "#fff", s.width)
    if (s.tool === "eraser") { drops.globalCompositeOperation = "destination-out"; trace(drops, points, "#000", s.width); drops.globalCompositeOperation = "source-over" }
  }
  const redraw = () => {
    context.fillStyle = "#fff"
    context.fillRect(0, 0, side, side)
    drops.clearRect(0, 0, side, side)
    if (background) context.drawImage(background, 0, 0, side, side)
    strokes.forEach(s => paint(s))
  }
  const hints = () => { // the points of all strokes of colour that no later eraser has touched; of two at one pixel, the later one
    const found = new Map()
    for (const s of strokes) {
      if (s.tool === "color") {
        let last
        for (const [x, y] of s.points) {
          if (last && Math.hypot(x - last[0], y - last[1]) < apart) continue
          last = [x, y]
          const at = [x, y].map(v => Math.min(side - 1, Math.max(0, Math.floor(v))))
          found.delete(`${at}`)
          found.set(`${at}`, [...at, s.color])
        }
      } else if (s.tool === "eraser")
        for (const [key, [x, y]] of found) if (s.points.some(p => Math.hypot(p[0] - x, p[1] - y) < s.width / 2 + 4)) found.delete(key)
    }
    return [...found.values()].slice(-128)
  }
  const sendNow = () => {
    clearTimeout(timer)
    timer = undefined
    sent = Date.now()
    // toBlob would wait until the browser has nothing else to do, up to a second
    const png = Uint8Array.from(atob(canvas.toDataURL("image/png").split(",")[1]), c => c.charCodeAt(0))
    model.send({ do: "drawing", hints: hints(), finished: !stroke }, undefined, [png.buffer])
  }
  const send = () => {
    clearTimeout(timer)
    timer = setTimeout(sendNow, Math.max(0, sent + pause - Date.now()))
  }
  const begin = p => {
    stroke = { tool, color: picker.value, width: +width.value * (tool === "pen" ? 1 : 4), points: [p] }
    strokes.push(stroke)
    undone = []
    paint(stroke)
    send()
  }
  const go = p => { stroke.points.push(p); paint(stroke, stroke.points.slice(-2)); send() }
  const end = () => { // whoever ends a stroke waits for nothing, and Python shall know that it has ended
    if (!stroke) return
    stroke = undefined
    sendNow()
  }
  const place = e => {
    const box = canvas.getBoundingClientRect()
    return [((e.clientX - box.left) / box.width) * side, ((e.clientY - box.top) / box.height) * side]
  }
  canvas.onpointerdown = e => { if (e.button) return; canvas.setPointerCapture(e.pointerId); dot.style.display = "none"; begin(place(e)) }
  canvas.onpointermove = e => { if (stroke && canvas.hasPointerCapture(e.pointerId)) e.getCoalescedEvents().concat(e).forEach(o => go(place(o))) }
  canvas.onpointerup = canvas.onpointercancel = () => end()

  const choose = name => {
    tool = name
    el.querySelectorAll("[data-tool]").forEach(b => b.setAttribute("aria-pressed", b.dataset.tool === tool))
    el.querySelectorAll("[data-color]").forEach(b => b.setAttribute("aria-pressed", tool === "color" && b.dataset.color === picker.value))
  }
  const acts = {
    undo: () => { if (strokes.length) undone.push(strokes.pop()); redraw(); send() },
    redo: () => { if (undone.length) strokes.push(undone.pop()); redraw(); send() },
    clear: () => { strokes = []; undone = []; background = undefined; redraw(); model.send({ do: "clear" }); send() },
  }
  el.querySelectorAll("[data-tool]").forEach(b => { b.onclick = () => choose(b.dataset.tool) })
  el.querySelectorAll("[data-do]").forEach(b => { b.onclick = acts[b.dataset.do] })
  el.querySelectorAll("[data-color]").forEach(b => { b.onclick = () => { picker.value = b.dataset.color; choose("color") } })
  picker.oninput = () => choose("color")
  const keys = { u: acts.undo, r: acts.redo, p: () => choose("pen"), e: () => choose("eraser"), c: () => choose("color") }
  canvas.onkeydown = e => {
    if (e.ctrlKey || e.metaKey || e.altKey) return
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key] ?? [0, 0], act = keys[e.key.toLowerCase()]
    if (act) act()
    else if (e.key === " ") { pen.down = !pen.down; if (pen.down) begin([pen.x, pen.y]); else end() }
    else if (dx || dy) {
      const step = e.shiftKey ? 32 : 8
      pen.x = Math.min(side, Math.max(0, pen.x + dx * step))
      pen.y = Math.min(side, Math.max(0, pen.y + dy * step))
      if (pen.down && stroke) go([pen.x, pen.y])
    } else return
    e.preventDefault()
    e.stopPropagation()
    dot.style.display = ""
    dot.style.background = pen.down ? (tool === "color" ? picker.value : "#000") : "none"
    dot.style.left = `${(100 * pen.x) / side}%`
    dot.style.top = `${(100 * pen.y) / side}%`
  }
  canvas.onblur = () => { pen.down = false; end(); dot.style.display = "none" }

  const lines = () => {
    const view = model.get("background")
    if (!view?.byteLength) return redraw()
    const img = new Image()
    img.onload = () => { background = img; redraw(); URL.revokeObjectURL(img.src); if (strokes.length) send() }
    img.src = URL.createObjectURL(new Blob([view]))
  }
  model.on("change:background", lines)
  choose("pen")
  redraw()
  lines()
}
export default { render }
