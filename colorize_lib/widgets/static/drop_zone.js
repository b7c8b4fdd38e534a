// Files in (dropped, chosen, pasted, or one of the samples) and files out.
// They travel in chunks of 1 MB: Jupyter's server closes the connection on a message of more than 10 MB.
const piece = 1 << 20
let count = 0

async function send(model, file) {
  const id = `${Date.now()}-${count++}`, most = model.get("max_megabytes")
  if (file.size > most * 2**20) return model.send({ do: "refuse", name: file.name, why: `${Math.round(file.size / 2**20)} MB; this app takes files of up to ${most} MB` })
  try {
    model.send({ do: "begin", id, name: file.name, size: file.size })
    for (let at = 0; at < file.size; at += piece) model.send({ do: "piece", id }, undefined, [await file.slice(at, at + piece).arrayBuffer()])
    model.send({ do: "end", id })
  } catch { model.send({ do: "refuse", id, name: file.name, why: "the browser cannot read it (is it a folder?)" }) }
}

function save(name, type, data) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([data], { type })), download: name })
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}

function render({ model, el }) {
  el.classList.add("clz")
  el.addEventListener("focusin", e => { e.target.dataset.lmSuppressShortcuts = true }) // or JupyterLab takes the arrow keys
  el.innerHTML = `<div class="clz-drop">
    <svg width="46" height="46" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <rect x="3" y="3" width="18" height="18" rx="4"/><circle cx="8.5" cy="8.5" r="1.7"/><path d="m4 17 5-5 4 4 3-3 4 4"/></svg>
    <div class="clz-big"></div>
    <button type="button" class="clz-button clz-main clz-choose"></button><input type="file" multiple hidden>
    <p>or paste one from the clipboard. Nothing leaves the machine that runs this notebook.</p>
    <p class="clz-try">No photo at hand? Try one of these:</p><div class="clz-samples"></div></div>`
  const find = s => el.querySelector(s), zone = find(".clz-drop"), input = find("input"), choose = find(".clz-choose")
  const take = files => [...files].forEach(file => send(model, file))
  choose.onclick = () => input.click()
  input.onchange = () => { take(input.files); input.value = "" }

  const show = () => {
    const compact = model.get("compact"), samples = model.get("samples")
    zone.classList.toggle("clz-compact", compact)
    el.classList.toggle("clz-wide", !compact)
    input.accept = model.get("accept")
    find(".clz-big").textContent = model.get("title")
    choose.textContent = compact ? model.get("label") : "Choose photos"
    choose.classList.toggle("clz-main", !compact)
    find(".clz-try").hidden = !samples.length
    find(".clz-samples").replaceChildren(...samples.map(({ name, thumb }, i) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: name, onclick: () => model.send({ do: "sample", index: i }) })
      button.append(Object.assign(new Image(), { src: thumb, alt: `Sample photo: ${name}` }))
      return button
    }))
  }
  for (const name of ["compact", "samples", "title", "label", "accept"]) model.on(`change:${name}`, show)
  show()
  model.on("msg:custom", (msg, buffers) => { if (msg.do === "save") save(msg.name, msg.type, buffers[0]) })

  // the whole card takes drops and pastes; it is there once this element is in the page
  let card, depth = 0
  const over = on => card.classList.toggle("clz-over", on)
  const events = {
    dragenter: e => { e.preventDefault(); depth++; over(true) },
    dragover: e => e.preventDefault(),
    dragleave: () => { if (!--depth) over(false) },
    drop: e => { e.preventDefault(); e.stopPropagation(); depth = 0; over(false); take(e.dataTransfer.files) },
    paste: e => { if (e.clipboardData.files.length) { e.preventDefault(); e.stopPropagation(); take(e.clipboardData.files) } },
  }
  const timer = setTimeout(() => {
    if (!model.get("everywhere")) return
    card = el.closest(".clz-card") ?? el
    for (const [name, f] of Object.entries(events)) card.addEventListener(name, f)
  })
  return () => {
    clearTimeout(timer)
    for (const [name, f] of Object.entries(events)) card?.removeEventListener(name, f)
  }
}
export default { render }
