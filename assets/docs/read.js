/** Lays the description of this server's API out for reading: every route and schema unfolded. */

const api = await (await fetch("/openapi.json")).json();
const main = document.getElementById("api");
const index = document.getElementById("index");
const filter = document.getElementById("filter");

const METHODS = ["get", "post", "put", "patch", "delete"];
const REF = "#/components/";

/** Everything that the filter can hide: what stands in the index and on the page, and its words. */
const entries = [];

/** An element; texts among its children are shown as they are. */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.flat(Number.POSITIVE_INFINITY).filter((child) => child !== null));
  return element;
}

/** A text with `code` in it. */
const inline = (text) =>
  text.split("`").map((part, i) => (i % 2 === 1 ? el("code", {}, part) : part));

const paragraphs = (text = "") =>
  text.split("\n\n").flatMap((part) => (part === "" ? [] : [el("p", {}, inline(part))]));

/** What a reference stands for. */
function resolve(value) {
  if (!value?.$ref?.startsWith(REF)) return value;
  const [kind, name] = value.$ref.slice(REF.length).split("/");
  return api.components[kind][name];
}

function aboutSection() {
  const { title, version, description } = api.info;
  return el("section", {}, el("h1", {}, `${title} ${version}`), paragraphs(description));
}

function tagSection({ name, description }) {
  const routes = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]?.tags.includes(name)).map((method) => ({
      path,
      method,
      operation: item[method],
    })),
  );
  const articles = routes.map((route) => operationArticle(name, route));
  return chapter(name, [...paragraphs(description)], articles);
}

function schemaSection() {
  const articles = Object.entries(api.components.schemas).map(([name, schema]) => {
    const id = `schema-${name}`;
    const article = el("article", { id }, el("h3", {}, name), schemaBody(schema));
    return { article, words: name, link: [name] };
  });
  return chapter("Schemas", [], articles);
}

/** A part of the page with its part of the index. */
function chapter(title, about, articles) {
  const section = el("section", {}, el("h2", {}, title), about);
  const list = el("ul", {});
  const part = el("div", {}, el("h2", {}, title), list);
  for (const { article, words, link } of articles) {
    const item = el("li", {}, el("a", { href: `#${article.id}` }, link));
    list.append(item);
    section.append(article);
    entries.push({ article, item, section, part, words: `${title} ${words}`.toLowerCase() });
  }
  index.append(part);
  return section;
}

function operationArticle(tag, { path, method, operation }) {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const escaped = encodeURIComponent(tag);
  const article = el(
    "article",
    { id: operationId },
    el("h3", {}, summary),
    el(
      "p",
      { class: "route" },
      el("span", { class: `method ${method}` }, method.toUpperCase()),
      el("span", {}, path),
      el("a", { href: `/docs#/${escaped}/${operationId}` }, "Try it"),
    ),
    paragraphs(description),
    parametersPart(parameters.map(resolve)),
    requestBody ? bodyPart(requestBody) : null,
    el("h4", {}, "Answers"),
    Object.entries(responses).map(([status, response]) => answerPart(status, resolve(response))),
  );
  const words = `${method} ${path} ${operationId} ${summary} ${description ?? ""}`;
  return { article, words, link: [`${method.toUpperCase()} ${path}`] };
}

function parametersPart(parameters) {
  if (parameters.length === 0) return null;
  const items = parameters.map(({ name, in: place, required, description, schema }) =>
    field(name, schema, { required, description, note: place }),
  );
  return [el("h4", {}, "Parameters"), el("ul", { class: "fields" }, items)];
}

function bodyPart({ content, required }) {
  const types = Object.entries(content).map(([type, { schema, example }]) => [
    el("p", {}, el("code", {}, type)),
    schemaBody(schema),
    example === undefined ? null : exampleOf(example),
  ]);
  return [el("h4", {}, required ? "Body" : "Body, which may be left out"), ...types.flat()];
}

const exampleOf = (example) =>
  el("pre", {}, typeof example === "string" ? example : JSON.stringify(example, null, 2));

/** Problems are named; what an answer has in it is shown. */
function answerPart(status, { description, headers = {}, content = {} }) {
  const names = Object.keys(headers);
  const shown = Number(status) < 400 ? Object.entries(content) : [];
  return el(
    "div",
    {},
    el("p", {}, el("strong", {}, `${status} `), inline(description)),
    names.length > 0 && Number(status) < 400
      ? el(
          "p",
          { class: "type" },
          "Headers: ",
          inline(names.map((name) => `\`${name}\``).join(", ")),
        )
      : null,
    shown.flatMap(([type, media]) => [
      el("p", {}, el("code", {}, type)),
      media["x-events"] ? eventsOf(media["x-events"]) : schemaBody(media["x-line"] ?? media.schema),
    ]),
  );
}

