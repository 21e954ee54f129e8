// @ts-check
/** Policies: who may reach a Pod, or whom it may reach, by which rule; beside the YAML of the rules, their lines marked. */
import { button, element } from "./dom.js"
import { actions, count, fill, hear, post, register, select, shared, short } from "./frame.js"

/**
 * @typedef {{policy: string, rule: string | null, file: string | null, line: number | null, says?: string, action?: string}} Rule
 * @typedef {{allowed: boolean, exempt: string | null, rule: Rule | null, missed: Rule[]}} Reason
 * @typedef {{allowed: boolean, outcome: string, because: string[], port: string, names: string[], sides: {ingress: Reason | null, egress: Reason | null}}} Group
 * @typedef {{name: string, pods: string[], file: string | null, first: number, lines: string[], rules: {rule: string, lines: [number, number]}[]}} Text
 */

const MOST = 12 // names of a group that are shown at once
const SIDES = /** @type {const} */ ([["ingress", "who may reach it"], ["egress", "whom it may reach"]])

const pods = /** @type {HTMLSelectElement} */ (element("select", { id: "policy-pod", "aria-label": "Pod" }))
const side = /** @type {HTMLSelectElement} */ (element("select", { id: "policy-side", "aria-label": "Direction" }, ...SIDES.map(([value, words]) => element("option", { value }, words))))
const texts = element("div", { class: "texts" })
const sheet = element("div", {}, element("div", { class: "row choice" }, pods, side), texts)

let groups = /** @type {Group[]} */ ([]), written = /** @type {Text[]} */ ([]), wrong = "", says = "", asked = "", isBusy = false, turn = 0

const view = register({ id: "policies", title: "Policies", sheet: () => sheet, show: () => (asked === `${pods.value} ${side.value}` ? panel() : void judge()) })

hear("picture", (data) => {
  const names = data.pods, before = pods.value
  pods.replaceChildren(...names.map((/** @type {string} */ each) => element("option", { value: each }, short(each))))
  pods.value = names.includes(before) ? before : names[0] ?? ""
  asked = ""
  if (shared.view === view) void judge()
})
pods.onchange = side.onchange = () => void judge()

actions.push((key) => {
  if (!key.startsWith("pod:")) return []
  return [button("Who may reach it?", () => {
    pods.value = key.slice(4)
    side.value = "ingress"
    asked = ""
    select("policies")
  })]
})

async function judge() {
  turn += 1
  const mine = turn
  asked = `${pods.value} ${side.value}`
  isBusy = true
  panel()
  const answer = await post("/page/v1/policies", { pod: pods.value, side: side.value })
  if (mine !== turn) return
  isBusy = false
  wrong = answer.error ?? ""
  groups = answer.groups ?? []
  says = answer.says ?? ""
  written = answer.policies ?? []
  texts.replaceChildren(...(written.length ? written.map(text) : [element("p", { class: "mute" }, wrong ? "" : `No policy is about ${short(pods.value)} in this direction: Kubernetes lets everything pass.`)]))
  panel()
  count("judged")
}

function panel() {
  if (shared.view !== view) return
  const pod = short(pods.value), isIngress = side.value === "ingress"
  const made = [element("h2", {}, isIngress ? `Who may reach ${pod}` : `Whom ${pod} may reach`)]
  if (isBusy) return fill(...made, element("p", { class: "mute", role: "status" }, "The policies are judged…"))
  if (wrong) return fill(...made, element("p", { class: "bad", role: "alert" }, wrong))
  made.push(element("p", { class: "mute" }, "By the rules, without a packet: netlab explain. Choose a rule to see its lines."))
  if (says || !groups.length) made.push(element("p", {}, says.replace(/^netlab: /, "") || "Nothing that it may reach serves a port."))
  fill(...made, ...groups.map((group) => entry(group, isIngress)))
}

