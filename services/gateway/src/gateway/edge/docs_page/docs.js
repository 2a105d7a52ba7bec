"use strict";

/* Renders /openapi.json. Text only ever enters the page as text nodes. */

const VERBS = ["get", "post", "put", "patch", "delete"];
const DEPTH_MAX = 6;

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const child of children.flat()) if (child !== null && child !== undefined) made.append(child);
  return made;
}

function title(name) {
  const words = name.replaceAll("-", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/* `code` in back quotes, paragraphs by empty lines; nothing else of Markdown. */
function prose(text) {
  return (text || "").trim().split(/\n\s*\n/).filter(Boolean).map((paragraph) =>
    el("p", {}, paragraph.split(/(`[^`]+`)/).map((part) =>
      part.startsWith("`") && part.endsWith("`") && part.length > 2 ? el("code", {}, part.slice(1, -1)) : part)));
}

class Schemas {
  constructor(components) { this.all = components || {}; }

  resolve(schema) {
    let found = schema || {};
    for (let hops = 0; found.$ref && hops < 20; hops += 1) {
      const { $ref, ...beside } = found;
      found = { ...(this.all[$ref.split("/").pop()] || {}), ...beside };
    }
    const choices = (found.anyOf || found.oneOf || []).filter((choice) => choice.type !== "null");
    if (choices.length === 1) {
      const { anyOf, oneOf, ...rest } = found;
      return { ...this.resolve(choices[0]), ...rest, nullable: (anyOf || oneOf).length > 1 };
    }
    if (found.allOf && found.allOf.length === 1) {
      const { allOf, ...rest } = found;
      return { ...this.resolve(allOf[0]), ...rest };
    }
    return found;
  }

  choices(schema) {
    return (schema.anyOf || schema.oneOf || []).filter((choice) => choice.type !== "null");
  }

  kind(schema) {
    const found = this.resolve(schema);
    const choices = this.choices(found);
    let text;
    if (found.const !== undefined) text = JSON.stringify(found.const);
    else if (found.enum) text = found.enum.map(String).join(" | ");
    else if (choices.length) text = [...new Set(choices.map((choice) => this.kind(choice)))].join(" or ");
    else if (found.type === "array") text = `list of ${this.kind(found.items || {})}`;
    else if (found.format) text = found.format;
    else if (Array.isArray(found.type)) text = found.type.join(" or ");
    else text = found.type || "any";
    return found.nullable ? `${text} or null` : text;
  }

  limits(schema) {
    const found = this.resolve(schema);
    const parts = [];
    if (found.minimum !== undefined || found.maximum !== undefined)
      parts.push(`${found.minimum ?? "…"} to ${found.maximum ?? "…"}`);
    if (found.maxLength !== undefined) parts.push(`at most ${found.maxLength} characters`);
    if (found.maxItems !== undefined) parts.push(`at most ${found.maxItems} items`);
    if (found.default !== undefined && found.default !== null) parts.push(`default ${JSON.stringify(found.default)}`);
    return parts.join(", ");
  }

  /* The schema whose fields can be listed: itself, or the items of a list. */
  inner(schema) {
    const found = this.resolve(schema);
    if (found.type === "array") return this.inner(found.items || {});
    if (found.additionalProperties && typeof found.additionalProperties === "object" && !found.properties)
      return this.inner(found.additionalProperties);
    return found;
  }

  example(schema, depth = 0) {
    const found = this.resolve(schema);
    if (found.example !== undefined) return found.example;
    if (found.examples && found.examples.length) return found.examples[0];
    if (found.const !== undefined) return found.const;
    if (found.enum) return found.enum[0];
    if (found.default !== undefined && found.default !== null) return found.default;
    const choices = this.choices(found);
    if (choices.length) return this.example(choices[0], depth);
    if (depth > DEPTH_MAX) return null;
    const type = Array.isArray(found.type) ? found.type[0] : found.type;
    if (type === "object" || found.properties) {
      const must = new Set(found.required || []);
      const names = Object.keys(found.properties || {});
      const shown = must.size ? names.filter((name) => must.has(name)) : names.slice(0, 3);
      return Object.fromEntries(shown.map((name) => [name, this.example(found.properties[name], depth + 1)]));
    }
    if (type === "array") return [this.example(found.items || {}, depth + 1)];
    if (type === "integer" || type === "number") return found.minimum ?? 1;
    if (type === "boolean") return true;
    if (found.format === "date-time") return "2027-01-31T12:00:00Z";
    if (found.format === "date") return "2027-01-31";
    if (found.format === "uri") return "https://example.com/hook";
    if (found.pattern && found.pattern.includes("@")) return "ada@example.com";
    return "text";
  }
}

function fieldRow(schemas, name, schema, required, depth) {
  const found = schemas.resolve(schema);
  const inner = schemas.inner(schema);
  const limits = schemas.limits(schema);
  const deeper = inner.properties && depth < DEPTH_MAX
    ? el("details", {}, el("summary", {}, "fields"), fields(schemas, inner, depth + 1)) : null;
  return el("tr", {},
    el("td", {}, el("span", { class: "name" }, name), " ", required ? el("span", { class: "must" }, "required") : null),
    el("td", {}, el("div", { class: "kind" }, schemas.kind(schema) + (limits ? ` · ${limits}` : "")),
      el("div", { class: "text" }, prose(found.description)), deeper));
}

function fields(schemas, schema, depth = 0) {
  const must = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {})
    .map(([name, value]) => fieldRow(schemas, name, value, must.has(name), depth));
  return el("table", { class: "fields" }, el("tbody", {}, rows));
}

function bodyOf(content) {
  const media = Object.keys(content || {})[0];
  return media ? { media, schema: content[media].schema } : null;
}

function shape(schemas, content) {
  const body = bodyOf(content);
  if (!body || !body.schema) return null;
  const inner = schemas.inner(body.schema);
  return inner.properties ? fields(schemas, inner) : el("p", { class: "kind" }, schemas.kind(body.schema));
}

function quoted(text) { return `'${String(text).replaceAll("'", "'\\''")}'`; }

function curl(schemas, server, entry) {
  const { verb, path, operation } = entry;
  const parameters = operation.parameters || [];
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    const found = parameters.find((parameter) => parameter.in === "path" && parameter.name === name);
    return found ? schemas.example(found.schema) : name;
  });
  const query = parameters.filter((parameter) => parameter.in === "query" && parameter.required)
    .map((parameter) => `${parameter.name}=${encodeURIComponent(schemas.example(parameter.schema))}`).join("&");
  const lines = [`curl ${verb === "get" ? "" : `-X ${verb.toUpperCase()} `}${quoted(server + filled + (query ? `?${query}` : ""))}`];
  if (!entry.open) lines.push(`-H "Authorization: Bearer $INVOICEOS_API_KEY"`);
  if (parameters.some((parameter) => parameter.name === "Idempotency-Key"))
    lines.push(`-H "Idempotency-Key: $(uuidgen)"`);
  const body = bodyOf(operation.requestBody && operation.requestBody.content);
  if (body) {
    lines.push(`-H 'Content-Type: ${body.media}'`);
    lines.push(`-d ${quoted(JSON.stringify(schemas.example(body.schema), null, 2))}`);
  }
  return lines.join(" \\\n  ");
}

function copyButton(text) {
  const button = el("button", { class: "copy", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { button.textContent = "Not allowed"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

function card(schemas, server, entry) {
  const { operation } = entry;
  const about = el("div", { class: "about" },
    el("h3", {}, operation.summary || entry.path),
    el("div", { class: "address" }, el("span", { class: `verb ${entry.verb}` }, entry.verb.toUpperCase()),
      el("span", {}, entry.path), entry.open ? el("span", { class: "open" }, "no key needed") : null),
    el("div", { class: "text" }, prose(operation.description)));
  const parameters = operation.parameters || [];
  if (parameters.length)
    about.append(el("h4", {}, "Parameters"), el("table", { class: "fields" }, el("tbody", {},
      parameters.map((parameter) => fieldRow(schemas, `${parameter.name}`,
        { ...parameter.schema, description: parameter.description || (parameter.schema || {}).description },
        parameter.required, 0)))));
  const asked = shape(schemas, operation.requestBody && operation.requestBody.content);
  if (asked) about.append(el("h4", {}, "Body"), asked);
  about.append(el("h4", {}, "Answers"));
  for (const [status, response] of Object.entries(operation.responses || {})) {
    const told = shape(schemas, response.content);
    about.append(el("div", { class: "answer" }, el("b", {}, status === "default" ? "4xx, 5xx" : status),
      el("span", { class: "text" }, response.description || "")));
    if (told) about.append(el("details", {}, el("summary", {}, "fields"), told));
  }
  const text = curl(schemas, server, entry);
  const sample = el("div", { class: "sample" }, copyButton(text), el("h4", {}, "Request"), el("pre", {}, text));
  const good = Object.keys(operation.responses || {}).find((status) => status.startsWith("2"));
  const answer = good && bodyOf(operation.responses[good].content);
  if (answer && answer.media.includes("json") && answer.schema)
    sample.append(el("h4", {}, `Answer ${good}`), el("pre", {}, JSON.stringify(schemas.example(answer.schema), null, 2)));
  return el("article", { class: "operation", id: entry.id }, about, sample);
}

function entriesOf(spec) {
  return Object.entries(spec.paths || {}).flatMap(([path, item]) =>
    VERBS.filter((verb) => item[verb]).map((verb) => ({
      verb, path, operation: item[verb], tag: (item[verb].tags || ["other"])[0],
      open: Array.isArray(item[verb].security) && item[verb].security.length === 0,
      id: `${verb}${path}`.replace(/[^A-Za-z0-9]+/g, "-").replace(/-$/, ""),
    })));
}

function render(spec) {
  const schemas = new Schemas((spec.components || {}).schemas);
  const server = ((spec.servers || [])[0] || {}).url || location.origin;
  const entries = entriesOf(spec);
  const tags = (spec.tags || []).map((tag) => tag.name);
  const main = document.getElementById("content");
  const contents = document.getElementById("contents");
  main.replaceChildren(el("h1", { id: "top" }, spec.info.title));
  main.append(el("div", { class: "text lead" }, prose(spec.info.description)));
  if ((spec["x-missing-services"] || []).length)
    main.append(el("p", { class: "notice" }, `Not reachable at this moment: ${spec["x-missing-services"].join(", ")}.`));
  contents.replaceChildren();
  for (const tag of tags) {
    const own = entries.filter((entry) => entry.tag === tag);
    main.append(el("section", { "data-tag": tag }, el("h2", {}, title(tag)), own.map((entry) => card(schemas, server, entry))));
    contents.append(el("h2", { "data-tag": tag }, title(tag)), el("ul", {}, own.map((entry) =>
      el("li", { "data-find": `${entry.verb} ${entry.path} ${entry.operation.summary || ""}`.toLowerCase() },
        el("a", { href: `#${entry.id}` }, el("span", { class: `verb ${entry.verb}` }, entry.verb.toUpperCase()),
          el("span", {}, entry.operation.summary || entry.path))))));
  }
  search(entries);
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function search(entries) {
  const field = document.getElementById("search");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const entry of entries) {
      const text = `${entry.verb} ${entry.path} ${entry.operation.summary || ""}`.toLowerCase();
      const shown = words.every((word) => text.includes(word));
      document.getElementById(entry.id).hidden = !shown;
      document.getElementById(entry.id).style.display = shown ? "" : "none";
      document.querySelector(`nav a[href="#${entry.id}"]`).parentElement.hidden = !shown;
    }
    for (const section of document.querySelectorAll("main > section"))
      section.hidden = ![...section.querySelectorAll(".operation")].some((card) => !card.hidden);
  });
}

fetch("/openapi.json").then((answer) => {
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}).then(render).catch((error) => {
  document.getElementById("content").replaceChildren(
    el("p", { class: "notice" }, `The document could not be read: ${error.message}`));
});
