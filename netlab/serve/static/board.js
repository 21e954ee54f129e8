// @ts-check
/** The picture: moved and scaled by a transform, so that a drag repaints nothing. */
import { byId } from "./dom.js"

const board = byId("board"), stage = byId("stage")
let x = 0, y = 0, scale = 1, frame = 0
/** @type {[number, number] | null} */
let held = null
const FAR = 0.6 // the scale below which small texts cannot be read
export const drag = { moved: false }

function place() {
  frame = 0
  board.style.transform = `translate(${x}px,${y}px) scale(${scale})`
  const root = /** @type {SVGSVGElement | null} */ (board.firstElementChild), isFar = scale < FAR
  if (!root || root.classList.contains("far") === isFar) return
  if (isFar) enlarge(root)
  root.classList.toggle("far", isFar)
}

/**
 * From afar only names are shown, as large as their boxes let them be.
 * @param {SVGSVGElement} root
 */
function enlarge(root) {
  if (root.dataset.names) return
  root.dataset.names = "1"
  const names = /** @type {NodeListOf<SVGTextElement>} */ (root.querySelectorAll(".nname,.pname"))
  const rooms = [...names].map((each) => {
    const group = each.closest(".pick") ?? each.parentElement, box = group?.querySelector("rect")
    const beside = (group?.querySelectorAll(":scope>.nname,:scope>.pname").length ?? 1) > 1 ? 2 : 1
    return box ? (Number(box.getAttribute("width")) - 18 * beside) / beside / each.getComputedTextLength() : 1
  })
  names.forEach((each, index) => {
    const by = Math.max(1, Math.min(2, rooms[index]))
    each.style.setProperty("--size", `${by * 13}px`)
    each.style.setProperty("--down", `${(by - 1) * 9}px`)
    each.classList.add("grown")
  })
}

function soon() {
  if (!frame) frame = requestAnimationFrame(place)
}

/** Show the whole picture. */
export function fit() {
  const picture = board.firstElementChild
  if (!picture) return
  const wide = Number(picture.getAttribute("width")), high = Number(picture.getAttribute("height"))
  const isNarrow = stage.clientWidth < 500 // all of its width, and its top: the rest is below
  scale = Math.min(stage.clientWidth / wide, isNarrow ? 1.6 : stage.clientHeight / high, 1.6)
  x = Math.max(0, (stage.clientWidth - wide * scale) / 2)
  y = Math.max(0, (stage.clientHeight - high * scale) / 2 - 10)
  place()
}

/**
 * @param {number} by
 * @param {number} [atX]
 * @param {number} [atY]
 */
export function zoom(by, atX = stage.clientWidth / 2, atY = stage.clientHeight / 2) {
  const to = Math.min(4, Math.max(0.15, scale * by))
  x = atX - ((atX - x) * to) / scale
  y = atY - ((atY - y) * to) / scale
  scale = to
  soon()
}

/**
 * @param {number} dx
 * @param {number} dy
 */
function pan(dx, dy) {
  x += dx
  y += dy
  soon()
}

stage.addEventListener("pointerdown", (event) => {
  held = [event.clientX, event.clientY]
  drag.moved = false
})
window.addEventListener("pointermove", (event) => {
  if (!held) return
  const dx = event.clientX - held[0], dy = event.clientY - held[1]
  if (!drag.moved && Math.hypot(dx, dy) < 4) return
  if (!drag.moved) board.style.willChange = "transform"
  drag.moved = true
  held = [event.clientX, event.clientY]
  pan(dx, dy)
})
window.addEventListener("pointerup", () => {
  held = null
  board.style.willChange = "auto"
})
stage.addEventListener("wheel", (event) => {
  event.preventDefault()
  const box = stage.getBoundingClientRect()
  zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top)
}, { passive: false })

/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }
stage.addEventListener("keydown", (event) => {
  if (event.target !== stage) return
  if (STEPS[event.key]) pan(...STEPS[event.key])
  else if (event.key === "+") zoom(1.2)
  else if (event.key === "-") zoom(1 / 1.2)
  else return
  event.preventDefault()
})
window.addEventListener("resize", fit)
