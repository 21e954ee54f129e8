// @ts-check
/** Elements from values. A text only ever becomes a text: nothing here parses markup but `parse`. */

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string | null)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  for (const child of children) if (child) made.append(child)
  return made
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {string} [text]
 */
export function svg(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  if (text) made.textContent = text
  return /** @type {SVGElement} */ (made)
}

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id))

/**
 * @param {string} text
 * @param {() => void} act
 */
export function button(text, act) {
  const made = element("button", {}, text)
  made.onclick = act
  return made
}

const types = /** @type {any} */ (window).trustedTypes
const policy = types?.createPolicy("netlab", { createHTML: (/** @type {string} */ text) => text })
const DRAWN = new Set(["svg", "g", "rect", "path", "text", "title", "desc"])

/**
 * A picture of the server, parsed as XML and stripped of all that is no drawing.
 * @param {string} text
 */
export function parse(text) {
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "image/svg+xml")
  for (const each of [...parsed.querySelectorAll("*")]) {
    if (!DRAWN.has(each.localName)) each.remove()
    for (const { name } of [...each.attributes]) if (name.startsWith("on") || name.includes("href")) each.removeAttribute(name)
  }
  const root = /** @type {SVGSVGElement} */ (/** @type {unknown} */ (document.importNode(parsed.documentElement, true)))
  root.setAttribute("role", "group")
  root.dataset.theme = document.documentElement.dataset.theme
  for (const each of root.querySelectorAll(".pick")) {
    if (!/^(pod|node|ext|svc|flow):/.test(/** @type {SVGElement} */ (each).dataset.key ?? "")) continue
    each.setAttribute("role", "button")
    each.setAttribute("tabindex", "0")
    const label = each.querySelector("title")?.textContent || each.textContent || ""
    each.setAttribute("aria-label", `${label} ${each.textContent ?? ""}`.replace(/\s+/g, " ").trim())
  }
  return root
}

const READ = new Set(["h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "pre", "code", "em", "strong", "table", "thead", "tbody", "tr", "th", "td", "blockquote", "hr", "br", "section", "img"])

/**
 * The parts of a page of text that the server made: what is no text, list, table or picture of the page's own becomes its
 * text, and no attribute stays but a picture's.
 * @param {string} text
 * @param {string} selector
 */
export function read(text, selector) {
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html")
  const box = parsed.querySelector(selector)
  const copy = (/** @type {Node} */ node) => {
    /** @type {(HTMLElement | Text)[]} */ const made = []
    for (const each of node.childNodes) {
      if (each instanceof Text) made.push(document.createTextNode(each.data))
      if (!(each instanceof Element)) continue
      if (["script", "style", "template", "iframe"].includes(each.localName)) continue
      if (!READ.has(each.localName)) made.push(...copy(each))
      else if (each.localName !== "img") made.push(element(each.localName, each.localName === "pre" ? { tabindex: "0" } : {}, ...copy(each)))
      else if (/^data:image\/(png|svg\+xml);base64,/.test(each.getAttribute("src") ?? "")) made.push(element("img", { src: each.getAttribute("src") ?? "", alt: each.getAttribute("alt") ?? "" }))
    }
    return made
  }
  return box ? copy(box) : []
}
