// A status line, read aloud by screen readers. It also watches Python: if the card is used and Python does not respond, it says so.
const patience = 6000

function render({ model, el }) {
  el.classList.add("clz")
  el.innerHTML = `<div class="clz-notice" role="status" aria-live="polite"><progress max="1" aria-label="Progress"></progress><span></span></div>
    <div class="clz-notice clz-lost" role="alert" hidden></div>`
  const [line, lost] = el.children, [bar, text] = line.children
  const show = () => {
    const done = model.get("progress")
    line.dataset.kind = model.get("kind")
    line.dataset.empty = !model.get("text")
    text.textContent = model.get("text")
    bar.style.display = done === null ? "none" : ""
    if (done === null || done < 0) bar.removeAttribute("value")
    else bar.value = done
  }
  for (const name of ["text", "kind", "progress"]) model.on(`change:${name}`, show)
  show()

  let card, asked = 0, waiting, asking
  const ask = () => {
    if (waiting) return
    const early = Math.max(0, asked + 2000 - Date.now()) // one question in two seconds will do, but no click is left without one
    asking = setTimeout(() => {
      asked = Date.now()
      try { model.send({ do: "ask" }) } catch { /* a closed connection: the timer tells */ }
    }, early)
    waiting = setTimeout(() => {
      lost.hidden = false
      lost.style.display = ""
      lost.textContent = "Python does not respond. If another cell is running, this goes on by itself. If the kernel was closed or restarted, run this cell again."
      waiting = undefined
    }, early + patience)
  }
  model.on("msg:custom", () => { clearTimeout(waiting); waiting = undefined; lost.style.display = "none" })
  lost.style.display = "none"
  const keys = e => { e.target.dataset.lmSuppressShortcuts = true } // or JupyterLab takes the arrow keys of all sliders in the card
  const timer = setTimeout(() => {
    card = el.closest(".clz-card") ?? el
    card.addEventListener("focusin", keys)
    for (const event of ["pointerdown", "keydown", "drop"]) card.addEventListener(event, ask, true)
  })
  return () => {
    for (const t of [timer, asking, waiting]) clearTimeout(t)
    card?.removeEventListener("focusin", keys)
    for (const event of ["pointerdown", "keydown", "drop"]) card?.removeEventListener(event, ask, true)
  }
}
export default { render }
