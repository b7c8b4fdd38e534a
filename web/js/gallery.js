// The photos of this visit, and the row of small pictures that shows them

const signs = { waiting: "…", working: "", done: "✓", failed: "!", stopped: "–" }
const words = { waiting: "waiting", working: "being coloured", done: "in colour", failed: "cannot be coloured", stopped: "stopped" }

/**
 * @typedef {object} Photo
 * @property {number} id
 * @property {string} name
 * @property {File|Blob} file
 * @property {"waiting"|"working"|"done"|"failed"|"stopped"} state
 * @property {string} message why it failed, or what should be said about it
 * @property {number[]} size
 * @property {string} [before] addresses of previews
 * @property {string} [after]
 * @property {import("./hints.js").EditedHints} [hints]
 * @property {string} [made] with which hints and strength `after` was made
 */

export class Gallery {
  /**
   * @param {HTMLElement} strip
   * @param {(photo: Photo) => void} onSelect told the current photo, and what becomes of it
   * @param {() => void} onChange told that some photo has changed
   */
  constructor(strip, onSelect, onChange) {
    Object.assign(this, { strip, onSelect, onChange, photos: [], current: null, count: 0 })
    strip.addEventListener("keydown", e => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key], n = this.photos.length
      if (!step) return
      e.preventDefault()
      this.select(this.photos[(this.photos.indexOf(this.current) + step + n) % n])
      strip.children[this.photos.indexOf(this.current)].focus()
    })
  }

  /** @returns {Photo} */
  add(file, name) {
    const photo = { id: ++this.count, name, file, state: "waiting", message: "", size: [3, 2] }
    const button = Object.assign(document.createElement("button"), { type: "button" })
    const sign = Object.assign(document.createElement("span"), { className: "sign" })
    sign.setAttribute("aria-hidden", "true")
    button.append(sign)
    button.addEventListener("click", () => this.select(photo))
    this.photos.push(photo)
    this.strip.append(button)
    this.update(photo)
    return photo
  }

  select(photo) {
    this.current = photo
    this.photos.forEach((o, i) => {
      this.strip.children[i].setAttribute("aria-current", o === photo)
      this.strip.children[i].tabIndex = o === photo ? 0 : -1
    })
    this.strip.children[this.photos.indexOf(photo)]?.scrollIntoView({ block: "nearest", inline: "nearest" })
    this.onSelect(photo)
  }

  /** Give a preview another picture */
  picture(photo, which, blob) {
    if (photo[which]) URL.revokeObjectURL(photo[which])
    photo[which] = URL.createObjectURL(blob)
  }

  update(photo) {
    const button = this.strip.children[this.photos.indexOf(photo)]
    if (!button) return
    button.dataset.state = photo.state
    button.lastChild.textContent = signs[photo.state]
    button.title = photo.name
    button.setAttribute("aria-label", `${photo.name}, ${words[photo.state]}`)
    if (photo.after && !button.querySelector("img")) button.prepend(Object.assign(new Image(), { alt: "", draggable: false }))
    if (photo.after) button.firstChild.src = photo.after
    if (photo === this.current) this.onSelect(photo)
    this.onChange()
  }

  remove(photo) {
    const i = this.photos.indexOf(photo)
    this.photos.splice(i, 1)
    this.strip.children[i].remove()
    for (const url of [photo.before, photo.after]) if (url) URL.revokeObjectURL(url)
    this.current = null
    this.onChange()
    if (this.photos.length) this.select(this.photos[Math.min(i, this.photos.length - 1)])
  }
}