const eventsOf = (events) =>
  el(
    "ul",
    { class: "fields" },
    Object.entries(events).map(([name, schema]) =>
      el(
        "li",
        {},
        el("code", {}, name),
        " ",
        typeOf(schema),
        schema.$ref ? null : schemaBody(schema),
      ),
    ),
  );

/** What a schema has in it: its fields, or the forms that it can have. */
function schemaBody(schema) {
  const { properties, items, anyOf, oneOf, description } = resolve(schema);
  const forms = anyOf ?? oneOf;
  const about = description ? paragraphs(description) : [];
  if (properties) return [...about, fieldsOf(resolve(schema))];
  if (items && resolve(items).properties && !items.$ref) {
    return [...about, el("p", { class: "type" }, "A list of:"), fieldsOf(items)];
  }
  if (!forms) return [...about, el("p", { class: "type" }, typeOf(resolve(schema)))];
  const list = forms.map((form) =>
    el("li", {}, el("span", { class: "type" }, typeOf(form)), form.$ref ? null : nestedOf(form)),
  );
  return [...about, el("p", { class: "type" }, "One of:"), el("ul", { class: "fields" }, list)];
}

const fieldsOf = ({ properties, required = [] }) =>
  el(
    "ul",
    { class: "fields" },
    Object.entries(properties).map(([name, schema]) =>
      field(name, schema, { required: required.includes(name), description: schema.description }),
    ),
  );

function field(name, schema, { required, description, note }) {
  return el(
    "li",
    {},
    el("code", {}, name),
    " ",
    el("span", { class: "type" }, typeOf(schema), note ? `, in the ${note}` : ""),
    required ? el("span", { class: "needed" }, " required") : null,
    description ? paragraphs(description) : null,
    nestedOf(schema),
  );
}

/** What is inside a field, where that has no name of its own. */
function nestedOf(schema) {
  if (schema.$ref) return null;
  if (schema.properties) return fieldsOf(schema);
  if (schema.items) return nestedOf(schema.items);
  const forms = (schema.anyOf ?? schema.oneOf ?? []).filter((form) => form.properties);
  return forms.length === 0 ? null : forms.map(fieldsOf);
}

/** A schema's type in words; a name leads to where it is shown. */
function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return [el("a", { href: `#schema-${name}` }, name)];
  }
  const { type, items, enum: values, const: value, format, default: preset } = schema;
  const forms = schema.anyOf ?? schema.oneOf;
  const words = (() => {
    if (value !== undefined) return [JSON.stringify(value)];
    if (values) return [values.map((one) => JSON.stringify(one)).join(" | ")];
    if (forms) return forms.flatMap((form, i) => [i > 0 ? " | " : "", ...typeOf(form)]);
    if (items) return ["list of ", ...typeOf(items)];
    return [[type ?? "any JSON"].flat().join(" | ")];
  })();
  const rules = [
    format,
    ...rangeOf(schema),
    preset === undefined || preset === null ? null : `default ${JSON.stringify(preset)}`,
  ].filter((rule) => typeof rule === "string");
  return rules.length > 0 ? [...words, ` (${rules.join(", ")})`] : words;
}

const LIMITS = [
  ["minimum", "maximum", ""],
  ["minLength", "maxLength", " characters"],
  ["minItems", "maxItems", " items"],
];

function rangeOf(schema) {
  return LIMITS.map(([least, most, unit]) => {
    const [from, to] = [schema[least], schema[most]];
    if (from !== undefined && to !== undefined) return `${from} to ${to}${unit}`;
    if (from !== undefined) return `at least ${from}${unit}`;
    return to === undefined ? null : `at most ${to}${unit}`;
  });
}

/** Shows what has all words of the filter. */
function applyFilter() {
  const wanted = filter.value.toLowerCase().split(/\s+/);
  let found = 0;
  const alive = new Set();
  for (const { article, item, section, part, words } of entries) {
    const fits = wanted.every((word) => words.includes(word));
    article.hidden = item.hidden = !fits;
    if (!fits) continue;
    found += 1;
    alive.add(section).add(part);
  }
  for (const { section, part } of entries) {
    section.hidden = !alive.has(section);
    part.hidden = !alive.has(part);
  }
  const all = filter.value.trim() === "";
  document.getElementById("found").textContent = all ? "" : `${found} of ${entries.length}`;
}

const sections = api.tags.map(tagSection);
main.append(aboutSection(), ...sections, schemaSection());
main.removeAttribute("aria-busy");
filter.addEventListener("input", applyFilter);
applyFilter();
// The place in the address is there only now.
document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
