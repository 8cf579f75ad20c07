// Puts the workspace in the place of the messages that the server has drawn.

import { createRoot, html } from "../vendor/workspace-vendor.js";
import { App } from "./app.js";
import { Crashed, Guarded } from "./guarded.js";

const crashed = () => html`<${Crashed} />`;
const root = document.getElementById("workspace");
if (root) createRoot(root).render(html`<${Guarded} value=${null} around=${crashed}><${App} /><//>`);
