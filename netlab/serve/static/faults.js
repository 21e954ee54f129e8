// @ts-check
/** Faults: make one, by name or by chance, and mend them. */
import { button, element } from "./dom.js"
import { count, get, hear, homes, post } from "./frame.js"
import { refresh } from "./picture.js"

/** @typedef {{fault: string, symptom: string, cause: string, level: number}} Known */
/** @typedef {{fault: string | null, at: string | null, symptom: string | null, cause: string | null}} Open */

/** @type {Open[]} */ let open = []
/** @type {Known[]} */ let known = []
let wrong = "", picked = "", healed = /** @type {Open[]} */ ([]), isBusy = false

hear("drift", (data) => {
  open = data.faults
  refresh()
})

/** @param {string} path @param {Record<string, string>} body */
async function ask(path, body) {
  isBusy = true
  wrong = ""
  refresh()
  const answer = await post(path, body)
  isBusy = false
  wrong = answer.error ?? ""
  healed = answer.done?.healed ?? []
  refresh()
  count("faults")
}

async function choose() {
  const answer = await get("/page/v1/faults")
  wrong = answer.error ?? ""
  known = answer.done ?? []
  refresh()
  document.getElementById("fault")?.focus()
}

/** @param {Open} each */
const line = (each) => element("p", {}, element("b", {}, each.fault ?? "a secret fault"), each.at ? ` at ${each.at}: ${each.cause}` : "")

/** @returns {HTMLElement[]} */
function menu() {
  if (!known.length) return [element("div", { class: "row" }, button("A secret fault", () => void ask("/page/v1/break", { secret: "yes" })), button("Choose a fault…", () => void choose()))]
  const list = /** @type {HTMLSelectElement} */ (element("select", { id: "fault", "aria-label": "Fault" }))
  for (const each of known) list.append(element("option", { value: each.fault }, `${each.level} · ${each.fault}: ${each.symptom}`))
  list.value = picked || known[0].fault
  list.onchange = () => (picked = list.value)
  const close = () => {
    known = []
    refresh()
  }
  return [list, element("div", { class: "row" }, button("Break", () => {
    const fault = list.value
    close()
    void ask("/page/v1/break", { fault })
  }), button("Cancel", close))]
}

homes.push(() => {
  const made = [element("h3", {}, "Break it")]
  if (isBusy) return [...made, element("p", { class: "mute", role: "status" }, "The lab is changed…")]
  if (wrong) made.push(element("p", { class: "bad", role: "alert" }, wrong))
  made.push(...healed.map((each) => element("div", { class: "healed" }, element("span", { class: "good" }, "✓ healed: "), line(each))))
  if (open.length) {
    made.push(...open.map((each) => element("div", { class: "drift" }, line(each))))
    made.push(element("div", { class: "row" }, button(open.length > 1 ? "Heal all" : "Heal", () => void ask("/page/v1/heal", {}))))
  } else made.push(element("p", { class: "mute" }, "A fault as real clusters have it. Find it by traces and in terminals."))
  return [...made, ...menu()]
})
