// @ts-check
/** Terminals on Pods, nodes and hosts outside: xterm.js on a terminal of the server. It is loaded when the first is opened. */
import { fit as refit } from "./board.js"
import { button, byId, element } from "./dom.js"
import { actions, count, get, short } from "./frame.js"

/** @typedef {{name: string, box: HTMLElement, tab: HTMLElement, term: any, socket: WebSocket, size: ResizeObserver}} Terminal */

const KINDS = ["pod", "node", "ext"]
const THEME = { background: "#10141a", foreground: "#e9edf2", selectionBackground: "#3d5a80" }
const FONT = '"JetBrains Mono","DejaVu Sans Mono",ui-monospace,monospace'
const bar = element("div", { role: "tablist", "aria-label": "Terminals" }), body = element("div", { class: "terms" })
const dock = element("section", { id: "dock", "aria-label": "Terminals", hidden: "" }, element("div", { class: "dockbar" }, bar, button("Close", () => shown && close(shown))), body)
byId("side").before(dock)

let off = "the server does not reply"
/** @type {Terminal[]} */ const open = []
/** @type {Terminal | null} */ let shown = null

void get("/page/v1/terminals").then((data) => (off = data.error ?? data.off))
actions.push((key) => {
  const kind = key.split(":", 1)[0], name = key.slice(kind.length + 1)
  if (!KINDS.includes(kind)) return []
  return off ? [element("p", { class: "mute" }, off)] : [button("Open a terminal", () => void begin(name))]
})

/**
 * An element for xterm.js that the page's policy allows: a style element is a sheet, an inline style is properties.
 * @param {string} tag
 * @param {any[]} rest
 * @returns {any}
 */
function make(tag, ...rest) {
  const made = /** @type {any} */ (Document.prototype.createElement).call(document, tag === "style" ? "i" : tag, ...rest)
  made.setAttribute = (/** @type {string} */ name, /** @type {string} */ value) => {
    if (name === "style") made.style.cssText = value
    else Element.prototype.setAttribute.call(made, name, value)
  }
  if (tag !== "style") return made
  const sheet = new CSSStyleSheet()
  made.hidden = true
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
  Object.defineProperty(made, "textContent", { set: (text) => sheet.replaceSync(text) })
  Object.defineProperty(made, "sheet", { get: () => sheet })
  made.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet)
    Element.prototype.remove.call(made)
  }
  return made
}

/** The document as xterm.js sees it. */
const strict = new Proxy(document, {
  get(real, name) {
    if (name === "createElement") return make
    const value = /** @type {any} */ (real)[name]
    return typeof value === "function" ? value.bind(real) : value
  },
})

/** xterm.js makes some elements of its window by the real document. @param {() => void} act */
function strictly(act) {
  document.createElement = make
  try {
    act()
  } finally {
    delete (/** @type {any} */ (document).createElement)
  }
}

/** @type {Promise<any[]> | null} */
let loading = null

function load() {
  const paths = ["/xterm.mjs", "/addon-fit.mjs"] // not names that tsc would look for: they are not in the repository
  if (!loading) document.head.append(element("link", { rel: "stylesheet", href: "/xterm.css" }))
  loading ??= Promise.all(paths.map((path) => import(path)))
  return loading
}

/** Open a terminal, or show the open one of that place. @param {string} name */
async function begin(name) {
  const there = open.find((each) => each.name === name)
  if (there) return show(there)
  const [{ Terminal }, { FitAddon }] = await load()
  // No link is followed and no window is moved, whatever the command prints.
  const term = new Terminal({ fontFamily: FONT, fontSize: 13, theme: THEME, documentOverride: strict, screenReaderMode: true, linkHandler: { activate: () => {} }, scrollback: 2000 })
  const fit = new FitAddon(), box = element("div", { class: "term" }), tab = element("button", { role: "tab" }, short(name))
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/page/v1/terminal?place=${encodeURIComponent(name)}`)
  socket.binaryType = "arraybuffer"
  const mine = { name, box, tab, term, socket, size: new ResizeObserver(() => !box.hidden && fit.fit()) }
  const ready = () => socket.readyState === WebSocket.OPEN
  const tell = () => ready() && socket.send(JSON.stringify([Math.max(2, term.rows), Math.max(2, term.cols)]))
  const code = new TextEncoder()
  term.loadAddon(fit)
  tab.onclick = () => show(mine)
  open.push(mine)
  bar.append(tab)
  body.append(box)
  dock.hidden = false
  refit()
  show(mine)
  strictly(() => term.open(box))
  fit.fit()
  socket.onopen = tell
  socket.onmessage = (event) => term.write(new Uint8Array(event.data))
  socket.onclose = () => {
    term.write("\r\n[the terminal has ended]\r\n")
    count("hungup")
  }
  term.onData((/** @type {string} */ text) => {
    if (!ready()) return
    const data = code.encode(text)
    for (let at = 0; at < data.length; at += 16384) socket.send(data.slice(at, at + 16384))
  })
  term.onResize(tell)
  // Ctrl-Shift-Escape leaves the terminal: Tab and Escape belong to the command.
  term.attachCustomKeyEventHandler((/** @type {KeyboardEvent} */ event) => {
    if (event.type !== "keydown" || event.key !== "Escape" || !event.ctrlKey || !event.shiftKey) return true
    tab.focus()
    return false
  })
  mine.size.observe(body)
  term.focus()
}

/** @param {Terminal} to */
function show(to) {
  shown = to
  for (const each of open) {
    each.box.hidden = each !== to
    each.tab.setAttribute("aria-selected", String(each === to))
    each.tab.tabIndex = each === to ? 0 : -1
  }
  to.term.focus()
}

/** @param {Terminal} which */
function close(which) {
  which.socket.onclose = null
  which.socket.close()
  which.size.disconnect()
  which.term.dispose()
  which.box.remove()
  which.tab.remove()
  open.splice(open.indexOf(which), 1)
  shown = null
  if (open.length) show(open[open.length - 1])
  else {
    dock.hidden = true
    refit()
    byId("stage").focus()
  }
}

bar.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
  if (!step || !shown) return
  const to = open[(open.indexOf(shown) + step + open.length) % open.length]
  show(to)
  to.tab.focus()
})
