// Correcting colours: hints on the photo, and colours for the place that is chosen

import { atLightness, different, fromHex, hexCode, parseColor } from "./colors.js"
import { HintError, readHints, writeHints } from "./hints.js"
import { HintStage } from "./hint_stage.js"
import { labOf } from "./lab.js"
import { Palette } from "./palette.js"
import { download } from "./download.js"
import { Slice } from "./slice.js"

export class Editor {
  /**
   * @param {HTMLElement} root
   * @param {import("./colors.js").Colors} colors
   * @param {{look: (photo: object, mark: number[]) => Promise<{lightness: number, ab: number[]}>, render: (photo: object) => void, say: (text: string, error?: boolean) => void}} page
   */
  constructor(root, colors, page) {
    Object.assign(this, { root, colors, page, photo: null, color: null, level: null, looked: 0, model: [] })
    const find = s => root.querySelector(s)
    this.stage = new HintStage(find(".hint-stage"), event => this.do(event))
    this.palette = new Palette(find(".groups"), color => this.do({ do: "paint", color: fromHex(color) }))
    this.slice = new Slice(find(".slice"), ab => this.fromSlice(ab))
    this.buttons = Object.fromEntries(["undo", "redo", "delete", "clear", "pick", "write", "load"].map(k => [k, find(`[data-do=${k}]`)]))
    for (const what of ["undo", "redo", "delete", "clear"]) this.buttons[what].addEventListener("click", () => this.do({ do: what }))
    this.buttons.write.addEventListener("click", () => this.save())
    const file = find("input[type=file]")
    this.buttons.load.addEventListener("click", () => file.click())
    file.addEventListener("change", () => { if (file.files.length) this.load(file.files[0]); file.value = "" })
    this.buttons.pick.hidden = !("EyeDropper" in self)
    this.buttons.pick.addEventListener("click", () => this.pick())
    find("form").addEventListener("submit", e => { e.preventDefault(); this.fromText(find("form input").value.trim()) })
    root.addEventListener("keydown", e => this.key(e))
  }

  /** Edit the hints of a photo in colour, or of none */
  edit(photo) {
    if (photo !== this.photo) Object.assign(this, { level: null, model: [] })
    this.photo = photo
    if (!photo) return
    this.picture()
    this.show()
    this.look()
    this.tell()
  }

  picture() { this.stage.picture(this.photo.after) }

  key(e) {
    const key = e.key.toLowerCase(), command = e.ctrlKey || e.metaKey
    if (command && (key === "z" || key === "y") && e.target.type !== "text") this.do({ do: key === "y" || e.shiftKey ? "redo" : "undo" })
    else if (key === "escape" && e.target.closest(".choose")) this.stage.frame.focus()
    else return
    e.preventDefault()
  }

  /** What the user does */
  do(event) {
    if (!this.photo) return
    if (event.do === "colors") return this.palette.focus()
    const hints = this.photo.hints, before = hints.state()
    try { this.change(hints, event) } catch (e) {
      if (!(e instanceof HintError)) throw e
      return this.page.say(e.message, true)
    }
    if (hints.hints !== before.hints) this.page.render(this.photo)
    this.show()
    if (hints.mark !== before.mark || hints.selected !== before.selected || hints.hints !== before.hints) this.look()
    if (event.do !== "move") this.tell(event.do)
  }

  change(hints, event) {
    switch (event.do) {
      case "point": return hints.point(event.x, event.y)
      case "select": return hints.select(event.index)
      case "move": return hints.move(event.x, event.y)
      case "nudge": return hints.nudge(event.dx, event.dy)
      case "step": return hints.step(event.by)
      case "paint": return this.paint(hints, event.color, event.series)
      case "again": return this.paint(hints, this.color ?? this.model[0])
      case "clear": return hints.change([])
      default: return hints[event.do]() // settle, delete, undo, redo
    }
  }

  paint(hints, color, series = null) {
    if (!color) throw new HintError("No place is chosen: click one in the photo first")
    hints.paint(color, series)
    this.color = color
  }

