// A picture with a caption, a description for screen readers, and a dot that can be moved by mouse, finger and arrow keys
function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  el.innerHTML = `<figure class="clz-picture"><div class="clz-frame"><img><span class="clz-dot"></span></div><figcaption></figcaption></figure>`
  const find = s => el.querySelector(s), frame = find(".clz-frame"), img = find("img"), dot = find(".clz-dot")
  const image = () => {
    URL.revokeObjectURL(img.src)
    const view = model.get("image")
    img.src = view?.byteLength ? URL.createObjectURL(new Blob([view])) : ""
  }
  const words = () => {
    const spot = model.get("spot"), pickable = model.get("pickable")
    img.alt = model.get("alt")
    img.style.imageRendering = model.get("pixelated") ? "pixelated" : ""
    find("figcaption").textContent = model.get("caption")
    dot.style.display = spot.length ? "" : "none"
    if (spot.length) [dot.style.left, dot.style.top] = spot.map(v => `${100 * v}%`)
    frame.classList.toggle("clz-pick", pickable)
    if (!pickable) return
    frame.tabIndex = 0
    frame.setAttribute("role", "application")
    frame.setAttribute("aria-label", `${model.get("alt")}. Arrow keys move the dot, with Shift in larger steps.`)
  }
  const move = (x, y) => {
    model.set("spot", [x, y].map(v => Math.min(1, Math.max(0, v))))
    model.save_changes()
  }
  const follow = e => {
    const box = frame.getBoundingClientRect()
    move((e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height)
  }
  frame.onpointerdown = e => { if (model.get("pickable")) { frame.setPointerCapture(e.pointerId); frame.focus(); follow(e) } }
  frame.onpointermove = e => { if (frame.hasPointerCapture(e.pointerId)) follow(e) }
  frame.onkeydown = e => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key] ?? [0, 0]
    if (!model.get("pickable") || !(dx || dy)) return
    e.preventDefault()
    e.stopPropagation()
    const step = e.shiftKey ? 0.1 : 0.01, [x, y] = model.get("spot")
    move(x + dx * step, y + dy * step)
  }
  img.draggable = false
  model.on("change:image", image)
  for (const name of ["alt", "caption", "spot", "pickable", "pixelated"]) model.on(`change:${name}`, words)
  image()
  words()
}
export default { render }