/** @param {Group} group @param {boolean} isIngress */
function entry(group, isIngress) {
  const names = group.names.map(short), more = names.length - MOST
  const who = element("p", {}, element("span", { class: group.allowed ? "good" : "bad" }, group.allowed ? "✓ " : "⊘ "), element("b", {}, names.slice(0, MOST).join(", ")), more > 0 ? ` and ${more} more` : "", element("span", { class: "mute" }, isIngress ? ` to ${group.port}` : ` at ${group.port}`))
  const box = element("div", { class: `judged ${group.allowed ? "may" : "not"}` }, who)
  for (const name of /** @type {const} */ (["egress", "ingress"])) {
    const reason = group.sides[name], isMain = (name === "ingress") === isIngress
    // The other end's side matters where a rule of it decides.
    if (reason && (isMain || reason.rule || !reason.allowed)) box.append(...why(reason, name, isMain || !isDecided(group, name)))
  }
  if (group.allowed && group.outcome !== "open") box.append(element("p", { class: "mute" }, `The policies let it pass; all the same: ${group.outcome}. ${group.because.join("; ")}`))
  return box
}

/** Whether the other side alone denies. @param {Group} group @param {"ingress" | "egress"} name */
const isDecided = (group, name) => Boolean(group.sides[name]?.allowed) && !group.allowed

/** @param {Reason} reason @param {string} name @param {boolean} isTold @returns {HTMLElement[]} */
function why(reason, name, isTold) {
  if (!isTold) return []
  if (reason.rule) return [element("p", {}, `${name}: ${reason.allowed ? "allowed" : "denied"} by `, link(reason.rule))]
  if (reason.exempt) return [element("p", { class: "mute" }, `${name}: ${reason.exempt}`)]
  const made = [element("p", {}, `${name}: isolated, and no rule allows it`)]
  for (const each of reason.missed) made.push(element("p", { class: "missed" }, link(each), ` ${each.says}`))
  return made
}

/** @param {Rule} rule */
function link(rule) {
  const made = button(`${short(rule.policy)}${rule.rule ? ` ${rule.rule}` : ""}${rule.action ? ` (${rule.action})` : ""}`, () => mark(rule))
  made.className = "rulelink"
  made.title = rule.file ? `${rule.file}:${rule.line}` : ""
  return made
}

/** Mark the lines of a rule, or all of its policy's text where there is no rule. @param {Rule} rule */
function mark(rule) {
  for (const each of texts.querySelectorAll(".chosen")) each.classList.remove("chosen")
  const there = /** @type {HTMLElement[]} */ ([...texts.querySelectorAll("[data-policy]")]).find((each) => each.dataset.policy === rule.policy)
  if (!there) return
  const lines = /** @type {HTMLElement[]} */ ([...there.querySelectorAll("[data-rule]")]).filter((each) => each.dataset.rule === rule.rule)
  for (const each of lines) each.classList.add("chosen")
  ;(lines[0] ?? there).scrollIntoView({ block: "center" })
}

/** The YAML of a policy with the numbers of its lines; those of rules are marked. @param {Text} policy */
function text(policy) {
  const code = element("div", { class: "yaml mono", role: "group", tabindex: "0", "aria-label": `YAML of ${policy.name}` })
  policy.lines.forEach((line, index) => {
    const number = policy.first + index, rule = policy.rules.find(({ lines }) => lines[0] <= number && number <= lines[1])
    code.append(element("div", rule ? { class: "line rule", "data-rule": rule.rule } : { class: "line" }, element("span", { class: "at", "aria-hidden": "true" }, String(number)), element("span", { class: "tag", "aria-hidden": "true" }, rule && rule.lines[0] === number ? rule.rule : ""), element("span", { class: "words" }, line)))
  })
  const about = policy.pods.length > MOST ? `${policy.pods.length} Pods` : policy.pods.map(short).join(", ") || "no Pod"
  return element("section", { "data-policy": policy.name, "aria-label": policy.name }, element("h2", {}, short(policy.name), element("span", { class: "mute" }, ` selects ${about}`)), element("p", { class: "mute mono" }, policy.file ?? ""), policy.lines.length ? code : null)
}
