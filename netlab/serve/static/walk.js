// @ts-check
/** A trace on the picture and beside it: the server gives the line, this draws it hop by hop. */
import { element, svg } from "./dom.js"

/**
 * @typedef {{kind: string, source: string | null, target: string | null, source_port: number | null, target_port: number | null, ttl: number | null, vni: number | null}} Header
 * @typedef {{table: string, chain: string, hook: string, verdict: string, service: string | null, policy: string | null, file: string | null, line: number | null}} Rules
 * @typedef {{netns: string, interface: string, direction: string, headers: Header[], changed: string[], same: boolean, notes: string[], rules: Rules[], at: [number, number], badge: [number, number]}} Hop
 * @typedef {{points: [number, number][], hops: Hop[], spot: [number, number] | null}} Way
 * @typedef {{question: Way, answer: Way}} Ways
 */

let turn = 0

/** @param {SVGSVGElement} root */
export function erase(root) {
  turn += 1
  for (const each of root.querySelectorAll(".live")) each.remove()
}

/** @param {[number, number][]} points @param {number} by */
const path = (points, by) => points.map(([x, y], index) => `${index ? "L" : "M"}${x + by} ${y + by}`).join("")

/**
 * Draw the request, then the reply; each hop's entry in the list is marked when the line reaches it.
 * @param {SVGSVGElement} root
 * @param {Ways} ways
 * @param {HTMLElement} list
 */
export async function play(root, ways, list) {
  erase(root)
  const mine = turn, under = svg("g", { class: "live" }), over = svg("g", { class: "live" })
  root.insertBefore(under, root.querySelector(".front"))
  root.append(over)
  let before = 0
  for (const [name, style] of /** @type {[keyof Ways, string][]} */ ([["question", "ask"], ["answer", "ans"]])) {
    const way = ways[name], isRequest = name === "question"
    if (!way.points.length) continue
    const offset = before
    const mark = (/** @type {number} */ index) => {
      list.children[offset + index]?.classList.add("on")
      if (isRequest) number(over, way.hops[index].badge, index + 1)
    }
    await line(under, over, way, style, isRequest, mark, () => mine === turn)
    if (mine !== turn) return
    before += way.hops.length
    if (way.spot) cross(over, way.spot)
  }
}

/** @param {SVGElement} group @param {[number, number]} at @param {number} value */
function number(group, [x, y], value) {
  group.append(svg("circle", { class: "badge ask", cx: x, cy: y, r: 8.5 }), svg("text", { class: "num", "text-anchor": "middle", x, y: y + 3.6 }, String(value)))
}

/** @param {SVGElement} group @param {[number, number]} at */
function cross(group, [x, y]) {
  group.append(svg("circle", { class: "dead", cx: x, cy: y, r: 11 }), svg("path", { class: "death", d: `M${x - 4.5} ${y - 4.5}l9 9m0 -9l-9 9` }))
}

/**
 * @param {SVGElement} under
 * @param {SVGElement} over
 * @param {Way} way
 * @param {string} style
 * @param {boolean} isRequest
 * @param {(index: number) => void} mark
 * @param {() => boolean} isCurrent
 */
