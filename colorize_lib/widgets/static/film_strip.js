// Thumbnails in a row, each a button that tells the state of its photo
const signs = { done: "✓", failed: "!", waiting: "…", working: "" }, words = { done: "done", failed: "failed", waiting: "waiting", working: "working" }

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  const strip = Object.assign(document.createElement("div"), { className: "clz-strip" })
  strip.setAttribute("role", "group")
  el.append(strip)
  const add = i => {
    const button = Object.assign(document.createElement("button"), { type: "button", innerHTML: '<img alt=""><span class="clz-mark"></span>' })
    button.onclick = () => { model.set("selected", i); model.save_changes() }
    strip.append(button)
  }
  const show = () => { // buttons are changed, not replaced: a click that has begun on one must end on it
    const items = model.get("items")
    while (strip.children.length > items.length) strip.lastChild.remove()
    while (strip.children.length < items.length) add(strip.children.length)
    items.forEach(({ name, state, message, thumb }, i) => {
      const button = strip.children[i], [img, mark] = button.children
      button.title = message ? `${name}: ${message}` : name
      button.setAttribute("aria-label", [name, words[state], message].filter(Boolean).join(", "))
      button.setAttribute("aria-current", i === model.get("selected"))
      button.dataset.state = state ?? ""
      if (thumb && img.src !== thumb) img.src = thumb
      img.hidden = !thumb
      mark.hidden = !state
      mark.textContent = signs[state] ?? ""
    })
    strip.setAttribute("aria-label", model.get("label"))
    el.style.display = items.length >= model.get("least") ? "" : "none"
  }
  strip.onkeydown = e => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key], to = strip.children[[...strip.children].indexOf(document.activeElement) + step]
    if (to) { e.preventDefault(); e.stopPropagation(); to.focus(); to.click() }
  }
  for (const name of ["items", "selected", "label", "least"]) model.on(`change:${name}`, show)
  show()
}
export default { render }
