// @ts-check
/** The page: its views, in the order of their tabs. */
import { fit, zoom } from "./board.js"
import { byId } from "./dom.js"
import "./picture.js"
import "./flows.js"
import "./policy.js"
import "./capture.js"
import "./terminal.js"
import "./exercise.js"
import "./faults.js"

byId("fit").onclick = fit
byId("in").onclick = () => zoom(1.25)
byId("out").onclick = () => zoom(0.8)
