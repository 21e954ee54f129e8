// @ts-check
/** The flows: who reaches whom, by real packets. */
import { button, element, parse } from "./dom.js"
import { count, draw, picks, post, register, select, shared, side } from "./frame.js"
import { trace } from "./picture.js"

/** @type {SVGSVGElement | null} */
let flows = null

const view = register({
  id: "reach",
  title: "Flows",
  drawing: () => flows,
  show() {
    side.replaceChildren(element("h2", {}, "Flows"), element("p", { class: "mute" }, "Every Pod connects to every declared port with real packets. Choose a cell to follow its packet."), element("div", { class: "row" }, button("Probe again", () => void probe())))
    if (!flows) void probe()
  },
})

async function probe() {
  const answer = await post("/page/v1/reach", {})
  if (answer.error) {
    side.append(element("p", { class: "bad" }, answer.error))
    return
  }
  flows = parse(answer.svg)
  if (shared.view === view) draw(true)
  count("probed")
}

picks.flow = (name) => {
  const [from, to] = name.split(">")
  select("picture")
  void trace(from, to.replace(/:\d+\/\w+$/, ""))
}
