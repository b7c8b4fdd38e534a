// All colours of one lightness, and a dot that is moved over them by mouse, finger and arrow keys

import { gamutSlice } from "./colors.js"

const clamp = v => Math.min(110, Math.max(-110, v))

export class Slice {
  /**
   * @param {HTMLElement} frame with a canvas and a dot
   * @param {(ab: number[]) => void} choose told a* and b*
   */
  constructor(frame, choose) {
    Object.assign(this, { frame, choose, ab: [0, 0], lightness: null })
    frame.addEventListener("pointerdown", e => { frame.setPointerCapture(e.pointerId); frame.focus(); this.follow(e) })
    frame.addEventListener("pointermove", e => { if (frame.hasPointerCapture(e.pointerId)) this.follow(e) })
    frame.addEventListener("keydown", e => {
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key] ?? [0, 0]
      if (!(dx || dy)) return
      e.preventDefault()
      const step = e.shiftKey ? 20 : 2
      this.move(this.ab[0] + dx * step, this.ab[1] + dy * step)
    })
  }

  follow(e) {
    const box = this.frame.getBoundingClientRect()
    this.move(220 * (e.clientX - box.left) / box.width - 110, 110 - 220 * (e.clientY - box.top) / box.height)
  }

  move(a, b) {
    this.put([clamp(a), clamp(b)])
    this.choose(this.ab)
  }

  put(ab) {
    const dot = this.frame.querySelector(".dot")
    this.ab = ab
    dot.style.left = `${(ab[0] + 110) / 2.2}%`
    dot.style.top = `${(110 - ab[1]) / 2.2}%`
  }

  /**
   * @param {number} lightness L*
   * @param {string} name of the colour where the dot is
   */
  show(lightness, name) {
    const canvas = this.frame.querySelector("canvas")
    if (lightness !== this.lightness) canvas.getContext("2d").putImageData(gamutSlice(lightness, canvas.width), 0, 0)
    this.lightness = lightness
    this.frame.setAttribute("aria-label", `The colours of lightness ${Math.round(lightness)}; the dot is at ${name}. Arrow keys move it, with Shift in larger steps.`)
  }
}
