// @ts-check
/** The frame of the page: views as tabs, the panel beside them, requests, and the events of the server. */
import { drag, fit } from "./board.js"
import { byId, element } from "./dom.js"

/**
 * A view. `show` fills the panel; `drawing` is what stands on the board; `sheet`, in its place, scrolls.
 * @typedef {{id: string, title: string, show: () => void, hide?: () => void, drawing?: () => SVGSVGElement | null, sheet?: () => HTMLElement}} View
 */

export const side = byId("side"), page = document.documentElement
/** Sections of the panel where nothing is chosen. @type {(() => HTMLElement[])[]} */
export const homes = []
/** Buttons beside a box that is chosen, by its key. @type {((key: string) => HTMLElement[])[]} */
export const actions = []
/** What happens when a drawn thing with a key is chosen, by the key's kind. @type {Record<string, (name: string) => void>} */
export const picks = {}
/** The lab's name, and the view that is shown. @type {{lab: string, view: View | null}} */
export const shared = { lab: "", view: null }

/** Fill the panel; what had the focus has it again. @param {...HTMLElement} children */
export function fill(...children) {
  const held = side.contains(document.activeElement) && document.activeElement !== side ? document.activeElement : null
  side.replaceChildren(...children)
  if (!held) return
  const same = [...side.querySelectorAll("button,input,select")].find((each) => (held.id ? each.id === held.id : each.textContent === held.textContent))
  const to = /** @type {HTMLElement} */ (same ?? side)
  to.focus()
}

/** @type {View[]} */
const views = []
const board = byId("board"), stage = byId("stage"), sheet = byId("sheet"), tabs = byId("tabs")

export const shorten = (/** @type {string} */ text) => text.replaceAll(`${shared.lab}-`, "")
export const short = (/** @type {string} */ name) => name.replace(/^svc\//, "").replace(/^default\//, "")

/** Add a view; the first is shown. @param {View} view */
export function register(view) {
  views.push(view)
  const tab = element("button", { role: "tab", id: `tab-${view.id}`, "aria-controls": view.sheet ? "sheet" : "stage" }, view.title)
  tab.onclick = () => select(view.id)
  tabs.append(tab)
  if (views.length === 1) select(view.id)
  else mark()
  return view
}

function mark() {
  for (const view of views) {
    const tab = byId(`tab-${view.id}`), isShown = view === shared.view
    tab.setAttribute("aria-selected", String(isShown))
    tab.tabIndex = isShown ? 0 : -1
  }
}

/** Show a view. @param {string} id */
export function select(id) {
  const view = views.find((each) => each.id === id)
  if (!view) return
  if (view !== shared.view) shared.view?.hide?.()
  shared.view = view
  mark()
  stage.hidden = Boolean(view.sheet)
  sheet.hidden = !view.sheet
  for (const each of ["out", "fit", "in"]) byId(each).hidden = Boolean(view.sheet)
  for (const each of [stage, sheet]) each.setAttribute("aria-labelledby", `tab-${id}`)
  if (view.sheet) sheet.replaceChildren(view.sheet())
  else draw(true)
  view.show()
}

/** Put the view's drawing on the board again. @param {boolean} [isNew] */
export function draw(isNew = false) {
  const root = shared.view?.drawing?.()
  if (shared.view?.sheet) return
  board.replaceChildren(...(root ? [root] : []))
  if (isNew) fit()
}

/** Choose a drawn thing. @param {string} key */
export function pick(key) {
  const kind = key.split(":", 1)[0]
  picks[kind]?.(key.slice(kind.length + 1))
}

tabs.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
  if (!step || !shared.view) return
  const view = views[(views.indexOf(shared.view) + step + views.length) % views.length]
  byId(`tab-${view.id}`).focus()
  select(view.id)
})
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

// -- requests

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options) {
  try {
    const response = await fetch(path, options)
    if (response.ok || response.status === 409) return await response.json()
    return { error: (await response.text()).trim() }
  } catch {
    return { error: "the server does not reply" }
  }
}

/** A document of the server; `error` says why there is none. @param {string} path */
export const get = (path) => ask(path)

/** @param {string} path @param {Record<string, string>} body */
export const post = (path, body) => ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })

// -- the events of the server

/** Whether the screen is a telephone's: the picture has another layout there. */
const screen = matchMedia("(max-width: 500px)")
export const narrow = () => screen.matches
/** @type {[string, (data: any) => void][]} */ const heard = []
/** @type {EventSource} */ let events

function connect() {
  events?.close()
  events = new EventSource(`/page/v1/events${narrow() ? "?narrow=1" : ""}`)
  events.onerror = () => say("the server does not reply", true)
  for (const [kind, act] of heard) events.addEventListener(kind, (event) => act(JSON.parse(event.data)))
}
screen.addEventListener("change", connect)
connect()

/** @param {string} kind @param {(data: any) => void} act */
export function hear(kind, act) {
  heard.push([kind, act])
  events.addEventListener(kind, (event) => act(JSON.parse(event.data)))
}

const state = byId("state")

/** Say how the lab is, in the head of the page. @param {string} text @param {boolean} isBad */
export function say(text, isBad) {
  state.classList.toggle("bad", isBad)
  state.textContent = text
}
hear("down", () => {
  events.close()
  say("the lab is down", true)
})

// -- light and dark

/** @param {string} to */
function theme(to) {
  page.dataset.theme = to
  for (const root of board.querySelectorAll("svg")) root.dataset.theme = to
}
theme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"))
byId("theme").onclick = () => {
  const to = page.dataset.theme === "dark" ? "light" : "dark"
  localStorage.setItem("theme", to)
  theme(to)
}

/** Count something that has ended, for tests in a browser. @param {string} name */
export function count(name) {
  page.dataset[name] = String(Number(page.dataset[name] ?? 0) + 1)
}
