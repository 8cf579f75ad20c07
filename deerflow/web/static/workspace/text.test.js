import assert from "node:assert/strict";
import { test } from "node:test";
import { block, readOn, safeLink } from "./text.js";
import { withoutLooseEnds } from "./unfinished.js";

const SAFE = /^(?:https?|mailto):/;

/**
 * All elements of a text, with the text that stands in them; components count as elements of their name.
 * @param {string} text
 */
function drawn(text) {
  const elements = /** @type {{ name: string, props: any, text: string }[]} */ ([]);
  /**
   * @param {any} node
   * @returns {string}
   */
  const walk = (node) => {
    if (node == null || typeof node === "boolean") return "";
    if (Array.isArray(node)) return node.map(walk).join("");
    if (typeof node !== "object") return String(node);
    const inside = typeof node.type === "string" ? walk(node.props.children) : (node.props.text ?? "");
    elements.push({ name: typeof node.type === "string" ? node.type : node.type.name, props: node.props, text: inside });
    return inside;
  };
  const all = readOn(undefined, text).tokens.map((token, place) => walk(block(token, place, 0))).join("");
  return { elements, text: all, links: elements.filter(({ name }) => name === "a").map(({ props }) => props.href) };
}

/** @param {string} text */
const named = (text) => drawn(text).elements.map(({ name }) => name);

const KNOWN = new Set(
  "p h2 h3 h4 h5 h6 Code blockquote ul ol li div table thead tbody tr th td hr strong em del code br a input".split(" "),
);
const ATTRIBUTES = new Set(
  "children className href target rel title start tabIndex role aria-label type checked disabled text language".split(" "),
);

const PAYLOADS = [
  "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)><script>alert(1)</script></svg>",
  "<iframe src=javascript:alert(1)>", "<style>body{display:none}</style>", "<a href=javascript:alert(1)>x</a>",
  "[x](javascript:alert(1))", "[x](JaVaScRiPt:alert(1))", "[x](java\tscript:alert(1))", "[x](<java\tscript:alert(1)>)",
  "[x](\u0001javascript:alert(1))", "[x](vb\u0000script:msgbox(1))", "[x](vbscript:msgbox(1))", "[x](data:text/html,<script>alert(1)</script>)",
  "[x](&#106;avascript:alert(1))", "[x](&#x6A;avascript&colon;alert(1))", "[x](javascript&#58;alert(1))", "[x](file:///etc/passwd)",
  "[x](//evil.example/)", "[x](/logout)", "[x](?a=b)", "[x](blob:http://a/b)", "<javascript:alert(1)>", "<data:text/html,x>",
  "![x](javascript:alert(1))", "![x](/logout)", "![x](data:image/svg+xml,<svg onload=alert(1)>)", "![x](https://evil.example/x.png)",
  "![x][r]\n\n[r]: javascript:alert(1)", "[x][r]\n\n[r]: <data:text/html,x> 'title'", "[![x](javascript:alert(1))](https://a.example)",
  "[a [b](javascript:alert(1)) c](https://a.example)", '[x](https://a.example "\\" onmouseover=alert(1) x=\\"")',
  "[x](https://a.example/'onmouseover='alert(1))", "`<img src=x onerror=alert(1)>`", "```html\n<script>alert(1)</script>\n```",
  '```"><script>alert(1)</script>\nx\n```', "| <img src=x onerror=alert(1)> |\n|--|\n| [x](javascript:alert(1)) |", "- [ ] <script>alert(1)</script>",
  "# <img src=x onerror=alert(1)>", "> <object data=x>", "<!-- --><script>alert(1)</script>", "<![CDATA[<script>alert(1)</script>]]>",
  "&lt;script&gt;alert(1)&lt;/script&gt;", "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)></style></mglyph></math>",
  "https://a.example/<script>alert(1)</script>", "www.a.example/\"onmouseover=alert(1)", "a@b.example<script>", "[x](mailto:a@b.example?body=<script>)",
];

test("nothing of a payload is more than text and links that may be followed", () => {
  for (const payload of PAYLOADS) {
    const { elements, links } = drawn(payload);
    for (const { name, props } of elements) {
      assert.ok(KNOWN.has(name), `${payload}: <${name}>`);
      for (const attribute of Object.keys(props)) assert.ok(ATTRIBUTES.has(attribute), `${payload}: ${attribute}`);
    }
    for (const link of links) assert.match(link, SAFE, payload);
  }
});

test("a raw tag stays to be read", () => {
  assert.equal(drawn("<script>alert(1)</script>").text, "<script>alert(1)</script>");
  assert.equal(drawn("so <img src=x onerror=alert(1)> it is").text, "so <img src=x onerror=alert(1)> it is");
});

test("a link that may not be followed stays as it was written", () => {
  assert.equal(drawn("[x](javascript:alert(1))").text, "[x](javascript:alert(1))");
  assert.deepEqual(drawn("[x](/logout) [y](https://a.example/)").links, ["https://a.example/"]);
});

test("links open apart and tell nobody where from", () => {
  const [{ props }] = drawn("[x](https://a.example)").elements.filter(({ name }) => name === "a");
  assert.deepEqual([props.target, props.rel], ["_blank", "noopener noreferrer"]);
});

test("an image is a link to itself", () => {
  const { elements, links, text } = drawn("![a cat](https://a.example/cat.png)");
  assert.deepEqual([links, text, elements.some(({ name }) => name === "img")], [["https://a.example/cat.png"], "a cat", false]);
});

test("a link does not hold a link", () => {
  assert.deepEqual(drawn("[![x](https://b.example/i.png)](https://a.example/)").links, ["https://a.example/"]);
});