async function line(under, over, way, style, isRequest, mark, isCurrent) {
  const shape = path(way.points, isRequest ? 0 : 4)
  const halo = svg("path", { class: "halo", d: shape }), drawn = /** @type {SVGPathElement} */ (svg("path", { class: `go ${style}`, d: shape }))
  under.append(halo, drawn)
  const total = drawn.getTotalLength(), stops = way.hops.map((hop) => reached(drawn, total, hop.at))
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    for (const index of way.hops.keys()) mark(index)
    return
  }
  const dot = svg("circle", { class: "mover", r: 6 })
  over.append(dot)
  drawn.style.strokeDasharray = halo.style.strokeDasharray = `${total} ${total}`
  const lasts = Math.min(3200, Math.max(900, way.hops.length * (isRequest ? 260 : 110))), began = performance.now()
  let next = 0
  await new Promise((/** @type {(value?: unknown) => void} */ done) => requestAnimationFrame(function step(now) {
    if (!isCurrent()) return done()
    const part = Math.min(1, Math.max(0, (now - began) / lasts)), at = part * total, point = drawn.getPointAtLength(at)
    drawn.style.strokeDashoffset = halo.style.strokeDashoffset = String(total - at)
    dot.setAttribute("cx", String(point.x))
    dot.setAttribute("cy", String(point.y))
    while (next < stops.length && (stops[next] <= at + 1 || part === 1)) mark(next++)
    if (part < 1) requestAnimationFrame(step)
    else done()
  }))
  dot.remove()
  drawn.style.strokeDasharray = isRequest ? "none" : "6 5"
  drawn.style.strokeDashoffset = "0"
  halo.style.strokeDasharray = "none"
}

/**
 * The length of the line up to the point that is next to `at`.
 * @param {SVGPathElement} drawn
 * @param {number} total
 * @param {[number, number]} at
 */
function reached(drawn, total, at) {
  let best = 0, least = Infinity
  for (let index = 0; index <= 160; index++) {
    const point = drawn.getPointAtLength((total * index) / 160), far = Math.abs(point.x - at[0]) + Math.abs(point.y - at[1])
    if (far < least - 0.5) [least, best] = [far, (total * index) / 160]
  }
  return best
}

/**
 * The list of hops.
 * @param {Ways} ways
 * @param {(text: string) => string} shorten
 */
export function hops(ways, shorten) {
  const list = element("ol", { class: "hops" })
  for (const [name, way] of Object.entries(ways)) for (const [index, hop] of way.hops.entries()) {
    const body = element("div", {}, ...hop.rules.map((rules) => element("div", { class: "rule" }, met(rules))))
    body.append(element("div", {}, element("b", {}, shorten(hop.netns)), " ", element("span", { class: "mono" }, hop.interface), " ", element("span", { class: "mute" }, hop.direction)))
    if (hop.notes.length) body.append(element("div", { class: "mute" }, shorten(hop.notes.join("; "))))
    if (!hop.same) body.append(stack(hop, 0))
    list.append(element("li", { class: name === "answer" ? "ans" : "" }, element("span", { class: "no", "aria-hidden": "true" }, String(index + 1)), body))
  }
  return list
}

/** @param {Rules} rules */
function met(rules) {
  const about = rules.service ?? rules.policy ?? `${rules.table} ${rules.chain}`
  return `nftables ${rules.hook}: ${about}: ${rules.verdict}` + (rules.file ? ` (${rules.file}:${rules.line})` : "")
}

/**
 * The headers from the outside in, each inside the header before it.
 * @param {Hop} hop
 * @param {number} index
 * @returns {HTMLElement}
 */
function stack(hop, index) {
  const header = hop.headers[index], isOuter = index < hop.headers.length - 1
  const word = (/** @type {string} */ text, /** @type {string[]} */ ...fields) =>
    fields.some((field) => hop.changed.includes(`${index}.${field}`)) ? element("mark", {}, text) : document.createTextNode(text)
  const port = (/** @type {number | null} */ value) => (value ? `:${value}` : "")
  const box = element("div", { class: `stack mono${isOuter ? " outer" : ""}` }, element("span", { class: isOuter ? "k" : "" }, header.vni === null ? `${header.kind} ` : `${header.kind} ${header.vni} `))
  if (header.source && header.target)
    box.append(word(header.source + (isOuter ? "" : port(header.source_port)), "source", "source_port"), " → ", word(header.target + port(header.target_port), "target", "target_port"))
  if (header.ttl !== null) box.append(" ", word(`ttl ${header.ttl}`, "ttl"))
  if (isOuter) box.append(stack(hop, index + 1))
  return box
}
