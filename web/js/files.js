// The page's large files: fetched with progress, checked against the list that `make web` wrote, unpacked

/** @typedef {{version: string, first: string[], files: Record<string, {bytes: number, sha256: string}>}} FileList */

const cure = "Reload the page while holding Shift; if that does not help, whoever keeps this page should run make web again"

/** A file of the page that is missing or is not what it should be */
export class FileError extends Error {
  constructor(path, reason) { super(`${path}: ${reason}. ${cure}`) }
}

/** @returns {Promise<FileList>} */
export async function fileList() {
  const answer = await fetch(new URL("../vendor/files.json", import.meta.url), { cache: "no-cache" }).catch(() => null)
  if (!answer?.ok) throw new FileError("vendor/files.json", "the list of the page's files cannot be fetched")
  return answer.json()
}

async function read(path, onBytes) {
  const answer = await fetch(new URL(`../${path}`, import.meta.url)).catch(() => null)
  if (!answer?.ok) throw new FileError(path, answer ? `not found (${answer.status})` : "cannot be fetched: is there a connection?")
  const parts = []
  try {
    for (let reader = answer.body.getReader(), r = await reader.read(); !r.done; r = await reader.read()) {
      parts.push(r.value)
      onBytes(r.value.length)
    }
  } catch { throw new FileError(path, "the connection broke off") }
  return new Blob(parts)
}

const hex = buffer => [...new Uint8Array(buffer)].map(v => v.toString(16).padStart(2, "0")).join("")

/**
 * @param {FileList} list
 * @param {string} path
 * @param {(bytes: number) => void} onBytes how many have just arrived
 * @returns {Promise<ArrayBuffer>} what is in the file, unpacked if its name ends in `.gz.bin`
 */
export async function checkedFile(list, path, onBytes) {
  const blob = await read(path, onBytes), data = await blob.arrayBuffer()
  if (!list.files[path]) throw new FileError(path, "not in the list of the page's files")
  // a page that comes neither by https nor from this machine has no `crypto.subtle`: then its length must do
  const same = self.crypto?.subtle ? hex(await crypto.subtle.digest("SHA-256", data)) === list.files[path].sha256
    : data.byteLength === list.files[path].bytes
  if (!same) throw new FileError(path, "not the file that this page was made with, its checksum differs")
  if (!path.endsWith(".gz.bin")) return data
  return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
}
