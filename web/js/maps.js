// Small maps of numbers, as a network makes them: Float32Array of (channels, height, width), upsampled as PyTorch does it

/** @typedef {{data: Float32Array, channels: number, height: number, width: number}} NumberMap */

/**
 * @param {Float32Array} data
 * @param {number} channels
 * @param {number} height
 * @param {number} width
 * @returns {NumberMap}
 */
export function numberMap(data, channels, height, width) { return { data, channels, height, width } }

/** Where the pixels of a new side lie in the old one: lower neighbours, upper neighbours, shares of the upper ones */
export function linearTaps(from, to) {
  const low = new Int32Array(to), high = new Int32Array(to), share = new Float32Array(to)
  for (let i = 0; i < to; i++) {
    const at = Math.max(0, (i + 0.5) * from / to - 0.5)
    low[i] = Math.min(from - 1, Math.floor(at))
    high[i] = Math.min(from - 1, low[i] + 1)
    share[i] = at - low[i]
  }
  return { low, high, share }
}

/** Bilinear resampling, corners not aligned: `F.interpolate(x, (height, width), mode='bilinear')` */
export function bilinear(map, height, width) {
  if (map.height === height && map.width === width) return map
  const out = new Float32Array(map.channels * height * width), y = linearTaps(map.height, height), x = linearTaps(map.width, width)
  for (let c = 0, o = 0; c < map.channels; c++) {
    const plane = map.data.subarray(c * map.height * map.width)
    for (let i = 0; i < height; i++) {
      const a = y.low[i] * map.width, b = y.high[i] * map.width, t = y.share[i]
      for (let j = 0; j < width; j++, o++) {
        const l = x.low[j], h = x.high[j], s = x.share[j]
        const top = plane[a + l] + s * (plane[a + h] - plane[a + l])
        out[o] = top + t * (plane[b + l] + s * (plane[b + h] - plane[b + l]) - top)
      }
    }
  }
  return numberMap(out, map.channels, height, width)
}

function cubicTaps(from, to) {
  const at = new Int32Array(4 * to), weight = new Float32Array(4 * to), A = -0.75
  const near = t => ((A + 2) * t - (A + 3)) * t * t + 1, far = t => ((A * t - 5 * A) * t + 8 * A) * t - 4 * A
  for (let i = 0; i < to; i++) {
    const real = (i + 0.5) * from / to - 0.5, first = Math.floor(real), t = real - first
    weight.set([far(t + 1), near(t), near(1 - t), far(2 - t)], 4 * i)
    for (let k = 0; k < 4; k++) at[4 * i + k] = Math.min(from - 1, Math.max(0, first + k - 1))
  }
  return { at, weight }
}

/** Bicubic upsampling: `F.interpolate(x, (height, width), mode='bicubic')` */
export function bicubic(map, height, width) {
  const x = cubicTaps(map.width, width), y = cubicTaps(map.height, height)
  const wide = new Float32Array(map.channels * map.height * width), out = new Float32Array(map.channels * height * width)
  for (let row = 0, o = 0; row < map.channels * map.height; row++) {
    const at = row * map.width
    for (let j = 0; j < width; j++, o++) {
      let sum = 0
      for (let k = 4 * j; k < 4 * j + 4; k++) sum += x.weight[k] * map.data[at + x.at[k]]
      wide[o] = sum
    }
  }
  for (let c = 0, o = 0; c < map.channels; c++) {
    for (let i = 0; i < height; i++) {
      const [p, q, r, s] = [0, 1, 2, 3].map(k => (c * map.height + y.at[4 * i + k]) * width)
      const [wp, wq, wr, ws] = y.weight.subarray(4 * i, 4 * i + 4)
      for (let j = 0; j < width; j++, o++) out[o] = wp * wide[p + j] + wq * wide[q + j] + wr * wide[r + j] + ws * wide[s + j]
    }
  }
  return numberMap(out, map.channels, height, width)
}

/** The mean over 3x3 pixels; at the border the border's pixels are repeated */
export function boxMean(map) {
  const { data, channels, height, width } = map, out = new Float32Array(data.length)
  for (let c = 0, o = 0; c < channels; c++) {
    const plane = c * height * width
    for (let i = 0; i < height; i++) {
      const rows = [Math.max(0, i - 1), i, Math.min(height - 1, i + 1)].map(y => plane + y * width)
      for (let j = 0; j < width; j++, o++) {
        const l = Math.max(0, j - 1), r = Math.min(width - 1, j + 1)
        let sum = 0
        for (const row of rows) sum += data[row + l] + data[row + j] + data[row + r]
        out[o] = sum / 9
      }
    }
  }
  return numberMap(out, channels, height, width)
}
