// The network: ONNX files run by onnxruntime-web, on WebGPU where that is right and faster, else on WebAssembly

import { checkedFile, fileList } from "./files.js"
import { numberMap } from "./maps.js"

const vendor = new URL("../vendor/", import.meta.url).href
const runtimes = {
  wasm: { module: "ort.wasm.min.mjs", glue: "ort-wasm-simd-threaded.mjs", wasm: "ort-wasm-simd-threaded.wasm.gz.bin" },
  webgpu: { module: "ort.webgpu.min.mjs", glue: "ort-wasm-simd-threaded.asyncify.mjs", wasm: "ort-wasm-simd-threaded.asyncify.wasm.gz.bin" },
}
const parts = ["", ".places", ".hints"]

const mapOf = ({ data, dims: [, channels, height, width] }) => numberMap(data, channels, height, width)

/** Is there a graphics processor that WebGPU can use? */
async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null)
  return Boolean(adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter))
}

export class Network {
  /**
   * @param {(share: number, total: number) => void} tell how much of how many bytes has arrived
   * @param {string} [wanted] 'wasm' or 'webgpu'; default: what there is
   * @returns {Promise<Network>}
   */
  static async load(tell, wanted) {
    const list = await fileList(), first = wanted ?? (await hasGpu() ? "webgpu" : "wasm")
    try { return await new Network().start(list, first, tell) } catch (e) {
      if (first === "wasm") throw e
      return new Network().start(list, "wasm", tell)
    }
  }

  async start(list, backend, tell) {
    const runtime = runtimes[backend], files = ["grayscale.json", ...parts.map(o => `grayscale${o}.onnx`), runtime.wasm].map(o => `vendor/${o}`)
    const total = files.reduce((sum, o) => sum + (list.files[o]?.bytes ?? 0), 0)
    let arrived = 0
    const onBytes = n => tell((arrived += n) / total, total)
    const [config, ...rest] = await Promise.all(files.map(o => checkedFile(list, o, onBytes)))
    this.files = Object.values(runtime).map(o => `vendor/${o}`)
    this.config = JSON.parse(new TextDecoder().decode(config)).config
    this.ort = await import(vendor + runtime.module)
    const { env } = this.ort
    env.logLevel = "error"
    Object.assign(env.wasm, { wasmBinary: rest.pop(), wasmPaths: { mjs: vendor + runtime.glue }, proxy: false,
      numThreads: self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency ?? 1) : 1 })
    const session = (data, provider) => this.ort.InferenceSession.create(data, { executionProviders: [provider] })
    ;[this.main, this.places, this.hints] = [await session(rest[0], backend), await session(rest[1], "wasm"), await session(rest[2], "wasm")]
    this.backend = `WebAssembly, ${env.wasm.numThreads} thread${env.wasm.numThreads > 1 ? "s" : ""}`
    if (backend === "webgpu") await this.checkGpu(await session(rest[0], "wasm"))
    return this
  }

  /** Drivers err, and some are slow: WebGPU stays if a small picture gets the same colours by it, sooner than by WebAssembly */
  async checkGpu(other) {
    const data = Uint8ClampedArray.from({ length: 4 * 128 * 128 }, (_, i) => (i * i >> 4) % 256), picture = { width: 128, height: 128, data }
    const timed = async main => {
      const network = Object.assign(new Network(), { ort: this.ort, main })
      await network.see(picture) // the first run prepares
      const start = performance.now(), { ab } = await network.see(picture)
      return { ab: ab.data, took: performance.now() - start }
    }
    const right = await timed(other), found = await timed(this.main)
    const same = found.ab.every((v, i) => Math.abs(v - right.ab[i]) < 0.01)
    if (same && found.took < right.took) this.backend = "WebGPU"
    await (this.backend === "WebGPU" ? other : this.main).release()
    if (this.backend !== "WebGPU") this.main = other
  }

  /**
   * What the network makes of a small picture
   * @param {import("./resize.js").Picture} picture
   * @returns {Promise<{lum: import("./maps.js").NumberMap, ab: import("./maps.js").NumberMap, levels: object}>} both in [-1,1]
   */
  async see({ width, height, data }) {
    const picture = new this.ort.Tensor("uint8", new Uint8Array(data.buffer, data.byteOffset, data.length), [1, height, width, 4])
    const { lum, ab, ...levels } = await this.main.run({ picture })
    return { lum: mapOf(lum), ab: mapOf(ab), levels }
  }

  /** What hints need to know of all places, from the levels of the largest picture; once a photo */
  describe(levels) { return this.places.run(levels) }

  /**
   * Spread hints
   * @param {object} places from `describe`
   * @param {import("./maps.js").NumberMap} ab the prediction to correct
   * @param {Uint8Array} painted RGBA: the hints' colours where they are
   */
  async correct({ at, traits }, ab, painted) {
    const { Tensor } = this.ort, size = [ab.height, ab.width]
    const { hinted } = await this.hints.run({ at, traits, ab: new Tensor("float32", ab.data, [1, 2, ...size]),
      hints: new Tensor("uint8", painted, [1, ...size, 4]) })
    return mapOf(hinted)
  }
}
