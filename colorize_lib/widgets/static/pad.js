// A sheet to draw on with mouse, finger, pen or keyboard; what is on it goes to Python while it is drawn, but not more often than every 300 ms
const side = 512, pause = 300

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  el.innerHTML = `<div class="clz-paper"><canvas width="${side}" height="${side}" tabindex="0" role="application"></canvas><span class="clz-dot"></span></div>
    <div class="clz-tools"><button type="button" class="clz-button" data-tool="pen">Pen</button><button type="button" class="clz-button" data-tool="eraser">Eraser</button>
      <label>Width <input type="range" min="1" max="24" value="4" aria-label="Width of the pen in pixels"></label>
      <button type="button" class="clz-button" data-do="undo">Undo</button><button type="button" class="clz-button" data-do="clear">Clear</button></div>
    <p class="clz-hint">Keyboard: arrow keys move the pen, Space puts it down and lifts it, U undoes.</p>`
  const canvas = el.querySelector("canvas"), context = canvas.getContext("2d"), width = el.querySelector("input"), dot = el.querySelector(".clz-dot")
  let tool = "pen", strokes = [], stroke, background, timer, sent = 0, pen = { x: side / 2, y: side / 2, down: false }
  canvas.setAttribute("aria-label", "A sheet to draw on: arrow keys move the pen, Space puts it down and lifts it, U undoes")
  dot.style.display = "none"

  const paint = s => {
    context.strokeStyle = context.fillStyle = s.tool === "pen" ? "#000" : "#fff"
    context.lineWidth = s.width
    context.lineCap = context.lineJoin = "round"
    context.beginPath()
    context.moveTo(...s.points[0])
    for (const p of s.points.length > 1 ? s.points.slice(1) : s.points) context.lineTo(...p)
    context.stroke()
  }
  const redraw = () => {
    context.fillStyle = "#fff"
    context.fillRect(0, 0, side, side)
    if (background) context.drawImage(background, 0, 0, side, side)
    strokes.forEach(paint)
  }
  const send = () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      sent = Date.now()
      canvas.toBlob(async blob => model.send({ do: "drawing" }, undefined, [await blob.arrayBuffer()]), "image/png")
    }, Math.max(0, sent + pause - Date.now()))
  }
  const begin = p => { stroke = { tool, width: +width.value * (tool === "pen" ? 1 : 4), points: [p] }; strokes.push(stroke); paint(stroke); send() }
  const go = p => { stroke.points.push(p); paint({ ...stroke, points: stroke.points.slice(-2) }); send() }
  const place = e => {
    const box = canvas.getBoundingClientRect()
    return [((e.clientX - box.left) / box.width) * side, ((e.clientY - box.top) / box.height) * side]
  }
  canvas.onpointerdown = e => { if (e.button) return; canvas.setPointerCapture(e.pointerId); dot.style.display = "none"; begin(place(e)) }
  canvas.onpointermove = e => { if (stroke && canvas.hasPointerCapture(e.pointerId)) e.getCoalescedEvents().concat(e).forEach(o => go(place(o))) }
  canvas.onpointerup = canvas.onpointercancel = () => { stroke = undefined }

  const acts = {
    undo: () => { strokes.pop(); redraw(); send() },
    clear: () => { strokes = []; background = undefined; redraw(); model.send({ do: "clear" }); send() },
  }
  const choose = name => {
    tool = name
    el.querySelectorAll("[data-tool]").forEach(b => b.setAttribute("aria-pressed", b.dataset.tool === tool))
  }
  el.querySelectorAll("[data-tool]").forEach(b => { b.onclick = () => choose(b.dataset.tool) })
  el.querySelectorAll("[data-do]").forEach(b => { b.onclick = acts[b.dataset.do] })
  canvas.onkeydown = e => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key] ?? [0, 0]
    if (e.key === "u" || e.key === "U") acts.undo()
    else if (e.key === " ") { pen.down = !pen.down; if (pen.down) begin([pen.x, pen.y]); else stroke = undefined }
    else if (dx || dy) {
      const step = e.shiftKey ? 32 : 8
      pen.x = Math.min(side, Math.max(0, pen.x + dx * step))
      pen.y = Math.min(side, Math.max(0, pen.y + dy * step))
      if (pen.down) go([pen.x, pen.y])
    } else return
    e.preventDefault()
    e.stopPropagation()
    dot.style.display = ""
    dot.style.background = pen.down ? "#000" : "none"
    dot.style.left = `${(100 * pen.x) / side}%`
    dot.style.top = `${(100 * pen.y) / side}%`
  }
  canvas.onblur = () => { pen.down = false; stroke = undefined; dot.style.display = "none" }

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
