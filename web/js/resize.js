// Smaller pictures, to the last bit as Pillow makes them: what the network sees here is what it sees in Python
// (but for photos more than twice as high as wide, in which Pillow 13 begins with the columns)

/** @typedef {{width: number, height: number, rows: (y: number, n: number) => Uint8ClampedArray}} Source rows of RGBA pixels */
/** @typedef {{width: number, height: number, data: Uint8ClampedArray}} Picture RGBA pixels */

/** A picture as a source of rows */
export function sourceOf(picture) {
  const { width, height, data } = picture
  return { width, height, rows: (y, n) => data.subarray(4 * y * width, 4 * (y + n) * width) }
}

/** Lay transparent pixels on white, in place */
export function onWhite(data) {
  for (let i = 3; i < data.length; i += 4) {
    const a = data[i]
    if (a === 255) continue
    for (let c = i - 3; c < i; c++) data[c] = Math.round((data[c] * a + 255 * (255 - a)) / 255)
    data[i] = 255
  }
  return data
}

/**
 * Means over blocks, as `Image.reduce` makes them; transparency is laid on white
 * @param {Source} source
 * @param {number} fx pixels of a block, across
 * @param {number} fy and down
 * @param {(share: number) => void} [tell] how much is done, 0 to 1
 * @returns {Picture}
 */
export function reduce(source, fx, fy, tell) {
  const width = Math.ceil(source.width / fx), height = Math.ceil(source.height / fy)
  const data = new Uint8ClampedArray(4 * width * height), sums = new Uint32Array(3 * width)
  const factors = new Map() // Pillow multiplies by a rounded reciprocal
  const reciprocal = n => factors.get(n) ?? factors.set(n, Math.floor(Math.fround(2 ** 32 / (256 * n)))).get(n)
  const strip = fy * Math.max(1, Math.floor(2 ** 19 / source.width / fy))
  for (let y0 = 0, o = 0; y0 < source.height; y0 += strip) {
    const n = Math.min(strip, source.height - y0), pixels = onWhite(source.rows(y0, n))
    for (let y = 0; y < n; y += fy) {
      const rows = Math.min(fy, n - y)
      sums.fill(0)
      for (let r = y, i = 4 * y * source.width; r < y + rows; r++) {
        for (let x = 0, s = 0; x < source.width; s += 3) {
          for (const end = Math.min(source.width, x + fx); x < end; x++, i += 4) {
            sums[s] += pixels[i]
            sums[s + 1] += pixels[i + 1]
            sums[s + 2] += pixels[i + 2]
          }
        }
      }
      for (let x = 0, s = 0; x < width; x++, s += 3, o += 4) {
        const count = rows * Math.min(fx, source.width - x * fx), half = count >> 1, by = reciprocal(count)
        for (let c = 0; c < 3; c++) data[o + c] = Math.floor((sums[s + c] + half) * by / 2 ** 24)
        data[o + 3] = 255
      }
    }
    tell?.((y0 + n) / source.height)
  }
  return { width, height, data }
}

function cubic(x) {
  x = Math.abs(x)
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
}

/** Weights of an antialiased side: first pixels, numbers of pixels, and whole numbers that add up to about 2^22 */
function antialiased(from, length, to) {
  const scale = length / to, wide = Math.max(1, scale), support = 2 * wide
  const first = [], weights = []
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale
    const low = Math.max(0, Math.trunc(center - support + 0.5)), high = Math.min(from, Math.trunc(center + support + 0.5))
    const w = Array.from({ length: high - low }, (_, k) => cubic((k + low - center + 0.5) / wide))
    const sum = w.reduce((a, b) => a + b, 0)
    first.push(low)
    weights.push(Int32Array.from(w, v => Math.trunc(v / sum * 2 ** 22 + (v < 0 ? -0.5 : 0.5))))
  }
  return { first, weights }
}

/** One side resampled: `stride` from pixel to pixel along it, `jump` from line to line */
function resampled(data, out, lines, taps, [inStride, inJump], [outStride, outJump]) {
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < taps.first.length; i++) {
      const weights = taps.weights[i], start = line * inJump + taps.first[i] * inStride, o = line * outJump + i * outStride
      let r = 2 ** 21, g = r, b = r
      for (let k = 0, p = start; k < weights.length; k++, p += inStride) {
        const w = weights[k]
        r += w * data[p]
        g += w * data[p + 1]
        b += w * data[p + 2]
      }
      out[o] = r >> 22 // a Uint8ClampedArray clips
      out[o + 1] = g >> 22
      out[o + 2] = b >> 22
      out[o + 3] = 255
    }
  }
}

/**
 * `Image.resize((width, height), BICUBIC, reducing_gap=3)`
 * @param {Source} source
 * @returns {Picture}
 */
export function resize(source, width, height, tell) {
  const fx = Math.max(1, Math.trunc(source.width / width / 3)), fy = Math.max(1, Math.trunc(source.height / height / 3))
  let small = reduce(source, fx, fy, tell)
  const boxWidth = source.width / fx, boxHeight = source.height / fy
  if (width !== small.width || boxWidth !== width) {
    const data = new Uint8ClampedArray(4 * width * small.height)
    resampled(small.data, data, small.height, antialiased(small.width, boxWidth, width), [4, 4 * small.width], [4, 4 * width])
    small = { width, height: small.height, data }
  }
  if (height !== small.height || boxHeight !== height) {
    const data = new Uint8ClampedArray(4 * width * height)
    resampled(small.data, data, width, antialiased(small.height, boxHeight, height), [4 * width, 4], [4 * width, 4])
    small = { width, height, data }
  }
  return small
}

/** Rounds as Python does: halves to even numbers */
export function round(v) {
  const r = Math.round(v)
  return r - v === 0.5 && r % 2 ? r - 1 : r
}

/** The size at which a photo is shown to the network: `render_size` in Python */
export function renderSize(width, height, size) {
  return [width, height].map(side => Math.max(1, Math.min(round(side * size / Math.min(width, height)), 8 * size)))
}
