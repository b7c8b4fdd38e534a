// What a file is, by its first bytes: its size in pixels before anything is decoded, and what should be said about it

/**
 * @typedef {object} FileKind
 * @property {string} kind 'jpeg', 'png', 'webp', ... or '' if it is no picture
 * @property {number} [width] in pixels, where the kind is known well
 * @property {number} [height]
 * @property {boolean} [alpha] may be transparent
 * @property {boolean} [animated]
 * @property {string} [note] what a user should know
 * @property {Uint8Array} [exif] of a JPEG, from 'Exif' on
 */

const text = (bytes, at, n) => String.fromCharCode(...bytes.subarray(at, at + n))

function jpeg(bytes, view) {
  const found = { kind: "jpeg" }
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1], size = view.getUint16(at + 2)
    if (marker === 0xe1 && text(bytes, at + 4, 4) === "Exif") found.exif = bytes.slice(at + 4, at + 2 + size)
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      Object.assign(found, { height: view.getUint16(at + 5), width: view.getUint16(at + 7) })
      if (bytes[at + 9] === 4) found.note = "a CMYK photo: your browser turned it into RGB, so tones may differ from print"
      return found
    }
    at += 2 + size
  }
  return found
}

function png(bytes, view) {
  const found = { kind: "png", width: view.getUint32(16), height: view.getUint32(20), alpha: bytes[25] >= 4 }
  if (bytes[24] === 16) found.note = "16 bits a channel: the result has 8"
  for (let at = 8; at + 12 < bytes.length;) {
    const chunk = text(bytes, at + 4, 4)
    if (chunk === "acTL") found.animated = true
    if (chunk === "tRNS") found.alpha = true
    if (chunk === "IDAT") break
    at += 12 + view.getUint32(at)
  }
  return found
}

function gif(bytes, view) {
  const skip = at => { // sub-blocks
    while (at < bytes.length && bytes[at]) at += 1 + bytes[at]
    return at + 1
  }
  const table = flags => flags & 128 ? 3 << (flags & 7) + 1 : 0
  let frames = 0
  for (let at = 13 + table(bytes[10]); at < bytes.length && bytes[at] !== 0x3b && frames < 2;) {
    if (bytes[at] === 0x21) at = skip(at + 2)
    else if (bytes[at] === 0x2c) { frames++; at = skip(at + 11 + table(bytes[at + 9])) }
    else break
  }
  return { kind: "gif", width: view.getUint16(6, true), height: view.getUint16(8, true), alpha: true, animated: frames > 1 }
}

function webp(bytes, view) {
  const found = { kind: "webp", alpha: text(bytes, 12, 4) !== "VP8 " }
  if (text(bytes, 12, 4) !== "VP8X") return found
  const flags = bytes[20], side = at => 1 + view.getUint16(at, true) + (bytes[at + 2] << 16)
  return { ...found, width: side(24), height: side(27), alpha: Boolean(flags & 16), animated: Boolean(flags & 2) }
}

function boxed(bytes) {
  const brand = text(bytes, 8, 4)
  if (/^avi[fs]/.test(brand)) return { kind: "avif", alpha: true, animated: brand === "avis" }
  if (/^(hei|hev|mif1|msf1)/.test(brand)) return { kind: "heic" }
  return { kind: "film" }
}

const starts = { "\xff\xd8\xff": jpeg, "\x89PNG": png, GIF8: gif }
const others = { BM: "bmp", "II*\0": "tiff", "MM\0*": "tiff", "%PDF": "pdf", "\xff\x0a": "jxl", "\0\0\0\x0cJXL ": "jxl" }

/**
 * @param {Uint8Array} bytes of a whole file
 * @returns {FileKind}
 */
export function kindOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const is = start => text(bytes, 0, start.length) === start
  try {
    for (const [start, read] of Object.entries(starts)) if (is(start)) return read(bytes, view)
    if (is("RIFF") && text(bytes, 8, 4) === "WEBP") return webp(bytes, view)
    if (text(bytes, 4, 4) === "ftyp") return boxed(bytes)
    for (const [start, kind] of Object.entries(others)) if (is(start)) return { kind }
    if (/^\s*(<\?xml[^]*)?<svg/.test(text(bytes, 0, 600))) return { kind: "svg" }
  } catch (e) { if (!(e instanceof RangeError)) throw e } // cut off within its head
  return { kind: "" }
}
