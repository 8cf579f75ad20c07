// Markdown that is still being written, so that what is drawn of it does not jump when the rest comes.

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** A last line that is nothing but the beginning of something: a list's dash also makes a heading of the line above. */
const OPENING = /(^|\n)[ \t]*(?:[-=*_#>+|`~:]+|\d{1,9}[.)]?|[-*+>]?[ \t]*\[[ xX]?\]?)[ \t]*$/;
/** A link whose address is not complete: its words can be shown already. */
const HALF_LINK = /!?\[([^\[\]\n]{0,500})(?:\](?:\([^()\s]*)?)?$/;
const MARKS = ["**", "__", "~~", "*", "_"];

/**
 * What can be shown of a text to which more will come: without the beginnings of marks, with open marks closed.
 * @param {string} text
 */
export function withoutLooseEnds(text) {
  if (isInCode(text)) return text.replace(/\n[ \t]*[`~]{1,}[ \t]*$/, "\n");
  const shown = withoutTableHead(text.replace(OPENING, "$1"));
  const start = shown.lastIndexOf("\n\n") + 1;
  return shown.slice(0, start) + closed(shown.slice(start).replace(HALF_LINK, "$1"));
}

/**
 * Whether a code block is open at the end.
 * @param {string} text
 */
function isInCode(text) {
  let open = "";
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1] ?? "";
    if (!open) open = mark;
    else if (mark.startsWith(open) && !line.trim().slice(mark.length)) open = "";
  }
  return open !== "";
}

/**
 * Without the lines at the end that will be a table but are not yet: its head, until the line below it is complete.
 * @param {string} text
 */
function withoutTableHead(text) {
  const lines = text.split("\n");
  const end = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  let start = end;
  while (start > 0 && lines[start - 1].trimStart().startsWith("|")) start -= 1;
  const [head, rule = ""] = lines.slice(start, end);
  if (start === end || cells(rule, "-").length >= cells(head, "").length) return text;
  return lines.slice(0, start).map((line) => `${line}\n`).join("");
}

/**
 * @param {string} line
 * @param {string} having
 */
const cells = (line, having) => line.split("|").filter((cell) => cell.trim() && cell.includes(having));

/**
 * The paragraph with its open marks closed, innermost first.
 * @param {string} text
 */
function closed(text) {
  const whole = (text.split("`").length - 1) % 2 ? (text.endsWith("`") ? text.replace(/`+$/, "") : `${text}\``) : text;
  const shown = withoutHalf(whole.replace(/(?<=\s|^)(\*{1,3}|_{1,3}|~~?)$/, ""));
  return shown + openMarks(withoutCode(shown));
}

/** @param {string} text */
const withoutCode = (text) => text.replace(/`[^`]*`/g, (inside) => " ".repeat(inside.length));

/**
 * Without the first half of a closing mark: of ``**bold*``.
 * @param {string} text
 */
function withoutHalf(text) {
  const [, half] = /[^\s*_~]([*_~])$/.exec(text) ?? [];
  const isOpen = half && openAt(withoutCode(text), half + half) >= 0;
  return isOpen ? text.slice(0, -1) : text;
}

/**
 * The marks that close what is open, innermost first.
 * @param {string} text
 */
function openMarks(text) {
  let rest = text;
  /** @type {{ mark: string, at: number }[]} */
  const open = [];
  for (const mark of MARKS) {
    const at = openAt(rest, mark);
    rest = rest.replaceAll(mark, " ".repeat(mark.length));
    if (at >= 0) open.push({ mark, at });
  }
  return open.sort((one, other) => other.at - one.at).map(({ mark }) => mark).join("");
}

/**
 * Where a mark stands that has opened something which nothing closes; -1 when there is none. What stands alone between
 * spaces opens nothing, nor does _ within or after a word.
 * @param {string} text
 * @param {string} mark
 */
function openAt(text, mark) {
  let open = -1;
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) {
    const [before, after] = [text[at - 1] ?? " ", text[at + mark.length] ?? " "];
    const mayOpen = !/\s/.test(after) && before !== "\\" && !(mark.startsWith("_") && /\w/.test(before));
    const mayClose = !/\s/.test(before) && !(mark.startsWith("_") && /\w/.test(after));
    if (open >= 0 ? mayClose : mayOpen) open = open >= 0 ? -1 : at;
  }
  return open;
}