test("an address is what the browser makes of it", () => {
  assert.equal(safeLink("HTTPS://A.example"), "https://a.example/");
  assert.equal(safeLink("java\nscript:alert(1)"), null);
  assert.equal(safeLink("mailto:a@b.example"), "mailto:a@b.example");
  assert.equal(safeLink("not an address"), null);
});

test("character references are read once", () => {
  assert.equal(drawn("a &amp;lt; b &#65;&#x42; &nosuch; &copy;").text, "a &lt; b AB &nosuch; ©");
  assert.deepEqual(drawn("[x](https://a.example/?a=1&amp;b=2)").links, ["https://a.example/?a=1&b=2"]);
});

test("blocks are what markdown says, and headings stand below the page's own", () => {
  assert.deepEqual(named("# A\n\n###### B"), ["h2", "h6"]);
  assert.deepEqual(named("- a\n  - b"), ["li", "ul", "li", "ul"]);
  assert.deepEqual(named("1. a"), ["li", "ol"]);
  assert.deepEqual(named("> a"), ["p", "blockquote"]);
  assert.deepEqual(named("- [x] a"), ["input", "li", "ul"]);
  assert.deepEqual(named("**a** *b* ~~c~~ `d`"), ["strong", "em", "del", "code", "p"]);
  assert.deepEqual(named("| a |\n|--|\n| b |"), ["th", "tr", "thead", "td", "tr", "tbody", "table", "div"]);
  assert.deepEqual(named("```js\nx\n```"), ["Code"]);
});

test("what is nested without end is shown as it was written", () => {
  for (const deep of [">".repeat(10_000), "> ".repeat(10_000) + "a", "- ".repeat(10_000) + "a", "1. ".repeat(3000) + "a"]) {
    assert.ok(drawn(deep).text.includes(deep.trim().slice(-100)));
  }
  assert.ok(drawn(`${"> ".repeat(200)}a`).elements.length < 50);
});

test("what makes a reader of markdown slow does not make this one slow", () => {
  const began = performance.now();
  for (const text of ["a".repeat(300_000) + "@", "word ".repeat(400_000), "[".repeat(10_000), "*a ".repeat(10_000), "[a](".repeat(10_000)]) drawn(text);
  assert.ok(performance.now() - began < 2000);
});

test("of a text that grows only its last blocks are read again", () => {
  const before = readOn(undefined, "one\n\ntwo\n\nthree\n\nfo");
  const after = readOn(before, "one\n\ntwo\n\nthree\n\nfour **x**");
  assert.equal(after.tokens[0], before.tokens[0]);
  assert.notEqual(after.tokens.at(-1), before.tokens.at(-1));
});

const LONG = "Text\n\n- a\n- b\n\n  more\n\n1. x\n\n2. y\n\n| a | b |\n|--|--|\n| c | d |\n\n```py\nx = 1\n\n# no heading\n```\n\n> q\n> r\n\n**bold** end [a][r] `c`\n\n[r]: https://a.example\n\nsee [r]\n\n    code\n\n    more\r\n\r\nlast\r\n";

test("blocks are kept also while the last one has its loose ends tied up", () => {
  const before = readOn(undefined, "one\n\ntwo\n\nso **bol", true);
  assert.equal(before.tokens.at(-1)?.raw, "so **bol**");
  const after = readOn(before, "one\n\ntwo\n\nso **bold** it", true);
  assert.deepEqual([after.tokens[0] === before.tokens[0], after.tokens.at(-1)?.raw], [true, "so **bold** it"]);
});

test("a text that grows letter by letter ends as if it had come at once", () => {
  let reading = readOn(undefined, "");
  for (let length = 1; length <= LONG.length; length += 1) reading = readOn(reading, LONG.slice(0, length), true);
  reading = readOn(reading, LONG);
  assert.deepEqual(reading.tokens.map(({ type, raw }) => [type, raw]), readOn(undefined, LONG).tokens.map(({ type, raw }) => [type, raw]));
});

test("no beginning of a text throws", () => {
  for (const text of [LONG, ...PAYLOADS]) {
    for (let length = 0; length <= text.length; length += 1) drawn(withoutLooseEnds(text.slice(0, length)));
  }
});

test("what is not finished is drawn as it will be", () => {
  const cases = {
    "so **bol": "so **bol**", "so **bold**": "so **bold**", "so **bold*": "so **bold**", "so *it": "so *it*", "so ~~go": "so ~~go~~", "a `co": "a `co`",
    "a **b `c": "a **b `c`**", "see [the man": "see the man", "see [the manual](http://a": "see the manual", "![a pic](http://": "a pic",
    "text\n-": "text\n", "text\n- ": "text\n", "text\n- a": "text\n- a", "text\n#": "text\n", "text\n1.": "text\n", "text\n=": "text\n",
    "| a | b": "", "x\n\n| a | b |\n|--": "x\n\n", "| a | b |\n|--|--|\n": "| a | b |\n|--|--|\n", "| a |\n|--|\n| c |\n| d": "| a |\n|--|\n| c |\n| d", "- [ ": "", "2 * 3": "2 * 3", "a_b": "a_b", "snake_case_": "snake_case_",
    "```js\nlet a": "```js\nlet a", "```js\nlet a\n``": "```js\nlet a\n", "done **x** and": "done **x** and", "**a *b": "**a *b***", "a **": "a ", "5 - ": "5 - ",
  };
  for (const [text, wanted] of Object.entries(cases)) assert.equal(withoutLooseEnds(text), wanted, JSON.stringify(text));
});
