import assert from "node:assert/strict";
import { test } from "node:test";
import { Guarded } from "./guarded.js";

/** @param {any} state @param {any} [around] */
const drawn = (state, around) => {
  const part = new Guarded({ value: "v", children: "the part", around });
  Object.assign(part.state, state);
  return part.render();
};

test("a part is drawn until it fails; then what it was to show stands in its place", () => {
  assert.equal(drawn({}), "the part");
  assert.equal(drawn(Guarded.getDerivedStateFromError()).props.value, "v");
  assert.deepEqual(drawn({ isBroken: true }, (/** @type {any} */ broken) => ["li", broken.props.value]), ["li", "v"]);
});

test("it is tried again with another value, and only then", () => {
  assert.equal(Guarded.getDerivedStateFromProps({ value: 1 }, { value: 1, isBroken: true }), null);
  assert.deepEqual(Guarded.getDerivedStateFromProps({ value: 2 }, { value: 1, isBroken: true }), { value: 2, isBroken: false });
});
