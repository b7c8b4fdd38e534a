// From photo to colours: what `Colorizer` and `HintedPhoto` do in Python (colorize_lib/apply/colorizer.py)

import { bilinear, numberMap } from "./maps.js"
import { renderSize, resize, round } from "./resize.js"

/**
 * Hints as the network takes them: rectangles of their colours
 * @param {import("./hints.js").Hint[]} hints
 * @param {number[]} full width and height of the photo
 * @param {number[]} small width and height of what the network sees
 * @returns {Uint8Array} RGBA
 */
export function paintedHints(hints, full, small) {
  const out = new Uint8Array(4 * small[0] * small[1])
  for (const { x, y, color, radius } of hints) {
    const r = radius ?? 3 * Math.min(...full) / 256
    const [[x0, x1], [y0, y1]] = [x, y].map((at, i) => {
      const first = Math.min(small[i] - 1, Math.max(0, round((at + 0.5 - r) * small[i] / full[i])))
      return [first, Math.min(small[i], Math.max(first + 1, round((at + 0.5 + r) * small[i] / full[i])))]
    })
    for (let row = y0; row < y1; row++) for (let column = x0; column < x1; column++) out.set([...color, 255], 4 * (row * small[0] + column))
  }
  return out
}

export class Colorizer {
  /** @param {import("./network.js").Network} network */
  constructor(network) {
    this.network = network
    const { size, scales = [1], saturation = 1 } = network.config
    Object.assign(this, { size, scales, saturation })
  }

  /**
   * Show a photo to the network, at all its sizes
   * @param {import("./open_photo.js").OpenPhoto} photo
   * @param {(share: number) => Promise<void>} step called between steps; it may end the job by throwing
   * @returns {Promise<{lum: import("./maps.js").NumberMap, ab: import("./maps.js").NumberMap, levels: object}>} `ab` in [-1,1], `lum` is L*
   */
  async look(photo, step) {
    const found = [], work = this.scales.map(s => s * s), total = work.reduce((a, b) => a + b)
    let done = 0
    for (const [i, scale] of this.scales.entries()) {
      const small = resize(photo, ...renderSize(photo.width, photo.height, round(this.size * scale)))
      await step(done / total)
      found.push(await this.network.see(small))
      done += work[i]
      await step(done / total)
    }
    const { lum, levels } = found.at(-1), { height, width } = lum, sum = new Float32Array(2 * height * width)
    for (const { ab } of found) bilinear(ab, height, width).data.forEach((v, i) => { sum[i] += v / found.length })
    return { lum: { ...lum, data: lum.data.map(v => (v + 1) * 50) }, ab: numberMap(sum, 2, height, width), levels }
  }

  /**
   * The colours of a photo that was looked at, in CIE units
   * @param {{lum: object, ab: object, levels: object, places?: object}} seen from `look`; what hints need is kept in it
   * @param {number[]} size of the photo
   * @param {import("./hints.js").Hint[]} hints
   * @param {number} strength factor on the model's colours
   */
  async colors(seen, size, hints, strength) {
    let { ab } = seen
    if (hints.length) {
      seen.places ??= await this.network.describe(seen.levels)
      seen.levels = null
      ab = await this.network.correct(seen.places, ab, paintedHints(hints, size, [ab.width, ab.height]))
    }
    return { ...ab, data: ab.data.map(v => v * 110 * this.saturation * strength) }
  }
}
