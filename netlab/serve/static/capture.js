// @ts-check
/** Captures: packets as they pass, each with its layers, and all of them as a file for Wireshark. */
import { button, element } from "./dom.js"
import { actions, count, fill, hear, post, register, select, shared, shorten } from "./frame.js"

/** @typedef {{name: string, fields: Record<string, string>}} Layer */
/** @typedef {{time_us: number, packet: number, place: string, interface: string, direction: string, length: number, what: string, layers: Layer[]}} Packet */

const KINDS = ["pod", "node", "ext"], EXAMPLES = ["icmp", "arp", "tcp port 80", "udp port 53", "udp port 4789"]
const WAYS = /** @type {Record<string, string>} */ ({ broadcast: "bcast", multicast: "mcast" })

const at = /** @type {HTMLSelectElement} */ (element("select", { id: "capture-at", "aria-label": "Where" }))
const filter = /** @type {HTMLInputElement} */ (element("input", { id: "capture-filter", "aria-label": "Filter", placeholder: "filter, for example icmp", maxlength: "500", autocomplete: "off", spellcheck: "false" }))
const toggle = element("button", { type: "submit", class: "main" }, "Start"), download = element("a", { class: "button", download: "", hidden: "" }, "Download pcapng")
const form = element("form", { class: "row capture" }, at, filter, toggle, download)
const heads = element("div", { class: "packet heads mute", "aria-hidden": "true" }, ...["ms", "where", "packet", "way", "what"].map((each) => element("span", {}, each)))
const list = element("div", { id: "packets", role: "group", "aria-label": "Packets" })
const sheet = element("div", { class: "captures" }, form, heads, list)

let running = "", isStarting = false, says = "", wrong = "", marked = 0

const view = register({ id: "capture", title: "Capture", sheet: () => sheet, show: panel })

hear("picture", (data) => {
  const places = [...data.names.filter((/** @type {string} */ each) => !each.startsWith("svc/")), "underlay"], before = at.value
  at.replaceChildren(element("option", { value: "" }, "all interfaces of the lab"), ...places.map((each) => element("option", { value: each }, each)))
  at.value = places.includes(before) ? before : ""
})

actions.push((key) => {
  const kind = key.split(":", 1)[0], name = key.slice(kind.length + 1)
  if (!KINDS.includes(kind)) return []
  return [button("Capture here", () => {
    at.value = name
    select("capture")
    if (!running && !isStarting) void begin()
  })]
})

form.onsubmit = (event) => {
  event.preventDefault()
  if (running) void post("/page/v1/capture/stop", { capture: running })
  else if (!isStarting) void begin()
}

function panel() {
  toggle.textContent = running || isStarting ? "Stop" : "Start"
  if (shared.view !== view) return
  const made = [element("h2", {}, "Capture"), element("p", { class: "mute" }, "Packets as they pass the interfaces of the lab, in their true order. While this runs, send a packet on the tab Picture, or use a terminal.")]
  if (wrong) made.push(element("p", { class: "bad", role: "alert" }, wrong))
  if (says) made.push(element("p", { role: "status" }, says))
  if (marked) made.push(element("p", { class: "same" }, `Packet ${marked} is marked wherever it was seen.`))
  else if (list.children.length) made.push(element("p", { class: "mute" }, "Open a packet to see its layers. The same packet has the same number on every interface."))
  made.push(element("h3", {}, "Filters"), element("p", { class: "mute" }, "The language of tcpdump, also with names: host client, host svc/web. A filter matches inside tunnels too."),
    element("div", { class: "row" }, ...EXAMPLES.map((each) => button(each, () => (filter.value = each)))))
  fill(...made)
}

async function begin() {
  isStarting = true
  wrong = ""
  says = "The capture begins…"
  marked = 0
  list.replaceChildren()
  download.hidden = true
  panel()
  try {
    const body = JSON.stringify({ at: at.value, filter: filter.value })
    const response = await fetch("/page/v1/capture", { method: "POST", headers: { "Content-Type": "application/json" }, body })
    if (!response.ok || !response.body) wrong = (await response.text()).trim()
    else await follow(response.body)
  } catch {
    wrong = "the server does not reply"
  }
  running = ""
  isStarting = false
  if (wrong) says = ""
  panel()
  count("captured")
}

/** @param {ReadableStream<Uint8Array>} stream */
async function follow(stream) {
  const reader = stream.getReader(), decoder = new TextDecoder()
  let rest = "", mine = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    const packets = []
    for (const line of lines) {
      if (!line) continue
      const data = JSON.parse(line)
      if (data.packet) packets.push(data.packet)
      else if (data.begun) {
        running = mine = data.begun
        says = shorten(data.says)
      } else if (data.error) wrong = data.error
      else if (data.end) ended(data, mine)
    }
    if (packets.length) add(packets)
    else panel()
  }
}

/** @param {{end: {count: number, interfaces: number, seconds: number}, says: string[], most: number}} data @param {string} name */
function ended(data, name) {
  const number = data.end.count, full = number >= data.most ? `, as many as a list holds` : ""
  says = [`${number} ${number === 1 ? "packet" : "packets"} in ${data.end.seconds.toFixed(1)} s${full}.`, ...data.says].join(" ")
  download.setAttribute("href", `/page/v1/capture/file?capture=${name}`)
  download.hidden = false
}

/** @param {Packet[]} packets */
function add(packets) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
  list.append(...packets.map(entry))
  if (isAtEnd) list.scrollTop = list.scrollHeight
  if (list.children.length === packets.length) panel()
}

/** @param {Packet} packet */
function entry(packet) {
  const cells = [(packet.time_us / 1000).toFixed(3), `${packet.place}/${packet.interface}`, `#${packet.packet}`, WAYS[packet.direction] ?? packet.direction, packet.what]
  const summary = element("summary", { class: "packet mono" }, ...cells.map((each) => element("span", {}, each)))
  const made = /** @type {HTMLDetailsElement} */ (element("details", { "data-packet": String(packet.packet) }, summary))
  made.addEventListener("toggle", () => {
    if (!made.open) return
    if (made.children.length === 1) made.append(layer(packet.layers, 0))
    mark(packet.packet)
  })
  return made
}

/** Mark a packet at all interfaces where it was seen. @param {number} number */
function mark(number) {
  marked = number
  for (const each of list.children) each.classList.toggle("same", /** @type {HTMLElement} */ (each).dataset.packet === String(number))
  panel()
}

/** A layer with its fields, and the layers that it carries inside it. @param {Layer[]} layers @param {number} index @returns {HTMLElement} */
function layer(layers, index) {
  const { name, fields } = layers[index]
  const box = element("div", { class: "stack mono layer" }, element("b", {}, name === "Raw" ? "data" : name))
  for (const [field, value] of Object.entries(fields)) box.append(" ", element("span", { class: "field" }, element("span", { class: "mute" }, `${field} `), value))
  if (index + 1 < layers.length) box.append(layer(layers, index + 1))
  return box
}
