// Two pictures in one place. A native slider, invisible and as large as they are, moves the line between them, so that mouse, finger and keyboard all work.
function address(view) { return view?.byteLength ? URL.createObjectURL(new Blob([view])) : "" }

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  el.innerHTML = `<div class="clz-stage"><img class="clz-before"><img class="clz-after">
    <input type="range" min="0" max="100" step="0.5" aria-label="Before and after: move the line between the two pictures">
    <span class="clz-tag clz-left"></span><span class="clz-tag clz-right"></span>
    <div class="clz-bar"><span class="clz-knob" aria-hidden="true">‹›</span></div><div class="clz-busy"><span class="clz-spin"></span></div></div>
    <div class="clz-oops" role="alert"><span class="clz-sign" aria-hidden="true">⚠</span><b></b><span class="clz-why"></span></div>`
  const find = s => el.querySelector(s), stage = find(".clz-stage"), slider = find("input"), [before, after] = stage.querySelectorAll("img")

  const place = () => {
    const at = model.get("position")
    stage.style.setProperty("--at", `${at}%`)
    slider.value = at
    slider.setAttribute("aria-valuetext", `${Math.round(at)}% ${model.get("labels")[0]}, ${Math.round(100 - at)}% ${model.get("labels")[1]}`)
    find(".clz-left").style.opacity = at > 12 ? 1 : 0
    find(".clz-right").style.opacity = at < 88 ? 1 : 0
  }
  const picture = (img, name) => {
    URL.revokeObjectURL(img.src)
    img.src = address(model.get(name))
    img.style.display = model.get(name)?.byteLength ? "" : "none"
  }
  const words = () => {
    const there = model.get("after")?.byteLength > 0, oops = model.get("message")
    stage.style.display = oops || !model.get("before")?.byteLength ? "none" : ""
    find(".clz-oops").style.display = oops ? "" : "none"
    find(".clz-oops b").textContent = model.get("name")
    find(".clz-why").textContent = oops
    for (const s of ["input", ".clz-bar", ".clz-left", ".clz-right"]) find(s).style.display = there ? "" : "none"
    find(".clz-busy").style.display = model.get("busy") ? "" : "none"
    ;[find(".clz-left").textContent, find(".clz-right").textContent] = model.get("labels")
    before.alt = `${model.get("name")}, ${model.get("labels")[0]}`
    after.alt = `${model.get("name")}, ${model.get("labels")[1]}`
    stage.setAttribute("aria-busy", model.get("busy"))
  }
  before.onload = () => {
    const shape = before.naturalWidth / before.naturalHeight
    stage.style.aspectRatio = shape
    stage.style.width = `min(100%, ${Math.round(540 * shape)}px)`
  }
  slider.oninput = () => { model.set("position", +slider.value); model.save_changes() }
  model.on("change:position", place)
  for (const [img, name] of [[before, "before"], [after, "after"]]) {
    model.on(`change:${name}`, () => { picture(img, name); words() })
    picture(img, name)
  }
  for (const name of ["labels", "busy", "message", "name"]) model.on(`change:${name}`, words)
  words()
  place()
}
export default { render }
