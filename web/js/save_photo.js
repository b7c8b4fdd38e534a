// The result as a file, in the format of the photo where the browser can write it

import { withExif } from "./exif.js"
import { pngOf } from "./png.js"

const types = { jpeg: "image/jpeg", webp: "image/webp" }
const suffixes = { jpeg: /\.jpe?g$/i, webp: /\.webp$/i }

/** A canvas of this size that holds what is painted on it, or null: each browser has another limit, and none tells */
function wholeCanvas(width, height) {
  try {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })
    context.fillRect(width - 1, height - 1, 1, 1)
    return context.getImageData(width - 1, height - 1, 1, 1).data[3] === 255 ? context : null
  } catch { return null }
}

async function byCanvas(photo, strip, rows) {
  const type = types[photo.file.kind], context = type && wholeCanvas(photo.width, photo.height)
  if (!context) return null
  for (let y = 0; y < photo.height; y += rows) {
    const n = Math.min(rows, photo.height - y)
    context.putImageData(new ImageData(await strip(y, n), photo.width, n), 0, y)
  }
  photo.bitmap.close() // before the encoder takes its memory
  const blob = await context.canvas.convertToBlob({ type, quality: 0.92 })
  return blob.type === type ? withExif(blob, photo.file.exif) : null
}

/**
 * @param {import("./open_photo.js").OpenPhoto} photo
 * @param {string} name of its file
 * @param {(y: number, n: number) => Promise<Uint8ClampedArray>} strip gives coloured rows
 * @param {number} rows of a strip
 * @returns {Promise<{name: string, blob: Blob}>}
 */
export async function saved(photo, name, strip, rows) {
  const stem = name.replace(/\.[^.]*$/, ""), kind = photo.file.kind
  const suffix = suffixes[kind]?.exec(name)?.[0] ?? `.${{ jpeg: "jpg" }[kind] ?? kind}`
  const blob = await byCanvas(photo, strip, rows)
  if (blob) return { name: `${stem}_color${suffix}`, blob }
  return { name: `${stem}_color.png`, blob: await pngOf(photo.width, photo.height, Boolean(photo.file.alpha), strip, rows) }
}
