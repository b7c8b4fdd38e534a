// Two pictures in one place, and a line between them: a native slider, invisible and as large as they are, moves it

export class Compare {
  /** @param {HTMLElement} stage with two images, a slider and two tags */
  constructor(stage) {
    this.stage = stage
    this.slider = stage.querySelector("input")
    ;[this.before, this.after] = stage.querySelectorAll("img")
    this.slider.addEventListener("input", () => this.place())
    this.place()
  }

  place() {
    const at = +this.slider.value, [left, right] = this.stage.querySelectorAll(".tag")
    this.stage.style.setProperty("--at", `${at}%`)
    this.slider.setAttribute("aria-valuetext", `${Math.round(at)}% gray, ${Math.round(100 - at)}% in colour`)
    left.classList.toggle("away", at < 14)
    right.classList.toggle("away", at > 86)
  }

  /** @param {import("./gallery.js").Photo} photo */
  show({ name, before, after, size, state }) {
    this.stage.style.setProperty("--shape", size[0] / size[1])
    this.stage.setAttribute("aria-busy", state === "working")
    this.stage.classList.toggle("single", !after)
    for (const [img, url, what] of [[this.before, before, "gray"], [this.after, after, "in colour"]]) {
      img.hidden = !url
      img.alt = url ? `${name}, ${what}` : ""
      if (url && img.src !== url) img.src = url
    }
  }
}
