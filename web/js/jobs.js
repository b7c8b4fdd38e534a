// The page's side of the worker: each job is a promise with progress, and can be cancelled

/** A job that the user has stopped */
export class Cancelled extends Error {}

export class Jobs {
  /** @param {(text: string) => void} onCrash what to say if the worker ends */
  constructor(onCrash) {
    this.onCrash = onCrash
    this.open = new Map()
    this.count = 0
    this.start()
  }

  start() {
    this.worker = new Worker("js/worker.js", { type: "module" })
    this.worker.onmessage = ({ data }) => this.answer(data)
    this.worker.onerror = e => {
      e.preventDefault()
      this.worker.terminate()
      const jobs = [...this.open.values()]
      this.open.clear()
      this.start()
      this.onCrash(e.message || "its files cannot be loaded")
      for (const { reject } of jobs) reject(new Error("the worker ended: reload the page if it happens again"))
    }
  }

  answer({ id, progress, result, error, cancelled }) {
    const job = this.open.get(id)
    if (!job) return
    if (progress) return job.onProgress?.(progress)
    this.open.delete(id)
    if (cancelled) job.reject(new Cancelled())
    else if (error) job.reject(new Error(error))
    else job.resolve(result)
  }

  /**
   * @param {string} what of the worker's actions
   * @param {object} more what it needs
   * @param {(progress: {words: string, share: number}) => void} [onProgress]
   * @returns {Promise<any> & {cancel: () => void}}
   */
  run(what, more, onProgress) {
    const id = ++this.count
    const promise = new Promise((resolve, reject) => this.open.set(id, { resolve, reject, onProgress }))
    this.worker.postMessage({ id, do: what, ...more })
    promise.cancel = () => this.worker.postMessage({ id, do: "cancel" })
    return promise
  }
}
