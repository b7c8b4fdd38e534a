// Colours that are worth offering at a place: the same as in the app's hint editor (colorize_lib/widgets/hint_state.py)

import { labOf, rgbOf } from "./lab.js"

const inside = (rgb, tol) => rgb.every(v => v > -tol && v < 1 + tol)

/** How much of the chroma `a`, `b` sRGB has at this lightness, in steps of 1/200 */
function share(lightness, a, b) {
  for (let s = 200; s > 0; s--) if (inside(rgbOf(lightness, a * s / 200, b * s / 200), 0.002)) return s / 200
  return 0
}

/**
 * A colour as it looks at a place of this lightness
 * @param {number} lightness L*
 * @param {number[]} ab where it is out of sRGB's gamut, its chroma is lowered
 * @returns {number[]} red, green, blue, 0 to 255
 */
export function atLightness(lightness, [a, b]) {
  const s = share(lightness, a, b)
  return rgbOf(lightness, a * s, b * s).map(v => Math.round(255 * Math.min(1, Math.max(0, v))))
}

/** Red, green, blue as `#rrggbb`, and back */
export const hexCode = color => "#" + color.map(v => v.toString(16).padStart(2, "0")).join("")
export const fromHex = code => [1, 3, 5].map(i => parseInt(code.slice(i, i + 2), 16))

/** Each colour once, in order */
export const different = colors => [...new Map(colors.map(c => [hexCode(c), c])).values()]

/**
 * Red, green, blue of what a user writes, or null
 * @param {string} text '#c03020', 'darkred', 'rgb(192, 48, 32)'
 */
export function parseColor(text) {
  if (!CSS.supports("color", text) || /var\(|current|transparent|inherit|initial|unset|revert/i.test(text)) return null
  const context = new OffscreenCanvas(1, 1).getContext("2d")
  context.fillStyle = text
  context.fillRect(0, 0, 1, 1)
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data
  return a ? [r, g, b] : null
}

/** The usual colours of photos by lightness, and the names of CSS: both made by `make web` from the package */
export class Colors {
  /**
   * @param {number[][][]} usual for L* = 0, 10, ..., 100: lists `[a, b]`
   * @param {Record<string, string>} names hex codes
   */
  constructor(usual, names) {
    this.table = usual
    this.names = Object.entries(names).map(([name, code]) => [name, labOf(fromHex(code))])
  }

  /** Colours that photos often have at this lightness: gray first, then by hue */
  usual(lightness) {
    const level = this.table[Math.round(Math.min(100, Math.max(0, lightness)) / 10)]
    const hue = ([a, b]) => a || b ? Math.atan2(b, a) : -Infinity
    return different([...level].sort((p, q) => hue(p) - hue(q)).map(ab => atLightness(lightness, ab)))
  }

  /** The name of the nearest colour of CSS */
  name(color) {
    const lab = labOf(color), far = ([, o]) => (o[0] - lab[0]) ** 2 + (o[1] - lab[1]) ** 2 + (o[2] - lab[2]) ** 2
    return this.names.reduce((best, o) => far(o) < far(best) ? o : best)[0]
  }
}

/**
 * All colours of one lightness: a* to the right, b* upwards, from -110 to 110; nearly white outside of the gamut
 * @returns {ImageData}
 */
export function gamutSlice(lightness, side = 221) {
  const out = new ImageData(side, side), axis = i => 110 - 220 * i / (side - 1), middle = side >> 1
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i += 4) {
      const rgb = rgbOf(lightness, -axis(x), axis(y)), there = inside(rgb, 0.001)
      const shade = (x === middle ? 0.85 : 1) * (y === middle ? 0.85 : 1)
      for (let c = 0; c < 3; c++) out.data[i + c] = Math.round(255 * shade * (there ? Math.min(1, Math.max(0, rgb[c])) : 0.96))
      out.data[i + 3] = 255
    }
  }
  return out
}
