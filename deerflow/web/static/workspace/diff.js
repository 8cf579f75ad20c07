// What is different between two JSON values.

/** @typedef {{ path: string, kind: "added" | "removed" | "changed", before?: unknown, after?: unknown }} Change */

const MOST = 500; // changes that are looked for: who reads more?

/**
 * The changes from one value to the other, in the order of the second. Lists whose entries have ids (messages) are
 * compared by these, so that one which was put in front does not make all the others new.
 * @param {unknown} before
 * @param {unknown} after
 * @returns {Change[]}
 */
export function diff(before, after) {
  /** @type {Change[]} */
  const found = [];
  /** @type {{ path: string, before: unknown, after: unknown, isIn: boolean, wasIn: boolean }[]} */
  const open = [{ path: "", before, after, isIn: after !== undefined, wasIn: before !== undefined }];
  for (let next = open.pop(); next && found.length < MOST; next = open.pop()) {
    const { path, before: one, after: other, wasIn, isIn } = next;
    if (!wasIn) found.push({ path, kind: "added", after: other });
    else if (!isIn) found.push({ path, kind: "removed", before: one });
    else if (isSameKind(one, other)) open.push(...pairs(path, one, other).reverse());
    else if (!Object.is(one, other)) found.push({ path, kind: "changed", before: one, after: other });
  }
  return found;
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function isSameKind(one, other) {
  const areContainers = typeof one === "object" && typeof other === "object" && one !== null && other !== null;
  return areContainers && Array.isArray(one) === Array.isArray(other);
}

/**
 * What stands at the same place in both, place by place.
 * @param {string} path
 * @param {any} before
 * @param {any} after
 */
function pairs(path, before, after) {
  const [one, other] = Array.isArray(before) ? [listed(before, after), listed(after, before)] : [before, after].map((each) => new Map(Object.entries(each)));
  const names = [...new Set([...one.keys(), ...other.keys()])];
  return names.map((name) => ({
    path: path + (Array.isArray(before) ? `[${name}]` : path ? `.${name}` : name),
    before: one.get(name), after: other.get(name), wasIn: one.has(name), isIn: other.has(name),
  }));
}

/**
 * A list's entries under their ids, when they have some; else under their places.
 * @param {any[]} list
 * @param {any[]} beside
 */
function listed(list, beside) {
  const haveIds = [...list, ...beside].every((each) => typeof each?.id === "string") && isUnique(list) && isUnique(beside);
  return new Map(list.map((each, place) => [haveIds ? each.id : String(place), each]));
}

/** @param {any[]} list */
const isUnique = (list) => new Set(list.map(({ id }) => id)).size === list.length;

/**
 * Whether *got* has all that *wanted* says: fields that were put in beside (ids, defaults) do not matter.
 * @param {unknown} wanted
 * @param {unknown} got
 * @returns {boolean}
 */
export function holds(wanted, got) {
  if (!isSameKind(wanted, got)) return Object.is(wanted, got);
  const [asked, there] = /** @type {[any, any]} */ ([wanted, got]);
  if (Array.isArray(asked) && asked.length !== there.length) return false;
  return Object.entries(asked).every(([name, value]) => holds(value, there[name]));
}
