// Builds deerflow/web/static/vendor: workspace-vendor.js, its types for tsc, and the licences of what is in it.
// `npm ci --ignore-scripts && node build.mjs`; ./serve.sh and `make console-vendor` do both.

import { gzipSync } from "node:zlib";
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, "../deerflow/web/static/vendor");
const workspace = join(here, "../deerflow/web/static/workspace");
/** Gzipped bytes of all script that the workspace loads. */
const MOST = 260_000;

/**
 * LangChain's core brings along the client of a tracing service, for chains that run in the browser. None do here, and
 * nothing of this page is to call another host: it is left out, with a fifth of the script.
 */
const withoutTracing = {
  name: "without tracing",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^langsmith(\/|$)/ }, ({ path }) => ({ path, namespace: "nothing" }));
    onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "module.exports = {};" }));
  },
};

const built = await build({
  entryPoints: [join(here, "vendor.entry.js")],
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  legalComments: "none",
  metafile: true,
  write: false,
  plugins: [withoutTracing],
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
});
const script = built.outputFiles[0].contents;
mkdirSync(folder, { recursive: true });
put("LICENSES.txt", licences(Object.keys(built.metafile.inputs)));
put("workspace-vendor.d.ts", 'export * from "../../../../console/vendor.entry.js";\n');
put("workspace-vendor.js", script);

const own = scripts(workspace).map((file) => packed(readFileSync(join(workspace, file))));
const total = own.reduce((sum, size) => sum + size, packed(script));
console.log(`workspace-vendor.js: ${kilobytes(packed(script))} gzip; with our own modules ${kilobytes(total)}`);
if (total > MOST) throw new Error(`the workspace's script is larger than ${kilobytes(MOST)}`);

/** Put a file in place whole: the server may be reading the one before. */
function put(name, content) {
  writeFileSync(join(folder, `${name}.new`), content);
  renameSync(join(folder, `${name}.new`), join(folder, name));
}

/** The licence texts of the packages that these inputs come from; some packages carry others inside of them. */
function licences(inputs) {
  const names = new Set(inputs.map((input) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]));
  names.delete(undefined);
  return [...names].sort().map((name) => licence(join(here, "node_modules", name))).join(`\n${"-".repeat(80)}\n\n`);
}

function licence(place) {
  const { name, version, license } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
  const file = readdirSync(place).find((each) => /^(licen[cs]e|copying)/i.test(each));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(join(place, file), "utf8") : ""}`;
}

function scripts(place) {
  try {
    return readdirSync(place).filter((file) => file.endsWith(".js") && !file.endsWith(".test.js"));
  } catch {
    return [];
  }
}

function packed(content) {
  return gzipSync(content, { level: 9 }).length;
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
