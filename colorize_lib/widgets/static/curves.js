// Curves on a logarithmic axis, drawn by the browser: Python only sends the points
const colors = ["#d9480f", "#1c7ed6", "#2f9e44", "#9c36b5", "#e8a100", "#0c8599", "#868e96"], width = 640, height = 220, left = 44, bottom = 22
const short = v => (v >= 100 ? v.toFixed(0) : v.toPrecision(3))

function render({ model, el }) {
  el.classList.add("clz")
  el.innerHTML = `<figure class="clz-picture clz-curves" style="text-align: left"><svg viewBox="0 0 ${width} ${height}" role="img"></svg><div class="clz-legend"></div></figure>`
  const svg = el.querySelector("svg"), legend = el.querySelector(".clz-legend")
  const show = () => {
    const series = model.get("series").filter(s => s.points.length), all = series.flatMap(s => s.points)
    svg.setAttribute("aria-label", "Curves. " + series.map(s => `${s.name}: ${short(s.points.at(-1)[1])} after ${s.points.at(-1)[0]} steps, at first ${short(s.points[0][1])}`).join("; "))
    if (!all.length) return svg.replaceChildren()
    const xs = Math.max(1, ...all.map(p => p[0])), values = all.map(p => Math.max(p[1], 1e-9)), margin = 1.15
    const low = Math.log(Math.min(...values) / margin), high = Math.log(Math.max(...values) * margin)
    const x = v => left + (width - left - 8) * v / xs, y = v => 6 + (height - bottom - 6) * (high - Math.log(Math.max(v, 1e-9))) / (high - low)
    const parts = []
    for (let i = 0; i < 4; i++) {
      const v = Math.exp(low + (high - low) * (i + 0.5) / 4)
      parts.push(`<line class="clz-axis" x1="${left}" x2="${width - 8}" y1="${y(v)}" y2="${y(v)}"/><text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${short(v)}</text>`)
    }
    parts.push(`<text x="${left}" y="${height - 5}">0</text><text x="${width - 8}" y="${height - 5}" text-anchor="end">${xs} steps</text>`)
    series.forEach((s, i) => {
      const color = colors[i % colors.length], points = s.points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ")
      parts.push(s.points.length > 1 ? `<polyline points="${points}" stroke="${color}"/>` : "")
      if (s.dots) parts.push(...s.points.map(([a, b]) => `<circle cx="${x(a)}" cy="${y(b)}" r="3.2" fill="${color}"/>`))
    })
    svg.innerHTML = parts.join("")
    legend.replaceChildren(...series.map((s, i) => {
      const entry = document.createElement("span"), mark = document.createElement("i"), value = document.createElement("b")
      mark.style.background = colors[i % colors.length]
      value.textContent = short(s.points.at(-1)[1])
      entry.append(mark, `${s.name} `, value)
      return entry
    }))
  }
  model.on("change:series", show)
  show()
}
export default { render }
