// Opening photos in a worker: decoded by the browser, read in strips, and a sentence for each file that cannot be used

import { kindOf } from "./file_kinds.js"
import { PhotoError } from "./photo_error.js"

const jpegOf = "Save it as JPEG or PNG"
const cures = {
  heic: "HEIC, which this browser cannot open. Safari can; on an iPhone, Settings > Camera > Formats > Most Compatible takes JPEGs",
  tiff: `TIFF, which this browser cannot open. ${jpegOf}`,
  jxl: `JPEG XL, which this browser cannot open. ${jpegOf}`,
  avif: `AVIF, which this browser cannot open. ${jpegOf}`,
  film: "a film. This page colours photos; on a computer, the command colorize takes films",
  pdf: "a PDF. Save its picture as JPEG or PNG",
  svg: "a vector drawing. Save it as PNG",
}
const damaged = "damaged or cut off: the browser cannot decode it. Open it in a picture program and save it again"

/** Megapixels that this device can hold: two copies of four bytes a pixel, beside the model */
export const mostMegapixels = Math.min(100, 25 * (navigator.deviceMemory ?? 2))

function refusal(name, file, kind) {
  if (!file.size) return new PhotoError(name, "an empty file. Copy it again from where it came")
  if (/\.(onnx|safetensors|pth?)$/i.test(name)) {
    return new PhotoError(name, "a model, not a photo. This page uses the model that lies beside it; make web MODEL=file puts another there")
  }
  return new PhotoError(name, cures[kind] ?? "not a picture. JPEG, PNG, WebP, GIF, AVIF and BMP files can be coloured")
}

/** What is said when memory ends */
export function tooLarge(name, width, height) {
  const size = `${Math.round(width * height / 1e6)} megapixels`
  return new PhotoError(name, `${size}; this device takes up to ${mostMegapixels} here. Close other tabs, make it smaller, or use the command colorize "${name}"`)
}

/**
 * @typedef {object} OpenPhoto
 * @property {number} width upright
 * @property {number} height
 * @property {import("./file_kinds.js").FileKind} file
 * @property {string[]} notes what a user should know
 * @property {ImageBitmap} bitmap
 * @property {(y: number, n: number) => Uint8ClampedArray} rows RGBA
 */

/**
 * @param {File|Blob} file
 * @param {string} name
 * @returns {Promise<OpenPhoto>}
 */
export async function openPhoto(file, name) {
  const kind = kindOf(new Uint8Array(await file.arrayBuffer().catch(() => { throw new PhotoError(name, "cannot be read. Is it a folder, or was it moved?") })))
  if (!kind.kind || ["pdf", "svg", "film"].includes(kind.kind)) throw refusal(name, file, kind.kind)
  if (kind.width * kind.height > mostMegapixels * 1e6) throw tooLarge(name, kind.width, kind.height)
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" })
    .catch(() => { throw kind.kind in cures ? refusal(name, file, kind.kind) : new PhotoError(name, damaged) })
  const { width, height } = bitmap
  if (width * height > mostMegapixels * 1e6) throw tooLarge(name, width, height)
  const notes = [kind.animated && "an animation: its first frame was coloured", kind.note].filter(Boolean)
  return { width, height, file: kind, notes, bitmap, rows: rowReader(bitmap) }
}

/** Rows of a bitmap, through a canvas that is only as high as they are */
function rowReader(bitmap) {
  let canvas, context
  return (y, n) => {
    if (canvas?.height !== n) {
      canvas = new OffscreenCanvas(bitmap.width, n)
      context = canvas.getContext("2d", { willReadFrequently: true })
    }
    context.clearRect(0, 0, bitmap.width, n)
    context.drawImage(bitmap, 0, y, bitmap.width, n, 0, 0, bitmap.width, n)
    return context.getImageData(0, 0, bitmap.width, n).data
  }
}

/** A copy that fits into a square of `side` pixels, on white: what a screen shows */
export function previewOf({ bitmap, width, height }, side) {
  const scale = Math.min(1, side / Math.max(width, height))
  const w = Math.max(1, Math.round(width * scale)), h = Math.max(1, Math.round(height * scale))
  const context = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true })
  context.fillStyle = "#fff"
  context.fillRect(0, 0, w, h)
  context.imageSmoothingQuality = "high"
  context.drawImage(bitmap, 0, 0, w, h)
  return { width: w, height: h, data: context.getImageData(0, 0, w, h).data }
}
