// @ts-check
/** The page: what is chosen, what stands beside it, and the events of the server. */
import { drag, fit, zoom } from "./board.js"
import { button, byId, element, parse, svg } from "./dom.js"
import { erase, hops, play } from "./walk.js"

/** @typedef {{kind: string, netns: string, name: string, verb: string, why: string, mend: string[], line: [number, number][], at: [number, number] | null}} Mark */
/** @typedef {{kind: string, netns: string, name: string, commands: string[]}} Foreign */

const side = byId("side"), board = byId("board"), state = byId("state"), page = document.documentElement
let lab = "", chosen = "", view = "picture"
/** @type {SVGSVGElement | null} */ let picture = null
/** @type {SVGSVGElement | null} */ let flows = null
/** @type {Mark[]} */ let marks = []
/** @type {Foreign[]} */ let foreign = []

const shorten = (/** @type {string} */ text) => text.replaceAll(`${lab}-`, "")
const short = (/** @type {string} */ name) => name.replace(/^svc\//, "").replace(/^default\//, "")

/** @param {string} path @param {Record<string, string>} body */
async function post(path, body) {
  try {
    const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })
    if (response.ok || response.status === 409) return await response.json()
    return { error: (await response.text()).trim() }
  } catch {
    return { error: "the server does not reply" }
  }
}

// -- light and dark

/** @param {string} to */
function theme(to) {
  page.dataset.theme = to
  for (const root of [picture, flows]) if (root) root.dataset.theme = to
}
theme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"))
byId("theme").onclick = () => {
  const to = page.dataset.theme === "dark" ? "light" : "dark"
  localStorage.setItem("theme", to)
  theme(to)
}
byId("fit").onclick = fit
byId("in").onclick = () => zoom(1.25)
byId("out").onclick = () => zoom(0.8)

// -- the picture

/** @param {string} text */
function show(text) {
  const isFirst = picture === null
  picture = parse(text)
  if (view === "picture") board.replaceChildren(picture)
  if (isFirst) fit()
  drawMarks()
}

board.addEventListener("click", (event) => {
  const key = /** @type {Element} */ (event.target).closest("[data-key]")
  if (!drag.moved) pick(/** @type {SVGElement | null} */ (key)?.dataset.key ?? "")
})
board.addEventListener("keydown", (event) => {
  const key = /** @type {SVGElement} */ (event.target).dataset?.key
  if ((event.key === "Enter" || event.key === " ") && key) {
    event.preventDefault()
    pick(key)
  }
})
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") choose("")
})

/** @param {string} key */
function pick(key) {
  const kind = key.split(":", 1)[0], name = key.slice(kind.length + 1)
  if (kind === "flow") {
    const [from, to] = name.split(">")
    select("picture")
    void trace(from, to.replace(/:\d+\/\w+$/, ""))
    return
  }
  if (!["pod", "ext", "svc", "node"].includes(kind) || (kind === "svc" && !chosen)) return
  const target = kind === "svc" ? `svc/${name}` : name
  if (chosen && chosen !== target) void trace(chosen, target)
  else choose(target)
}

/** @param {string} style @param {string} name */
function ring(style, name) {
  for (const each of picture?.querySelectorAll(`.${style}`) ?? []) each.classList.remove(style)
  for (const kind of name ? ["pod", "ext", "node"] : []) picture?.querySelector(`.pick[data-key="${CSS.escape(`${kind}:${name}`)}"]`)?.classList.add(style)
}

/** @param {string} name */
function choose(name) {
  chosen = name
  if (picture) erase(picture)
  ring("from", name)
  ring("to", "")
  if (!name) return home()
  side.replaceChildren(element("h2", {}, short(name)), element("p", { class: "mute" }, "Now choose the target: a Pod, a Service, a node or a host outside."), element("div", { class: "row" }, button("Cancel", () => choose(""))))
}

function home() {
  side.replaceChildren(element("h2", {}, "Send a packet"), element("p", { class: "mute" }, "Choose a Pod, then a target. A real packet goes from the first to the second, and the picture shows every interface that it passes."), ...differences())
}

/** @param {string} from @param {string} to */
async function trace(from, to) {
  if (picture) erase(picture)
  ring("from", from)
  ring("to", to)
  chosen = ""
  const title = element("h2", {}, `${short(from)} → ${short(to)}`)
  side.replaceChildren(title, element("p", { class: "mute" }, "A packet is on its way…"))
  const answer = await post("/page/v1/trace", { from, to })
  if (answer.error) {
    side.replaceChildren(title, element("p", { class: "bad" }, answer.error), element("div", { class: "row" }, button("Back", () => choose(""))))
    return
  }
  const told = answer.trace, root = parse(answer.svg), list = hops(answer.walk, shorten)
  picture = root
  if (view === "picture") board.replaceChildren(root)
  ring("from", from)
  ring("to", to)
  drawMarks()
  const milliseconds = told.elapsed_us / 1000
  side.replaceChildren(
    element("h2", {}, `${short(from)} → ${short(to)}${told.port ? `:${told.port}` : ""}`),
    told.answered ? element("p", { class: "good" }, `✓ reply after ${milliseconds.toFixed(2)} ms`) : element("p", { class: "bad" }, `✕ ${told.outcome}: no reply in ${milliseconds.toFixed(0)} ms`),
    ...death(told), list,
    element("div", { class: "row" }, button("Replay", () => replay(root, answer.walk, list)), button("Send again", () => void trace(from, to)), button("Back", () => choose(""))))
  await play(root, answer.walk, list)
  page.dataset.walked = String(Number(page.dataset.walked ?? 0) + 1)
}

/** @param {SVGSVGElement} root @param {any} walk @param {HTMLElement} list */
function replay(root, walk, list) {
  for (const each of list.querySelectorAll(".on")) each.classList.remove("on")
  void play(root, walk, list)
}

