// A part that cannot be drawn says so in its place, with what it was to show; the rest of the page goes on.
//
// React tells why on the browser's console. That stays so: what nobody has reported fails the tests that come by.

import { Component, html, useState } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { t } from "./strings.js";

/**
 * @typedef {object} GuardedProps
 * @property {unknown} value what the part shows; when it is another, the part is tried again
 * @property {any} [children]
 * @property {(broken: any) => any} [around] what has to stand around it, in a list for one
 *
 * @typedef {{ value: unknown, isBroken: boolean }} GuardedState
 */

/** @extends {Component<GuardedProps, GuardedState>} */
export class Guarded extends Component {
  /** @type {GuardedState} */
  state = { value: this.props.value, isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  /** @param {GuardedProps} props @param {GuardedState} state */
  static getDerivedStateFromProps({ value }, state) {
    return value === state.value ? null : { value, isBroken: false };
  }

  render() {
    const { value, around, children } = this.props;
    if (!this.state.isBroken) return children;
    const broken = html`<${Broken} value=${value} />`;
    return around ? around(broken) : broken;
  }
}

/** @param {{ value: unknown }} props */
function Broken({ value }) {
  const [isOpen, open] = useState(false);
  return html`<details className="broken" onToggle=${(/** @type {any} */ event) => open(event.currentTarget.open)}>
    <summary><${Icon} name="right" /><${Icon} name="wrong" />${t("This part cannot be shown.")}</summary>
    ${isOpen && html`<pre className="tool-text" tabIndex=${0}>${JSON.stringify(value, null, 2)}</pre>`}
  </details>`;
}

/** In place of the whole page. What was being written is kept in the browser with each key. */
export function Crashed() {
  return html`<div className="ws"><div className="ws-welcome" role="alert">
    <h2>${t("This page has stopped working")}</h2>
    <p>${t("A run that is under way goes on without it. What you have written is kept.")}</p>
    <button type="button" onClick=${() => location.reload()}>${t("Reload")}</button>
  </div></div>`;
}
