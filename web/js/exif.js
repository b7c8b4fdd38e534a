// What the camera wrote goes into the result, as in Python; but for its orientation, since the result is upright, and its small gray copy

/**
 * @param {Uint8Array} exif from 'Exif' on
 * @returns {Uint8Array} the same, upright and without a thumbnail; empty if it is broken
 */
export function uprightExif(exif) {
  const out = exif.slice(), view = new DataView(out.buffer, 6), little = view.getUint16(0) === 0x4949
  try {
    const first = view.getUint32(4, little), n = view.getUint16(first, little)
    for (let at = first + 2; at < first + 2 + 12 * n; at += 12) {
      if (view.getUint16(at, little) === 0x112) view.setUint16(at + 8, 1, little)
    }
    view.setUint32(first + 2 + 12 * n, 0, little)
    return out
  } catch (e) {
    if (e instanceof RangeError) return new Uint8Array(0)
    throw e
  }
}

/**
 * A JPEG with the EXIF of another
 * @param {Blob} jpeg
 * @param {Uint8Array|undefined} exif as `kindOf` finds it
 * @returns {Blob}
 */
export function withExif(jpeg, exif) {
  const kept = exif?.length > 20 ? uprightExif(exif) : []
  if (!kept.length) return jpeg
  const size = kept.length + 2
  return new Blob([jpeg.slice(0, 2), Uint8Array.of(0xff, 0xe1, size >> 8, size & 255), kept, jpeg.slice(2)], { type: jpeg.type })
}
