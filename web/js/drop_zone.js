// Photos in: chosen, taken, dropped anywhere on the page, or pasted

/**
 * @param {HTMLElement} page
 * @param {(files: File[]) => void} take
 */
export function takeFiles(page, take) {
  for (const input of page.querySelectorAll("input[type=file][data-photos]")) {
    input.addEventListener("change", () => { take([...input.files]); input.value = "" })
  }
  for (const button of page.querySelectorAll("[data-opens]")) {
    button.addEventListener("click", () => document.getElementById(button.dataset.opens).click())
  }
  let depth = 0
  const over = on => page.classList.toggle("over", on)
  const events = {
    dragenter: e => { e.preventDefault(); depth++; over(true) },
    dragover: e => e.preventDefault(),
    dragleave: () => { if (!--depth) over(false) },
    drop: e => { e.preventDefault(); depth = 0; over(false); take([...e.dataTransfer.files]) },
    paste: e => { if (e.clipboardData.files.length) { e.preventDefault(); take([...e.clipboardData.files]) } },
  }
  for (const [name, act] of Object.entries(events)) document.addEventListener(name, act)
}
