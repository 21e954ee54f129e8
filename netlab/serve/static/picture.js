// @ts-check
/** The picture: boxes that are chosen, packets between them, and what differs from the lab. */
import { button, byId, element, parse, svg } from "./dom.js"
import { actions, count, draw, fill, hear, homes, narrow, picks, post, register, say, shared, short, shorten, side } from "./frame.js"
import { erase, hops, play } from "./walk.js"

/** @typedef {{kind: string, netns: string, name: string, verb: string, why: string, mend: string[], line: [number, number][], at: [number, number] | null}} Mark */
/** @typedef {{kind: string, netns: string, name: string, commands: string[]}} Foreign */

let chosen = "", isHome = false
/** @type {SVGSVGElement | null} */ let picture = null
/** @type {Mark[]} */ let marks = []
/** @type {Foreign[]} */ let foreign = []

const view = register({ id: "picture", title: "Picture", drawing: () => picture, show: home, hide: () => (isHome = false) })

/** @param {string} text */
function show(text) {
  const isFirst = picture === null
  picture = parse(text)
  if (shared.view === view) draw(isFirst)
  drawMarks()
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shared.view === view && !(/** @type {Element} */ (event.target).closest(".term"))) choose("")
})

/** @param {string} kind @param {string} name */
function target(kind, name) {
  if (shared.view !== view || (kind === "svc" && !chosen)) return
  const to = kind === "svc" ? `svc/${name}` : name
  if (chosen && chosen !== to) void trace(chosen, to)
  else choose(to, `${kind}:${name}`)
}
for (const kind of ["pod", "ext", "svc", "node"]) picks[kind] = (name) => target(kind, name)

/** @param {string} style @param {string} name */
function ring(style, name) {
  for (const each of picture?.querySelectorAll(`.${style}`) ?? []) each.classList.remove(style)
  for (const kind of name ? ["pod", "ext", "node"] : []) picture?.querySelector(`.pick[data-key="${CSS.escape(`${kind}:${name}`)}"]`)?.classList.add(style)
}

/** @param {string} name @param {string} [key] */
function choose(name, key = "") {
  chosen = name
  isHome = false
  if (picture) erase(picture)
  ring("from", name)
  ring("to", "")
  if (!name) return home()
  side.replaceChildren(element("h2", {}, short(name)), element("p", { class: "mute" }, "Now choose the target: a Pod, a Service, a node or a host outside."), element("div", { class: "row" }, ...actions.flatMap((each) => each(key)), button("Cancel", () => choose(""))))
}

function home() {
  isHome = true
  fill(element("h2", {}, "Send a packet"), element("p", { class: "mute" }, "Choose a Pod, then a target. A real packet goes from the first to the second, and the picture shows every interface that it passes."), ...homes.flatMap((each) => each()), ...differences())
}

/** @param {string} from @param {string} to */
export async function trace(from, to) {
  if (picture) erase(picture)
  ring("from", from)
  ring("to", to)
  chosen = ""
  isHome = false
  const title = element("h2", {}, `${short(from)} → ${short(to)}`)
  side.replaceChildren(title, element("p", { class: "mute" }, "A packet is on its way…"))
  const answer = await post("/page/v1/trace", { from, to, ...(narrow() ? { narrow: "yes" } : {}) })
  if (answer.error) {
    side.replaceChildren(title, element("p", { class: "bad" }, answer.error), element("div", { class: "row" }, button("Back", () => choose(""))))
    return
  }
  const told = answer.trace, root = parse(answer.svg), list = hops(answer.walk, shorten)
  picture = root
  if (shared.view === view) draw()
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
  count("walked")
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
  const number = marks.length
  say(number ? `${number} ${number === 1 ? "object differs" : "objects differ"} from the lab` : "as the lab describes it", number > 0)
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

/** The panel as it is where nothing is chosen, again. */
export function refresh() {
  if (isHome) home()
}

hear("picture", (data) => {
  const isFirst = !shared.lab
  shared.lab = data.lab
  document.title = `${data.lab} · netlab`
  byId("lab").textContent = data.lab
  show(data.svg)
  if (isFirst) refresh()
})
hear("drift", (data) => {
  ({ marks, foreign } = data)
  drawMarks()
  refresh()
})
