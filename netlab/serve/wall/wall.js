// @ts-check
/** The wall of a class: a row for each student, kept as it is where nothing changed, so that focus and addresses stay. */
import { button, byId, element } from "./dom.js"

const LATE = 10 * 60 // seconds on a step after which an instructor may want to look
/** @typedef {{student: string, progress: string, step: number, steps: number, hints: number, resets: number, skipped: number, seconds: number, since: number}} Student */
/** @type {Map<string, {row: HTMLElement, cells: HTMLElement[], told: HTMLElement}>} */
const rows = new Map()
/** @type {Student[]} */
let students = []

/** @param {string} name */
function added(name) {
  const told = element("span")
  const open = button("Open", () => address(name, told))
  open.setAttribute("aria-label", `Open the page of ${name}`)
  const names = ["Steps", "On this step", "Hints", "Resets", "Skipped"]
  const cells = names.map((each) => element("td", { "data-name": each }))
  const row = element("tr", {}, element("th", { scope: "row" }, name), ...cells, element("td", {}, open, " ", told))
  byId("students").append(row)
  const made = { row, cells, told }
  rows.set(name, made)
  return made
}

/** @param {string} student @param {HTMLElement} told */
async function address(student, told) {
  told.textContent = "opening …"
  try {
    const options = { method: "POST", body: JSON.stringify({ student }) }
    const answer = await (await fetch("/page/v1/student", options)).json()
    if (answer.error) told.replaceChildren(element("span", { class: "bad" }, answer.error))
    else {
      const link = element("a", { href: answer.address, target: "_blank", rel: "noopener noreferrer" }, "one visit")
      told.replaceChildren(link, " ", element("code", { class: "mono" }, answer.address))
    }
  } catch {
    told.textContent = "the server does not reply"
  }
}

/** @param {Student} student */
function steps(student) {
  const bar = element("span", { class: "steps", "aria-hidden": "true" })
  for (let step = 0; step < student.steps; step++)
    bar.append(element("i", { class: step < student.step ? "done" : step === student.step && student.progress === "begun" ? "now" : "" }))
  return [bar, `${student.step} of ${student.steps}`]
}

/** @param {HTMLElement} cell @param {...(Node | string)} children */
function put(cell, ...children) {
  const made = element("td", {}, ...children)
  if (made.innerHTML !== cell.innerHTML) cell.replaceChildren(...children)
}

function draw() {
  for (const student of students) {
    const { cells } = rows.get(student.student) ?? added(student.student)
    const going = student.progress === "begun" ? Math.max(0, Date.now() / 1000 - student.since - student.seconds) : 0
    const minutes = student.progress === "begun" ? `${Math.floor(going / 60)} min` : student.progress === "done" ? "done" : "-"
    put(cells[0], ...steps(student))
    put(cells[1], element("span", { class: going > LATE ? "late" : "" }, going > LATE ? `${minutes}, long` : minutes))
    for (const [at, value] of [student.hints, student.resets, student.skipped].entries()) put(cells[2 + at], String(value))
  }
}

const source = new EventSource("/page/v1/events")
source.addEventListener("class", (event) => {
  const data = JSON.parse(event.data)
  students = data.students
  byId("name").textContent = `Class ${data.name}: ${data.title}`
  const done = students.filter((each) => each.progress === "done").length
  byId("counts").textContent = `${done} of ${students.length} are done`
  draw()
})
source.onopen = () => {
  byId("state").textContent = "live"
  byId("state").className = ""
}
source.onerror = () => {
  byId("state").textContent = "the server has ended, or does not reply"
  byId("state").className = "bad"
}
setInterval(draw, 15000)

byId("theme").onclick = () => {
  const root = document.documentElement
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches
  root.dataset.theme = dark ? "light" : "dark"
}
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.dataset.theme = "dark"
