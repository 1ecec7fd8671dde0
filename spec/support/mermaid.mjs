// SPDX-License-Identifier: MIT
// mermaid.mjs DIR: reads diagrams from stdin, separated by NUL bytes, and has Mermaid's own parser of DIR/node_modules
// look at each. Prints "ok TYPE" or "error WHY" for each.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/node_modules/x.js");
const { JSDOM } = require("jsdom");
globalThis.window = new JSDOM("").window;
globalThis.document = globalThis.window.document;
const { default: mermaid } = await import(process.argv[2] + "/node_modules/mermaid/dist/mermaid.core.mjs");

for (const text of readFileSync(0, "utf8").split("\0")) {
  try {
    console.log("ok " + (await mermaid.parse(text)).diagramType);
  } catch (e) {
    console.log("error " + String(e.message ?? e).replaceAll("\n", " | "));
  }
}
