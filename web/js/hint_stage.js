// A photo with hints on it: click to choose a place, drag a hint to move it; all of it by keyboard too

export class HintStage {
  /**
   * @param {HTMLElement} frame
   * @param {(event: object) => void} send told what the user does
   */
  constructor(frame, send) {
    Object.assign(this, { frame, send, size: [1, 1], drag: null })
    this.img = frame.querySelector("img")
    this.points = frame.querySelector(".points")
    this.mark = frame.querySelector(".mark")
    this.img.draggable = false
    this.img.addEventListener("load", () => { frame.dataset.pictures = +(frame.dataset.pictures ?? 0) + 1 })
    frame.addEventListener("click", e => {
      if (e.target.closest(".point")) return
      frame.focus()
      send({ do: "point", ...this.pixel(e.clientX, e.clientY) })
    })
    frame.addEventListener("keydown", e => this.key(e))
  }

  pixel(clientX, clientY) {
    const box = this.frame.getBoundingClientRect(), [w, h] = this.size
    const clamp = (v, n) => Math.min(n - 1, Math.max(0, Math.floor(v * n)))
    return { x: clamp((clientX - box.left) / box.width, w), y: clamp((clientY - box.top) / box.height, h) }
  }

  put(dot, x, y) {
    dot.style.left = `${100 * (x + 0.5) / this.size[0]}%`
    dot.style.top = `${100 * (y + 0.5) / this.size[1]}%`
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return
    const step = Math.max(1, Math.round(this.size[0] / this.frame.clientWidth)) * (e.shiftKey ? 10 : 1) // a pixel of the screen
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key] ?? [0, 0]
    const event = dx || dy ? { do: "nudge", dx: dx * step, dy: dy * step } : {
      delete: { do: "delete" }, backspace: { do: "delete" }, enter: { do: "again" }, " ": { do: "again" }, escape: { do: "select", index: -1 },
      n: { do: "step", by: 1 }, p: { do: "step", by: -1 }, c: { do: "colors" },
    }[e.key.toLowerCase()]
    if (!event) return
    e.preventDefault()
    this.send(event)
  }

  add(i) {
    const dot = Object.assign(document.createElement("button"), { type: "button", className: "point", id: `point-${i}`, tabIndex: -1 })
    dot.addEventListener("pointerdown", e => {
      if (e.button) return
      const box = dot.getBoundingClientRect()
      e.preventDefault() // the focus stays with the picture
      this.frame.focus()
      dot.setPointerCapture(e.pointerId)
      this.drag = { i, x: e.clientX, y: e.clientY, dx: box.left + box.width / 2 - e.clientX, dy: box.top + box.height / 2 - e.clientY }
      this.send({ do: "select", index: i })
    })
    dot.addEventListener("pointermove", e => {
      const drag = this.drag
      if (!drag || !dot.hasPointerCapture(e.pointerId)) return
      if (!drag.at && Math.hypot(e.clientX - drag.x, e.clientY - drag.y) < 4) return // a finger is never quite still
      drag.at = this.pixel(e.clientX + drag.dx, e.clientY + drag.dy)
      this.send({ do: "move", ...drag.at })
    })
    const drop = () => {
      if (this.drag?.at) this.send({ do: "settle" })
      this.drag = null
    }
    dot.addEventListener("pointerup", drop)
    dot.addEventListener("pointercancel", drop)
    this.points.append(dot)
  }

  /**
   * @param {string} name of the photo
   * @param {import("./hints.js").EditedHints} state
   * @param {{color: string, label: string}[]} dots one for each hint
   */
  show(name, state, dots) {
    const { frame, points, mark } = this, { selected, hints } = state
    this.size = state.size
    frame.style.setProperty("--shape", state.size[0] / state.size[1])
    while (points.children.length > dots.length) points.lastChild.remove()
    while (points.children.length < dots.length) this.add(points.children.length)
    dots.forEach(({ color, label }, i) => {
      const dot = points.children[i]
      this.put(dot, hints[i].x, hints[i].y)
      dot.style.background = color
      dot.title = label
      dot.setAttribute("aria-label", label)
      dot.setAttribute("aria-pressed", i === selected)
    })
    if (selected >= 0) frame.setAttribute("aria-activedescendant", `point-${selected}`)
    else frame.removeAttribute("aria-activedescendant")
    mark.hidden = !state.mark || selected >= 0
    if (state.mark) this.put(mark, ...state.mark)
    frame.setAttribute("aria-label", `${name}, in colour, ${dots.length} ${dots.length === 1 ? "hint" : "hints"}. Arrow keys move the mark or the selected hint, `
      + "with Shift by ten. C leads to the colours. Enter puts a hint of the last colour there. N and P select the next and the previous hint, Escape selects none, "
      + "Delete removes it. Control Z undoes, Control Y redoes.")
  }

  /** @param {string} url of the picture in colour */
  picture(url) { if (this.img.src !== url) this.img.src = url }
}
