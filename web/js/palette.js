// Colours to choose from, in groups: each is a button with a name, and arrow keys go from one to the next

/** Change the number of children; those that stay are not replaced, so that the focus stays */
function fit(parent, n, make) {
  while (parent.children.length > n) parent.lastChild.remove()
  while (parent.children.length < n) parent.append(make())
}

export class Palette {
  /**
   * @param {HTMLElement} box for the groups
   * @param {(color: string) => void} choose told a hex code
   */
  constructor(box, choose) { Object.assign(this, { box, choose }) }

  group() {
    const div = Object.assign(document.createElement("div"), { className: "group" })
    const colors = Object.assign(document.createElement("div"), { className: "colors" })
    div.setAttribute("role", "group")
    div.append(document.createElement("span"), colors)
    colors.addEventListener("keydown", e => {
      const all = [...colors.children], step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key]
      if (!step) return
      e.preventDefault()
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus()
    })
    return div
  }

  swatch() {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "color" })
    button.addEventListener("click", () => this.choose(button.dataset.color))
    return button
  }

  /**
   * @param {{label: string, colors: {color: string, name: string}[]}[]} groups
   * @param {string} value hex code of the selected hint
   */
  show(groups, value) {
    fit(this.box, groups.length, () => this.group())
    groups.forEach(({ label, colors }, i) => {
      const div = this.box.children[i], row = div.lastChild
      div.firstChild.textContent = label
      div.setAttribute("aria-label", label)
      fit(row, colors.length, () => this.swatch())
      const first = Math.max(0, colors.findIndex(({ color }) => color === value))
      colors.forEach(({ color, name }, j) => {
        const button = row.children[j]
        button.dataset.color = color
        button.style.background = color
        button.title = `${name} ${color}`
        button.tabIndex = j === first ? 0 : -1
        button.setAttribute("aria-label", `${name} ${color}`)
        button.setAttribute("aria-pressed", color === value)
      })
    })
  }

  focus() { this.box.querySelector(".color")?.focus() }
}
