// A PNG file of rows of pixels, strip by strip: lossless, and free of the limits of a canvas

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1
  return n
})

function chunk(type, data) {
  const out = new Uint8Array(12 + data.length), view = new DataView(out.buffer)
  view.setUint32(0, data.length)
  out.set([...type].map(c => c.charCodeAt(0)), 4)
  out.set(data, 8)
  let crc = -1
  for (let i = 4; i < 8 + data.length; i++) crc = crcTable[(crc ^ out[i]) & 255] ^ crc >>> 8
  view.setUint32(8 + data.length, ~crc)
  return out
}

/** RGBA rows as PNG wants them: each pixel as its difference from what its neighbours foretell (Paeth) */
function filtered(pixels, above, width, channels) {
  const line = 1 + channels * width, out = new Uint8Array(pixels.length / (4 * width) * line)
  for (let o = 0, i = 0; o < out.length; above = pixels.subarray(i - 4 * width, i)) {
    out[o++] = 4
    for (let x = 0; x < width; x++, i += 4) {
      for (let c = 0; c < channels; c++) {
        const left = x ? pixels[i + c - 4] : 0, up = above ? above[4 * x + c] : 0, corner = x && above ? above[4 * x + c - 4] : 0
        const p = left + up - corner, dl = Math.abs(p - left), du = Math.abs(p - up), dc = Math.abs(p - corner)
        out[o++] = pixels[i + c] - (dl <= du && dl <= dc ? left : du <= dc ? up : corner)
      }
    }
  }
  return out
}

/**
 * @param {number} width
 * @param {number} height
 * @param {boolean} alpha keep transparency
 * @param {(y: number, n: number) => Promise<Uint8ClampedArray>} strip gives RGBA rows
 * @param {number} rows of a strip
 * @returns {Promise<Blob>}
 */
export async function pngOf(width, height, alpha, strip, rows) {
  const head = new Uint8Array(13), view = new DataView(head.buffer), channels = alpha ? 4 : 3
  view.setUint32(0, width)
  view.setUint32(4, height)
  head.set([8, alpha ? 6 : 2], 8)
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", head), chunk("sRGB", Uint8Array.of(0))]
  const zip = new CompressionStream("deflate"), writer = zip.writable.getWriter(), reader = zip.readable.getReader()
  const collected = (async () => {
    for (let r = await reader.read(); !r.done; r = await reader.read()) parts.push(chunk("IDAT", r.value))
  })()
  try {
    for (let y = 0, above; y < height; y += rows) {
      const n = Math.min(rows, height - y), pixels = await strip(y, n)
      await writer.write(filtered(pixels, above, width, channels))
      above = pixels.slice(-4 * width)
    }
    await writer.close()
    await collected
  } catch (e) {
    writer.abort().catch(() => {})
    collected.catch(() => {})
    throw e
  }
  return new Blob([...parts, chunk("IEND", new Uint8Array(0))], { type: "image/png" })
}
