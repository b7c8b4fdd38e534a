// Colours to choose from, in groups, and a field for a hex code; each colour is a button with a name, and arrow keys go from one to the next
function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  el.innerHTML = `<div class="clz-palette"><p class="clz-hint"></p><div class="clz-groups"></div>
    <form><label>Hex code or CSS name <input type="text" maxlength="40" spellcheck="false" autocomplete="off" placeholder="#c03020"></label>
    <button type="submit" class="clz-button">Use</button></form></div>`
  const find = s => el.querySelector(s), groups = find(".clz-groups"), input = find("input"), form = find("form"), text = find(".clz-hint")
  const choose = color => model.send({ do: "paint", color })
  const fit = (parent, n, make) => { // elements are changed, not replaced: the focus stays
    while (parent.children.length > n) parent.lastChild.remove()
    while (parent.children.length < n) parent.append(make())
  }
  const group = () => {
    const div = Object.assign(document.createElement("div"), { className: "clz-group", innerHTML: '<span></span><div class="clz-colors"></div>' })
    div.setAttribute("role", "group")
    div.onkeydown = e => {
      const all = [...div.lastChild.children], step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key]
      if (!step) return
      e.preventDefault()
      e.stopPropagation()
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus()
    }
    return div
  }
  const swatch = () => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "clz-color" })
    button.onclick = () => choose(button.dataset.color)
    return button
  }
  const show = () => {
    const all = model.get("groups"), value = model.get("value")
    text.textContent = model.get("text")
    el.firstChild.setAttribute("aria-busy", model.get("busy"))
    fit(groups, all.length, group)
    all.forEach(({ label, colors }, i) => {
      const div = groups.children[i], box = div.lastChild
      div.firstChild.textContent = label
      div.setAttribute("aria-label", label)
      fit(box, colors.length, swatch)
      colors.forEach(({ color, name }, j) => {
        const button = box.children[j]
        button.dataset.color = color
        button.style.background = color
        button.title = `${name} ${color}`
        button.setAttribute("aria-label", `${name} ${color}`)
        button.setAttribute("aria-pressed", color === value)
      })
      const first = Math.max(0, colors.findIndex(({ color }) => color === value))
      ;[...box.children].forEach((button, j) => { button.tabIndex = j === first ? 0 : -1 })
    })
  }
  form.onsubmit = e => { e.preventDefault(); if (input.value.trim()) choose(input.value.trim()) }
  model.on("change:value", () => { input.value = model.get("value") })
  for (const name of ["groups", "value", "text", "busy"]) model.on(`change:${name}`, show)
  input.value = model.get("value")
  show()
}
export default { render }
