// @ts-check
/** The exercise of the lab: its tasks with live ticks, hints, answers, and the lab's page beside them. */
import { button, element, read } from "./dom.js"
import { count, fill, hear, post, register, shared } from "./frame.js"

/** @typedef {{kind: string, ok: boolean, saw: string, question: string}} Check */
/**
 * @typedef {{none: string, title: string, goal: string, level: number, minutes: number, goes_on: boolean, is_begun: boolean, note: string, busy: string,
 *   steps: {title: string, how: string}[], over: boolean, seconds: number, hints_taken: number, answer: string[], following: string,
 *   number: number, text: string, checks: Check[], hints: string[], more_hints: boolean}} Standing
 */

/** @type {Standing | null} */ let now = null
let wrong = "", draft = ""
/** @type {HTMLElement[] | null} */ let pages = null
const sheet = element("article", { class: "read" })

const view = register({ id: "exercise", title: "Exercise", sheet: () => sheet, show: begin })

/** @param {string} word @param {string} [value] */
async function say(word, value = "") {
  wrong = (await post("/page/v1/exercise", { do: word, value })).error ?? ""
  if (wrong) draw()
}

function begin() {
  draw()
  if (!now || now.none) void say("look")
  if (!pages) void load()
}

/** The lab's page, its answers folded. */
async function load() {
  const answer = await post("/page/v1/handout", {})
  if (answer.error) {
    sheet.replaceChildren(element("p", { class: "mute" }, "This lab has no page."))
    return
  }
  const answers = read(answer.html, ".answers")
  pages = [element("div", {}, ...read(answer.html, "main"))]
  if (answers.length) pages.push(element("details", {}, element("summary", {}, "Answers"), ...answers))
  sheet.replaceChildren(...pages)
  count("read")
}

hear("exercise", (data) => {
  const isNew = now?.number !== data.number
  now = data
  if (isNew) draft = ""
  draw()
})

const HOW = /** @type {Record<string, string>} */ ({ done: "✓", skipped: "–" })

/** @param {Standing} at */
function steps(at) {
  const list = element("ol", { class: "steps" })
  at.steps.forEach((step, index) => {
    const isNow = at.goes_on && !at.over && index === at.number
    const mark = element("span", { class: step.how === "done" ? "good" : "mute", "aria-label": step.how || (isNow ? "now" : "to do") }, HOW[step.how] ?? (isNow ? "▸" : "○"))
    list.append(element("li", isNow ? { class: "now", "aria-current": "step" } : {}, mark, element("div", {}, element("span", {}, step.title), ...(isNow ? task(at) : []))))
  })
  return list
}

/** @param {Standing} at @returns {HTMLElement[]} */
function task(at) {
  const made = [element("p", { class: "task" }, at.text)]
  for (const check of at.checks) {
    const words = check.question || check.kind
    made.push(element("p", { class: "check" }, element("span", { class: check.ok ? "good" : "mute" }, check.ok ? "✓ " : "○ "), words, check.saw && (check.ok || !check.question) ? element("span", { class: "mute" }, ` ${check.saw}`) : null))
  }
  if (at.checks.some((check) => check.question && !check.ok)) made.push(question())
  for (const hint of at.hints) made.push(element("p", { class: "hint" }, hint))
  if (at.note) made.push(element("p", { role: "status" }, at.note))
  const row = element("div", { class: "row" })
  if (at.more_hints) row.append(button(at.hints.length ? "Another hint" : "Hint", () => void say("hint")))
  row.append(button("Skip", () => void say("skip")), button("Reset", () => void say("reset")))
  return [...made, row]
}

function question() {
  const form = element("form", { class: "row" }), field = /** @type {HTMLInputElement} */ (element("input", { id: "answer", "aria-label": "Answer", maxlength: "1000", autocomplete: "off", spellcheck: "false" }))
  field.value = draft
  field.oninput = () => (draft = field.value)
  form.append(field, element("button", { type: "submit" }, "Answer"))
  form.onsubmit = (event) => {
    event.preventDefault()
    void say("answer", field.value)
  }
  return form
}

/** @param {Standing} at @returns {HTMLElement[]} */
function ending(at) {
  const time = `${Math.floor(at.seconds / 60)} min ${String(at.seconds % 60).padStart(2, "0")} s`
  const made = [element("p", { class: "good", role: "status" }, `✓ Done in ${time}${at.hints_taken ? `, with ${at.hints_taken} ${at.hints_taken === 1 ? "hint" : "hints"}` : ""}.`)]
  if (at.answer.length) made.push(element("h3", {}, "The interview answer"), ...at.answer.map((each) => element("p", {}, each)))
  if (at.following) made.push(element("h3", {}, "Next"), element("code", { class: "cmd mono" }, `netlab learn ${at.following}`))
  return [...made, element("div", { class: "row" }, button("Again", () => void say("again")))]
}

function draw() {
  if (shared.view !== view) return
  if (wrong) return fill(element("h2", {}, "Exercise"), element("p", { class: "bad", role: "alert" }, wrong))
  if (!now) return fill(element("h2", {}, "Exercise"), element("p", { class: "mute" }, "The exercise is read…"))
  if (now.none) return fill(element("h2", {}, "Exercise"), element("p", { class: "mute" }, now.none))
  const made = [element("h2", {}, now.title), element("p", { class: "mute" }, `${now.goal} Level ${now.level}, about ${now.minutes} minutes.`), steps(now)]
  if (now.busy) made.push(element("p", { class: "mute", role: "status" }, now.busy))
  else if (!now.goes_on) {
    made.push(element("p", {}, "It builds the lab anew: what was changed by hand, and faults, go."))
    if (now.note) made.push(element("p", { class: "bad", role: "alert" }, now.note))
    const start = button(now.is_begun ? "Go on" : "Begin", () => void say("begin"))
    start.className = "main"
    made.push(element("div", { class: "row" }, start, ...(now.is_begun ? [button("From the start", () => void say("again"))] : [])))
  } else if (now.over) made.push(...ending(now))
  fill(...made)
}
