/** Names texts that stand in the code, where no translation finds them: all of them belong into src/texts. */
import { readdirSync, readFileSync } from "node:fs";
import { parse } from "svelte/compiler";

/** Names and units, the same in every language. */
const NAMES = /\b(Bitaxe|AxeOS|softaxe|curl|J\/TH|MHz|mV|rpm|dBm|ms|kB|MB)\b/g;
/** Attributes of elements, and properties of components, that people read. */
const READ = new Set(["title", "placeholder", "alt", "label", "aria-label", "aria-description", "aria-valuetext"]);
/** A sentence, wherever it stands. */
const SENTENCE = /^\p{Lu}\p{Ll}+ \p{Letter}/u;

/** What of a part of a template, or of an attribute, is read as it stands. */
function shown(node) {
  switch (node.type) {
    case "Text": return [[node.start, node.data]];
    case "Literal": return [[node.start, String(node.value)]];
    case "TemplateLiteral": return node.quasis.map((part) => [part.start, part.value.cooked]);
    case "ExpressionTag": return shown(node.expression);
    case "ConditionalExpression": return [node.consequent, node.alternate].flatMap(shown);
    case "LogicalExpression": return [node.left, node.right].flatMap(shown);
    default: return [];
  }
}

function texts(node, parent) {
  if (Array.isArray(node)) return node.flatMap((one) => texts(one, parent));
  if (!node?.type || node.type === "StyleSheet" || node.name === "code") return [];
  const isRead = parent?.type === "Fragment" || (parent?.type === "Attribute" && READ.has(parent.name));
  const read = isRead ? shown(node).filter(([, text]) => /\p{Letter}{2}/u.test(text.replace(NAMES, ""))) : [];
  const said = ["Literal", "TemplateLiteral"].includes(node.type) ? shown(node).filter(([, text]) => SENTENCE.test(text)) : [];
  return [...read, ...said, ...Object.values(node).flatMap((one) => (typeof one === "object" ? texts(one, node) : []))];
}

const found = readdirSync("src", { recursive: true }).filter((name) => /\.(svelte|ts)$/.test(name) && !name.startsWith("texts")).flatMap((name) => {
  const code = readFileSync(`src/${name}`, "utf8");
  const source = name.endsWith(".svelte") ? code : `<script lang="ts">${code}</script>`;
  return texts(parse(source, { modern: true })).map(([at, text]) => `src/${name}:${source.slice(0, at).split("\n").length}: ${text.trim()}`);
});
for (const line of new Set(found)) console.error(`a text outside src/texts: ${line}`);
process.exitCode = found.length ? 1 : 0;
