// The photo keeps its own lightness, and the network's small colour map is upsampled along the photo's edges:
// `recolor` of colorize_lib/apply/recolor.py, in strips, so that memory stays small

import { curve, fromLight, rgbFromXyz, toLight, white, yFromRgb } from "./lab.js"
import { bicubic, boxMean, linearTaps, numberMap } from "./maps.js"
import { reduce, sourceOf } from "./resize.js"

const ySteps = 65535, lightSteps = 16384

/** Y of each red, green and blue, in steps; `f(Y)`; 8-bit sRGB of light; the matrix from X, Z, Y to light */
function makeTables() {
  const [red, green, blue] = yFromRgb.map(w => Int32Array.from({ length: 256 }, (_, v) => Math.round(toLight(v / 255) * w * ySteps)))
  const fOfY = Float32Array.from({ length: ySteps + 2 }, (_, y) => curve(y / ySteps))
  const srgb = Uint8ClampedArray.from({ length: lightSteps + 1 }, (_, i) => Math.round(255 * fromLight((i + 0.5) / lightSteps)))
  const matrix = rgbFromXyz.map(row => {
    const [x, y, z] = row.map((v, i) => v * white[i]), sum = x + y + z // white is 1, 1, 1 to the last digit
    return [x / sum, z / sum, y / sum]
  })
  return { red, green, blue, fOfY, srgb, matrix }
}
const tables = makeTables()

/**
 * Colour as a linear function of lightness around each pixel: `guided_slopes`
 * @param {import("./maps.js").NumberMap} lum L*
 * @param {import("./maps.js").NumberMap} ab a* and b*
 * @returns {import("./maps.js").NumberMap} slopes of a and b, then offsets
 */
export function guidedSlopes(lum, ab, eps = 64) {
  const { height, width } = lum, n = height * width
  const products = new Float32Array(2 * n), squares = lum.data.map(v => v * v)
  for (let i = 0; i < 2 * n; i++) products[i] = lum.data[i % n] * ab.data[i]
  const meanLum = boxMean(lum).data, meanAb = boxMean(ab).data, meanProduct = boxMean(numberMap(products, 2, height, width)).data
  const meanSquare = boxMean(numberMap(squares, 1, height, width)).data, slope = new Float32Array(2 * n)
  for (let i = 0; i < 2 * n; i++) {
    const m = meanLum[i % n]
    slope[i] = (meanProduct[i] - m * meanAb[i]) / (meanSquare[i % n] - m * m + eps)
  }
  const out = new Float32Array(4 * n)
  out.set(boxMean(numberMap(slope, 2, height, width)).data)
  for (let i = 0; i < 2 * n; i++) out[2 * n + i] = ab.data[i] - out[i] * lum.data[i % n]
  return numberMap(out, 4, height, width)
}

/** Gains from `fy` to `fx` and `fz`, then offsets, upsampled by 2 but no further than to the full size */
function gains(lum, ab, height, width) {
  const slopes = guidedSlopes(lum, ab), n = lum.height * lum.width, out = new Float32Array(4 * n), s = slopes.data
  for (let i = 0; i < n; i++) { // with L = 116 fy - 16: fx = fy + a/500 and fz = fy - b/200
    out[i] = 1 + 116 / 500 * s[i]
    out[n + i] = 1 - 116 / 200 * s[n + i]
    out[2 * n + i] = (s[2 * n + i] - 16 * s[i]) / 500
    out[3 * n + i] = (16 * s[n + i] - s[3 * n + i]) / 200
  }
  const side = (small, full) => Math.min(2 * small, Math.max(full, small))
  return bicubic(numberMap(out, 4, lum.height, lum.width), side(lum.height, height), side(lum.width, width))
}

/** Rows of the four maps at the photo's full width; the last two are kept */
function wideRows(maps, width) {
  const taps = linearTaps(maps.width, width), kept = new Map()
  return y => {
    if (kept.has(y)) return kept.get(y)
    const row = new Float32Array(4 * width)
    for (let c = 0, o = 0; c < 4; c++) {
      const at = (c * maps.height + y) * maps.width
      for (let j = 0; j < width; j++, o++) {
        const low = maps.data[at + taps.low[j]]
        row[o] = low + taps.share[j] * (maps.data[at + taps.high[j]] - low)
      }
    }
    kept.set(y, row)
    if (kept.size > 2) kept.delete(kept.keys().next().value)
    return row
  }
}

/** The inverse of Lab's curve, without a call: this runs for each pixel */
const dark = 0.2068966, foot = 16 / 116