/** @param {any} told @returns {HTMLElement[]} */
function death(told) {
  if (!told.died && !told.findings.length) return []
  const box = element("div", { class: "died" })
  if (told.died) {
    const where = told.died.hook ? `, nftables' ${told.died.hook} hook` : told.died.interface ? `, ${told.died.interface}` : ""
    box.append(element("p", { class: "bad" }, `✕ died in ${shorten(told.died.netns)}${where}${told.died.reason ? ` (${told.died.reason})` : ""}`))
  }
  for (const finding of told.findings.slice(0, 2)) {
    box.append(element("p", {}, shorten(finding.says)))
    if (finding.file) box.append(element("p", { class: "mono" }, element("b", {}, `${finding.file}:${finding.line}`)))
    for (const command of finding.mend) box.append(element("code", { class: "cmd mono" }, command))
  }
  return [box]
}

// -- what differs from the lab

function drawMarks() {
  if (!picture) return
  for (const each of picture.querySelectorAll(".driftmark")) each.remove()
  for (const mark of marks) {
    const group = svg("g", { class: "driftmark" })
    if (mark.line.length) group.append(svg("path", { class: "driftline", d: mark.line.map(([x, y], index) => `${index ? "L" : "M"}${x} ${y}`).join("") }))
    else if (mark.at) group.append(svg("rect", { class: "driftring", x: mark.at[0] - 16, y: mark.at[1] - 13, width: 32, height: 26, rx: 6 }))
    picture.insertBefore(group, picture.querySelector(".front"))
    if (mark.line.length > 2) pill(picture, mark)
  }
  const count = marks.length
  state.classList.toggle("bad", count > 0)
  state.textContent = count ? `${count} ${count === 1 ? "object differs" : "objects differ"} from the lab` : "as the lab describes it"
}

/** @param {SVGSVGElement} root @param {Mark} mark */
function pill(root, mark) {
  const x = (mark.line[1][0] + mark.line[2][0]) / 2, y = mark.line[1][1]
  const words = `${mark.kind} ${mark.name} ${mark.verb}`, wide = words.length * 6 + 16
  const group = svg("g", { class: "driftmark" })
  group.append(svg("rect", { class: "driftpill", x: x - wide / 2, y: y - 10, width: wide, height: 20, rx: 10 }), svg("text", { class: "m9 bad", "text-anchor": "middle", x, y: y + 3.5 }, words))
  root.append(group)
}

/** @returns {HTMLElement[]} */
function differences() {
  if (!marks.length && !foreign.length) return []
  const mine = marks.slice(0, 20).map((mark) => entry(`${mark.kind} ${mark.name}`, mark.verb, mark.netns, mark.why, mark.mend))
  const theirs = foreign.slice(0, 20).map((each) => entry(`${each.kind} ${each.name}`, "is of another program", each.netns, "", each.commands))
  return [element("h3", {}, "Differs from the lab"), ...mine, ...theirs]
}

/** @param {string} what @param {string} verb @param {string} netns @param {string} why @param {string[]} commands */
function entry(what, verb, netns, why, commands) {
  const made = element("div", { class: "drift" }, element("span", { class: "mono" }, what), ` in ${shorten(netns)} `, element("b", {}, verb), element("p", { class: "mute" }, why))
  for (const command of commands) made.append(element("code", { class: "cmd mono" }, command))
  return made
}

// -- the flows

/** @param {"picture" | "reach"} to */
function select(to) {
  view = to
  for (const each of ["picture", "reach"]) {
    const tab = byId(`tab-${each}`)
    tab.setAttribute("aria-selected", String(each === to))
    tab.tabIndex = each === to ? 0 : -1
  }
  byId("stage").setAttribute("aria-labelledby", `tab-${to}`)
  const root = to === "picture" ? picture : flows
  board.replaceChildren(...(root ? [root] : []))
  fit()
  if (to === "picture") return
  side.replaceChildren(element("h2", {}, "Flows"), element("p", { class: "mute" }, "Every Pod connects to every declared port with real packets. Choose a cell to follow its packet."), element("div", { class: "row" }, button("Probe again", () => void probe())))
  if (!flows) void probe()
}

async function probe() {
  const answer = await post("/page/v1/reach", {})
  if (answer.error) {
    side.append(element("p", { class: "bad" }, answer.error))
    return
  }
  flows = parse(answer.svg)
  if (view === "reach") {
    board.replaceChildren(flows)
    fit()
  }
  page.dataset.probed = String(Number(page.dataset.probed ?? 0) + 1)
}

byId("tab-picture").onclick = () => {
  select("picture")
  home()
}
byId("tab-reach").onclick = () => select("reach")
document.querySelector(".tabs")?.addEventListener("keydown", (event) => {
  if (!/Arrow(Left|Right)/.test(/** @type {KeyboardEvent} */ (event).key)) return
  const to = byId(view === "picture" ? "tab-reach" : "tab-picture")
  to.focus()
  to.click()
})

// -- the events of the server

const events = new EventSource("/page/v1/events")
events.addEventListener("picture", (event) => {
  const data = JSON.parse(event.data)
  const isFirst = !lab
  lab = data.lab
  document.title = `${lab} · netlab`
  byId("lab").textContent = lab
  show(data.svg)
  if (isFirst) home()
})
events.addEventListener("drift", (event) => {
  ({ marks, foreign } = JSON.parse(event.data))
  drawMarks()
  if (side.querySelector("h2")?.textContent === "Send a packet") home()
})
events.addEventListener("down", () => {
  events.close()
  state.textContent = "the lab is down"
  state.classList.add("bad")
})
events.onerror = () => {
  state.textContent = "the server does not reply"
  state.classList.add("bad")
}
