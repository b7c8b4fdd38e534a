// All computing happens here, job by job, so that the page never freezes; between two steps a job can be cancelled

import { Colorizer } from "./colorizer.js"
import { FileError } from "./files.js"
import { labOf } from "./lab.js"
import { Network } from "./network.js"
import { openPhoto, previewOf, tooLarge } from "./open_photo.js"
import { PhotoError } from "./photo_error.js"
import { recolor, recolored, reducedBy } from "./recolor.js"
import { saved } from "./save_photo.js"

const previewSide = 1400, mostKept = 4
const cancelled = new Set(), kept = new Map() // of the last photos: what the network made of them, and their previews
let chain = Promise.resolve(), loading

class Cancelled extends Error {}

/** Let messages in, tell how far a job is, and end it if it was cancelled */
async function step(id, words, share) {
  postMessage({ id, progress: { words, share } })
  await new Promise(go => setTimeout(go))
  if (cancelled.has(id)) throw new Cancelled()
}

function load({ id, backend }) {
  loading ??= Network.load((share, total) => postMessage({ id, progress: { words: `Loading the network, ${(total / 1e6).toFixed(1)} MB`, share } }), backend)
    .then(network => new Colorizer(network))
    .catch(e => { loading = null; throw e })
  return loading
}

async function jpegOf({ width, height, data }) {
  const canvas = new OffscreenCanvas(width, height)
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0)
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 })
}

function gray({ width, height, data }) {
  const out = new Uint8ClampedArray(data.length)
  for (let i = 0; i < data.length; i += 4) out.fill((19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2] + 0x8000) >> 16, i, i + 3)
  for (let i = 3; i < data.length; i += 4) out[i] = 255
  return { width, height, data: out }
}

/** What is known of a photo; if it was forgotten, it is looked at again */
async function seen(job) {
  const found = kept.get(job.photo) ?? await lookAt(job)
  kept.delete(job.photo)
  kept.set(job.photo, found) // the newest is last
  if (kept.size > mostKept) kept.delete(kept.keys().next().value)
  return found
}

async function lookAt(job) {
  const { id, file, name } = job, colorizer = await load(job)
  await step(id, `Opening ${name}`, 0)
  const photo = await openPhoto(file, name)
  job.size = [photo.width, photo.height]
  try {
    await step(id, `Colouring ${name}`, 0.1)
    const preview = previewOf(photo, previewSide)
    const found = await colorizer.look(photo, share => step(id, `Colouring ${name}`, 0.15 + 0.75 * share))
    return { ...found, size: job.size, notes: photo.notes, preview }
  } finally { photo.bitmap.close() }
}

const colorsOf = async (job, known) => (await load(job)).colors(known, known.size, job.hints ?? [], job.strength)

async function render(job) {
  const known = await seen(job), ab = await colorsOf(job, known)
  const picture = { ...known.preview, data: known.preview.data.slice() }
  return { after: await jpegOf(recolored(picture, known.lum, ab)) }
}

async function color(job) {
  const { preview, size, notes } = await seen(job), { after } = await render(job)
  return { before: await jpegOf(gray(preview)), after, size, notes }
}

/** L* at a place, the mean of nine pixels, and the colours that the network predicts there without hints */
async function look(job) {
  const { preview, ab, size } = await seen(job), { saturation } = await load(job)
  const at = ({ width, height }) => [width, height].map((n, i) => Math.min(n - 1, Math.floor((job.mark[i] + 0.5) * n / size[i])))
  const [x, y] = at(preview), [u, v] = at(ab), found = []
  for (let i = Math.max(0, y - 1); i < Math.min(preview.height, y + 2); i++) {
    for (let j = Math.max(0, x - 1); j < Math.min(preview.width, x + 2); j++) {
      const o = 4 * (i * preview.width + j)
      found.push(labOf([...preview.data.subarray(o, o + 3)])[0])
    }
  }
  const n = ab.width * ab.height
  return { lightness: found.reduce((a, b) => a + b) / found.length, ab: [0, n].map(o => ab.data[o + v * ab.width + u] * 110 * saturation) }
}

/** The photo at its full size, as a file */
async function save(job) {
  const { id, file, name } = job, known = await seen(job), ab = await colorsOf(job, known)
  await step(id, `Opening ${name}`, 0.05)
  const photo = await openPhoto(file, name)
  job.size = [photo.width, photo.height]
  try {
    await step(id, `Painting ${name} at full size`, 0.1)
    const paint = recolor(photo, known.lum, ab), k = reducedBy(photo.width, photo.height)
    const rows = k * Math.max(1, Math.floor(2 ** 19 / photo.width / k))
    return await saved(photo, name, async (y, n) => {
      const pixels = photo.rows(y, n)
      paint(pixels, y)
      await step(id, `Painting ${name} at full size`, 0.15 + 0.8 * y / photo.height)
      return pixels
    }, rows)
  } finally { photo.bitmap.close() }
}

const actions = {
  load: async job => {
    const { backend, files } = (await load(job)).network
    return { backend, files }
  },
  forget: async job => { kept.delete(job.photo) },
  color, render, look, save,
}

/** What went wrong, in a sentence that names the file */
function reason(e, { name, size }) {
  if (e instanceof PhotoError || e instanceof FileError || !name) return e.message
  const outOfMemory = e instanceof RangeError || /memory|bad_alloc|allocat/i.test(e.message)
  return outOfMemory && size ? tooLarge(name, ...size).message : `${name}: could not be coloured (${e.message})`
}

async function handle(job) {
  try {
    if (cancelled.has(job.id)) throw new Cancelled()
    postMessage({ id: job.id, result: await actions[job.do](job) })
  } catch (e) { postMessage(e instanceof Cancelled ? { id: job.id, cancelled: true } : { id: job.id, error: reason(e, job) }) }
  cancelled.delete(job.id)
}

onmessage = ({ data }) => {
  if (data.do === "cancel") cancelled.add(data.id)
  else chain = chain.then(() => handle(data))
}
