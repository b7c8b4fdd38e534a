// The hints of a photo while a user edits them, the way back, and their file: the one of the app and of `colorize --hints`

import { hexCode, parseColor } from "./colors.js"

export const mostHints = 128
const format = "colorize_lib hints"

/** A hint, or a file of hints, that cannot be used: the message says which, and why */
export class HintError extends Error {}

/** @typedef {{x: number, y: number, color: number[], radius: number|null}} Hint pixels of the upright photo; red, green, blue */

/** Hints that can be used, or a `HintError` that names the first that cannot */
export function checkHints(hints, [width, height]) {
  const seen = new Map()
  if (hints.length > mostHints) throw new HintError(`${hints.length} hints: at most ${mostHints} can be used`)
  hints.forEach(({ x, y, radius }, i) => {
    if (![x, y, radius ?? 0].every(Number.isFinite)) throw new HintError(`hint ${i + 1}: x, y and radius need to be finite numbers`)
    if (!(x >= 0 && x < width && y >= 0 && y < height)) {
      throw new HintError(`hint ${i + 1}: outside the photo, which has ${width}x${height} pixels`)
    }
    if (radius !== null && !(radius > 0 && radius <= Math.max(width, height))) {
      throw new HintError(`hint ${i + 1}: the radius needs to be above 0 and not larger than the photo`)
    }
    const place = `${Math.floor(x)}, ${Math.floor(y)}`
    if (seen.has(place)) throw new HintError(`hints ${seen.get(place)} and ${i + 1} are at the same place, ${place}`)
    seen.set(place, i + 1)
  })
  return hints
}

/** A file of hints as text */
export function writeHints(hints, [width, height]) {
  const rows = hints.map(({ x, y, color, radius }) => ({ x, y, color: hexCode(color), radius }))
  return JSON.stringify({ format, width, height, hints: rows }, null, 1) + "\n"
}

/** Hints of a file; all that can be wrong with it is a `HintError` that names it */
export function readHints(name, text, size) {
  let content
  try { content = JSON.parse(text) } catch (e) { throw new HintError(`${name}: not a file of hints (${e.message})`) }
  if (content?.format !== format || !Array.isArray(content.hints)) throw new HintError(`${name}: not a file of hints`)
  const madeFor = [content.width, content.height]
  if (!madeFor.every(Number.isInteger)) throw new HintError(`${name}: it does not say for what size of photo`)
  if (madeFor.join() !== size.join()) {
    throw new HintError(`${name}: made for a photo of ${madeFor.join("x")} pixels, this one has ${size.join("x")}`)
  }
  const hints = content.hints.map((o, i) => {
    const color = Array.isArray(o?.color) ? o.color : typeof o?.color === "string" ? parseColor(o.color) : null
    if (color?.length !== 3 || !color.every(v => v >= 0 && v <= 255)) throw new HintError(`${name}: hint ${i + 1} has no colour`)
    return { x: o.x, y: o.y, color: color.map(Math.round), radius: o.radius ?? null }
  })
  try { return checkHints(hints, madeFor) } catch (e) { throw new HintError(`${name}: ${e.message}`) }
}

export class EditedHints {
  /** @param {number[]} size width and height of the upright photo */
  constructor(size) {
    this.size = size
    this.hints = []
    this.mark = null // a place `[x, y]`
    this.selected = -1 // index of a hint
    this.done = []
    this.undone = []
    this.series = null
  }

  state() { return { hints: this.hints, mark: this.mark, selected: this.selected } }

  /** Take other hints; consecutive changes of one series are undone together */
  change(hints, selected = -1, series = null) {
    checkHints(hints, this.size)
    if (series === null || series !== this.series) this.done.push(this.state())
    this.undone = []
    this.hints = hints
    this.select(selected, series)
  }

  /** Select a hint: the mark goes to it */
  select(i, series = null) {
    this.selected = i < this.hints.length ? i : -1
    this.series = series
    if (this.selected >= 0) this.mark = [this.hints[i].x, this.hints[i].y].map(Math.floor)
  }

  clamped(...place) { return place.map((v, i) => Math.min(Math.max(0, Math.trunc(v)), this.size[i] - 1)) }

  /** Index of the hint at a place, or -1 */
  at([x, y], but = -1) { return this.hints.findIndex((o, i) => i !== but && Math.floor(o.x) === x && Math.floor(o.y) === y) }

  /** Put the mark at a place; a hint that is there is selected */
  point(x, y) {
    this.mark = this.clamped(x, y)
    this.select(this.at(this.mark))
  }

  /** Give the hint at the mark a colour, or make one there */
  paint(color, series = null) {
    if (!this.mark) throw new HintError("No place is chosen: click one in the photo first")
    const i = this.at(this.mark), hints = [...this.hints], key = series && `${series} ${i < 0 ? hints.length : i}`
    if (i < 0) hints.push({ x: this.mark[0], y: this.mark[1], color, radius: null })
    else if (hexCode(hints[i].color) === hexCode(color)) return this.select(i, key)
    else hints[i] = { ...hints[i], color }
    this.change(hints, i < 0 ? hints.length - 1 : i, key)
  }

  /** Move the selected hint, or the mark */
  move(x, y) {
    const i = this.selected
    if (i < 0) return this.point(x, y)
    const to = this.clamped(x, y)
    if (this.at(to, i) >= 0 || this.at(to) === i) return
    this.change(this.hints.map((o, j) => j === i ? { ...o, x: to[0], y: to[1] } : o), i, `move ${i}`)
  }

  /** Move by some pixels; without a mark, it appears in the middle */
  nudge(dx, dy) {
    if (!this.mark) return this.point(this.size[0] / 2, this.size[1] / 2)
    const selected = this.selected
    this.move(this.mark[0] + dx, this.mark[1] + dy)
    if (selected < 0) this.selected = -1 // the keyboard's mark passes over hints
  }

  /** End a series: the next change is a step of its own */
  settle() { this.series = null }

  /** Select the next hint (1) or the one before (-1) */
  step(by) {
    const n = this.hints.length
    if (n) this.select(this.selected < 0 ? (by > 0 ? 0 : n - 1) : (this.selected + by + n) % n)
  }

  /** Delete the selected hint; the mark stays */
  delete() {
    if (this.selected < 0) throw new HintError("No hint is selected: click one, or press N")
    this.change(this.hints.filter((_, i) => i !== this.selected))
  }

  undo() { this.back(this.done, this.undone) }
  redo() { this.back(this.undone, this.done) }
  back(stack, other) {
    if (!stack.length) return
    other.push(this.state())
    Object.assign(this, stack.pop(), { series: null })
  }
}
