// Thumbnails in a row, each a button that says what became of its photo
const signs = { done: "✓", failed: "!", waiting: "…", working: "" }, words = { done: "done", failed: "failed", waiting: "waiting", working: "working" }

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  const strip = Object.assign(document.createElement("div"), { className: "clz-strip" })
  strip.setAttribute("role", "group")
  el.append(strip)
  const show = () => {
    const focused = [...strip.children].indexOf(document.activeElement), selected = model.get("selected")
    strip.setAttribute("aria-label", model.get("label"))
    strip.replaceChildren(...model.get("items").map(({ name, state, message, thumb }, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: message ? `${name}: ${message}` : name })
      button.setAttribute("aria-label", [name, words[state], message].filter(Boolean).join(", "))
      button.setAttribute("aria-current", i === selected)
      button.dataset.state = state ?? ""
      if (thumb) button.append(Object.assign(new Image(), { src: thumb, alt: "" }))
      if (state) button.append(Object.assign(document.createElement("span"), { className: "clz-mark", textContent: signs[state] }))
      button.onclick = () => { model.set("selected", i); model.save_changes() }
      return button
    }))
    strip.children[focused]?.focus()
    el.style.display = strip.children.length >= model.get("least") ? "" : "none"
  }
  strip.onkeydown = e => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key], to = strip.children[[...strip.children].indexOf(document.activeElement) + step]
    if (to) { e.preventDefault(); e.stopPropagation(); to.focus(); to.click() }
  }
  for (const name of ["items", "selected", "label", "least"]) model.on(`change:${name}`, show)
  show()
}
export default { render }