  fromText(text) {
    const color = text && parseColor(text)
    if (color) this.do({ do: "paint", color })
    else if (text) this.page.say(`${text} is not a colour: write #c03020, or a CSS name such as darkred`, true)
  }

  fromSlice(ab) {
    if (this.level === null) return
    const color = atLightness(this.level, ab), seen = labOf(color).slice(1)
    if (Math.abs(seen[0] - ab[0]) + Math.abs(seen[1] - ab[1]) > 4) this.slice.put(seen) // it was out of the gamut
    this.do({ do: "paint", color, series: "slice" })
  }

  async pick() {
    const picked = await new EyeDropper().open().catch(() => null) // Escape
    if (picked) this.fromText(picked.sRGBHex)
  }

  /** The state in words, which a screen reader reads */
  tell(what = "") {
    const { hints, selected, mark } = this.photo.hints, n = hints.length
    if (selected >= 0) {
      const { color } = hints[selected]
      this.page.say(`Hint ${selected + 1} of ${n}: ${this.colors.name(color)} ${hexCode(color)} at ${mark.join(", ")}`)
    } else if (["point", "nudge", "select"].includes(what) && mark) this.page.say(`Place ${mark.join(", ")}: choose its colour`)
    else this.page.say(`${n || "No"} ${n === 1 ? "hint" : "hints"}. Click a place whose colour you know`)
  }

  show() {
    const state = this.photo.hints, { hints, selected } = state, { buttons } = this
    const dots = hints.map(({ x, y, color }, i) => ({ color: hexCode(color),
      label: `Hint ${i + 1} of ${hints.length}, ${this.colors.name(color)} ${hexCode(color)}, at ${Math.round(x)}, ${Math.round(y)}` }))
    this.stage.show(this.photo.name, state, dots)
    buttons.undo.disabled = !state.done.length
    buttons.redo.disabled = !state.undone.length
    buttons.delete.disabled = selected < 0
    buttons.clear.disabled = buttons.write.disabled = !hints.length
  }

  /** Colours for the place of the mark */
  async look() {
    const { photo } = this, { mark } = photo.hints, ticket = ++this.looked
    this.root.querySelector(".choose").classList.toggle("empty", !mark)
    if (!mark) return
    const found = await this.page.look(photo, mark)
    if (ticket !== this.looked || photo !== this.photo || !found) return
    const { hints, selected, series } = photo.hints, value = selected < 0 ? "" : hexCode(hints[selected].color)
    this.level = found.lightness
    this.model = different([1, 1.6, 2.4].map(k => atLightness(this.level, found.ab.map(v => v * k))))
    const offers = { "The model, and stronger": this.model, "Usual at this lightness": this.colors.usual(this.level) }
    if (hints.length) offers["Colours of its hints"] = different(hints.map(o => o.color)).slice(-12)
    this.palette.show(Object.entries(offers).map(([label, colors]) => (
      { label, colors: colors.map(color => ({ color: hexCode(color), name: this.colors.name(color) })) })), value)
    this.root.querySelector("form input").value = value
    const color = selected < 0 ? this.model[0] : hints[selected].color
    this.slice.show(this.level, this.colors.name(color))
    if (!series?.startsWith("slice")) this.slice.put(labOf(color).slice(1))
  }

  save() {
    const { name, hints } = this.photo, file = `${name.replace(/\.[^.]*$/, "")}_hints.json`
    download(file, new Blob([writeHints(hints.hints, hints.size)], { type: "application/json" }))
    this.page.say(`${file} is among your downloads. The app and the command colorize take it, too: colorize "${name}" --hints "${file}"`)
  }

  async load(file) {
    const { photo } = this
    try { photo.hints.change(readHints(file.name, await file.text(), photo.hints.size)) } catch (e) {
      return this.page.say(e instanceof HintError ? e.message : `${file.name}: cannot be read`, true)
    }
    this.page.render(photo)
    if (photo === this.photo) this.edit(photo)
  }
}