function recolorRow(pixels, at, width, low, high, share) {
  const { red, green, blue, fOfY, srgb, matrix: [[rx, rz, ry], [gx, gz, gy], [bx, bz, by]] } = tables, tol = 1e-4
  for (let j = 0, i = at; j < width; j++, i += 4) {
    const steps = red[pixels[i]] + green[pixels[i + 1]] + blue[pixels[i + 2]], fy = fOfY[steps], y = steps / ySteps
    const k = j + width, l = k + width, m = l + width
    let x = (low[j] + share * (high[j] - low[j])) * fy + low[l] + share * (high[l] - low[l])
    let z = (low[k] + share * (high[k] - low[k])) * fy + low[m] + share * (high[m] - low[m])
    x = x > dark ? x * x * x : (x - foot) / 7.787
    z = z > dark ? z * z * z : (z - foot) / 7.787
    let r = rx * x + rz * z + ry * y, g = gx * x + gz * z + gy * y, b = bx * x + bz * z + by * y
    const least = r < g ? (r < b ? r : b) : (g < b ? g : b), most = r > g ? (r > b ? r : b) : (g > b ? g : b)
    if (least < -tol || most > 1 + tol) { // mix with the gray of the same Y until the colour exists
      const s = Math.max(0, Math.min(1, y / (y - least + 1e-9), (1 - y) / (most - y + 1e-9)))
      r = y + s * (r - y)
      g = y + s * (g - y)
      b = y + s * (b - y)
    }
    pixels[i] = srgb[r > 0 ? (r < 1 ? r * lightSteps | 0 : lightSteps) : 0]
    pixels[i + 1] = srgb[g > 0 ? (g < 1 ? g * lightSteps | 0 : lightSteps) : 0]
    pixels[i + 2] = srgb[b > 0 ? (b < 1 ? b * lightSteps | 0 : lightSteps) : 0]
  }
}

/**
 * Colours rows of a photo of this size, in place
 * @returns {(pixels: Uint8ClampedArray, y: number) => void} `pixels`: whole rows, from row `y` on
 */
function rowPainter(lum, ab, height, width) {
  const maps = gains(lum, ab, height, width), row = wideRows(maps, width)
  return (pixels, y0) => {
    for (let y = y0, at = 0; at < pixels.length; y++, at += 4 * width) {
      const real = Math.min(maps.height - 1, Math.max(0, (y + 0.5) * maps.height / height - 0.5))
      const low = Math.min(Math.floor(real), Math.max(0, maps.height - 2))
      recolorRow(pixels, at, width, row(low), row(Math.min(low + 1, maps.height - 1)), real - low)
    }
  }
}

/** Luma of a pixel, as Pillow's mode L has it */
const luma = (p, i) => (19595 * p[i] + 38470 * p[i + 1] + 7471 * p[i + 2] + 0x8000) >> 16

/** Above two megapixels colours are made at a half or a third of the size */
export function reducedBy(width, height) { return Math.min(3, Math.ceil(Math.sqrt(width * height / 2 ** 21))) }

/**
 * A function that colours rows of a photo in place: `recolor`
 * @param {import("./resize.js").Source} source the whole photo
 * @param {import("./maps.js").NumberMap} lum its L*, as small as the network saw it
 * @param {import("./maps.js").NumberMap} ab in CIE units
 * @returns {(pixels: Uint8ClampedArray, y: number) => void} for whole rows; `y` is a multiple of `reducedBy`
 */
export function recolor(source, lum, ab) {
  const { width, height } = source, k = reducedBy(width, height)
  if (k === 1) return rowPainter(lum, ab, height, width)
  const small = reduce(source, k, k), n = small.width * small.height, offset = new Int16Array(3 * n)
  for (let i = 0; i < n; i++) offset.fill(-luma(small.data, 4 * i), 3 * i, 3 * i + 3)
  rowPainter(lum, ab, small.height, small.width)(small.data, 0)
  for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) offset[3 * i + c] += small.data[4 * i + c]
  return (pixels, y0) => {
    for (let y = y0, i = 0; i < pixels.length; y++) {
      const row = Math.floor(y / k) * small.width
      for (let x = 0; x < width; x++, i += 4) {
        const light = luma(pixels, i), o = 3 * (row + (x / k | 0))
        pixels[i] = light + offset[o]
        pixels[i + 1] = light + offset[o + 1]
        pixels[i + 2] = light + offset[o + 2]
      }
    }
  }
}

/** A whole picture in colour, in place */
export function recolored(picture, lum, ab) {
  recolor(sourceOf({ ...picture, data: picture.data.slice() }), lum, ab)(picture.data, 0)
  return picture
}
