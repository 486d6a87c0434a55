// Shows the service's own OpenAPI document. Texts go into the page as texts, never as HTML.
"use strict";

/** An element with attributes and children; what is no node becomes text. */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

/** A text in which `this` is code. */
function inline(text) {
  return text.split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

/** Paragraphs and tables, all that our descriptions have. */
function prose(text) {
  return (text ?? "").split("\n\n").filter(Boolean).map((part) => {
    if (!part.startsWith("|")) {
      return el("p", {}, ...inline(part));
    }
    const rows = part.split("\n").filter((line) => !line.startsWith("|-"));
    const cells = rows.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    const row = (kind) => (texts) => el("tr", {}, ...texts.map((cell) => el(kind, {}, ...inline(cell))));
    const [head, ...body] = cells;
    return el("div", { class: "wide" }, el("table", {},
      el("thead", {}, row("th")(head)), el("tbody", {}, ...body.map(row("td")))));
  });
}

/** What a reference leads to, with the name it has. */
function resolve(api, value) {
  if (!value?.$ref) {
    return { value };
  }
  const path = value.$ref.slice(2).split("/");
  return { value: path.reduce((at, key) => at[key], api), name: path.at(-1) };
}

/** A shape with all that it is made of put together. What stands beside a reference goes before what it leads to. */
function whole(api, schema) {
  const { value, name } = resolve(api, schema);
  const parts = (value.allOf ?? []).map((part) => whole(api, part));
  const { $ref, ...beside } = schema ?? {};
  const merged = { ...value, ...beside, name };
  for (const part of parts) {
    merged.name ??= part.name;
    merged.type ??= part.type;
    merged.required = [...(merged.required ?? []), ...(part.required ?? [])];
    merged.properties = { ...part.properties, ...merged.properties };
    for (const [key, field] of Object.entries(part.properties ?? {})) {
      merged.properties[key] = { ...field, ...merged.properties[key] };
    }
  }
  return merged;
}

function kind(schema) {
  if (schema.anyOf || schema.oneOf) {
    return (schema.anyOf ?? schema.oneOf).map((one) => one.type ?? (one.$ref ? one.$ref.split("/").at(-1) : "value")).join(" or ");
  }
  const types = [schema.type ?? []].flat().join(" or ");
  return [types, schema.format && `(${schema.format})`].filter(Boolean).join(" ");
}

function rules(schema) {
  const known = [
    ["minLength", "at least", "characters"], ["maxLength", "at most", "characters"],
    ["minItems", "at least", "items"], ["maxItems", "at most", "items"],
    ["minimum", "from", ""], ["maximum", "to", ""], ["multipleOf", "in steps of", ""],
  ];
  const told = known.filter(([key]) => schema[key] !== undefined)
    .map(([key, before, after]) => `${before} ${schema[key]} ${after}`.trim());
  if (schema.const !== undefined) {
    told.push(`always ${schema.const}`);
  }
  if (schema.pattern) {
    told.push(`matches ${schema.pattern}`);
  }
  const words = (schema.enum ?? []).filter((word) => word !== null);
  if (words.length > 12) {
    told.push(`one of ${words.length} words`);
  } else if (words.length) {
    told.push(`one of ${words.join(", ")}`);
  }
  return told.join("; ");
}

/** The fields of a shape, and theirs. */
function fields(api, schema, depth = 0) {
  const shape = whole(api, schema);
  if (shape.type === "array" || shape.items) {
    return fields(api, shape.items, depth);
  }
  const options = (shape.oneOf ?? shape.anyOf ?? []).filter((one) => one.$ref);
  if (options.length === 1) {
    return fields(api, options[0], depth);
  }
  const names = Object.keys(shape.properties ?? {});
  if (!names.length || depth > 6) {
    return undefined;
  }
  return el("ul", { class: "fields" }, ...names.map((name) => {
    const field = whole(api, shape.properties[name]);
    const required = (shape.required ?? []).includes(name);
    return el("li", {},
      el("code", { class: "name" }, name), " ",
      el("span", { class: "kind" }, field.items ? "array" : kind(field)), " ",
      required ? "" : el("span", { class: "kind" }, "optional"),
      el("div", { class: "note" }, ...inline([field.description ?? "", rules(field)].filter(Boolean).join(" — "))),
      fields(api, field, depth + 1));
  }));
}

function example(content) {
  const first = Object.values(content?.examples ?? {})[0];
  return first && el("pre", {}, JSON.stringify(first.value, null, 2));
}

function parameters(api, operation) {
  const all = operation.parameters ?? [];
  if (!all.length) {
    return undefined;
  }
  const row = (one) => el("tr", {},
    el("td", {}, el("code", {}, one.name)), el("td", {}, one.in),
    el("td", {}, kind(one.schema)),
    el("td", {}, ...inline([one.description, rules(one.schema)].filter(Boolean).join(" — "))));
  return el("section", {}, el("h4", {}, "Parameters"),
    el("div", { class: "wide" }, el("table", {},
      el("thead", {}, el("tr", {}, ...["Name", "In", "Type", "Meaning"].map((head) => el("th", {}, head)))),
      el("tbody", {}, ...all.map(row)))));
}

function body(api, operation) {
  const content = operation.requestBody?.content?.["application/json"];
  return content && el("section", {}, el("h4", {}, "Body"), fields(api, content.schema), example(content));
}

function answer(api, [status, response]) {
  const [type, content] = Object.entries(response.content ?? {})[0] ?? [];
  const headers = Object.keys(response.headers ?? {}).join(", ");
  return el("details", { "data-status": status },
    el("summary", {}, el("b", { class: `status s${status[0]}` }, status), " ",
      ...inline(response.description.split("\n")[0])),
    ...prose(response.description.split("\n").slice(1).join("\n")),
    el("p", { class: "kind" }, [type, headers && `headers ${headers}`].filter(Boolean).join(" — ")),
    content ? fields(api, content.schema) : undefined,
    example(content));
}

function curl(method, path, operation) {
  const lines = [`curl -X ${method.toUpperCase()} '${location.origin}${path}'`];
  if (operation.security?.length) {
    lines.push(`-H "Authorization: Bearer $TOKEN"`);
  }
  const first = Object.values(operation.requestBody?.content?.["application/json"]?.examples ?? {})[0];
  if (first) {
    lines.push(`-H 'Content-Type: application/json'`);
    lines.push(`-d '${JSON.stringify(first.value).replaceAll("'", "'\\''")}'`);
  }
  return el("pre", { class: "curl" }, lines.join(" \\\n  "));
}

const TOKENS = { userToken: "a user's token", serviceToken: "a service's token" };

function call(api, path, method, operation) {
  const who = (operation.security ?? []).flatMap((one) => Object.keys(one)).map((one) => TOKENS[one]);
  return el("article", { id: operation.operationId, "data-testid": "operation" },
    el("h3", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), " ", el("code", {}, path)),
    el("p", { class: "summary" }, operation.summary),
    ...prose(operation.description),
    el("p", { class: "kind" }, who.length ? `With ${who.join(" or ")}.` : "Without a token."),
    parameters(api, operation),
    body(api, operation),
    el("section", {}, el("h4", {}, "Answers"), ...Object.entries(operation.responses).map((one) => answer(api, one))),
    el("section", {}, el("h4", {}, "With curl"), curl(method, path, operation)));
}

/** Every call with its tag, in the order of the document. */
function calls(api) {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path, method, operation, tag: operation.tags?.[0] ?? "Other",
      words: JSON.stringify([path, method, operation.summary, operation.description, Object.keys(operation.responses)]).toLowerCase(),
    })));
}

function show(api) {
  document.title = api.info.title;
  const all = calls(api);
  const tags = [...new Set(all.map((one) => one.tag))];
  // What operators ask is the same everywhere, so it comes last.
  tags.sort((one, other) => (one === "Operators") - (other === "Operators"));
  const content = document.getElementById("content");
  content.replaceChildren(
    el("h1", {}, api.info.title, " ", el("small", {}, api.info.version)),
    ...prose(api.info.description));
  const list = document.getElementById("calls");
  const shown = [];
  for (const tag of tags) {
    const group = el("section", {}, el("h2", {}, tag));
    const links = el("ul", {});
    const menu = el("div", {}, el("p", { class: "tag" }, tag), links);
    for (const one of all.filter((each) => each.tag === tag)) {
      const article = call(api, one.path, one.method, one.operation);
      const link = el("li", {}, el("a", { href: `#${one.operation.operationId}` },
        el("span", { class: `method ${one.method}` }, one.method.toUpperCase()), " ", one.path));
      group.append(article);
      links.append(link);
      shown.push({ words: one.words, parts: [article, link] });
    }
    content.append(group);
    list.append(menu);
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const one of shown) {
      const hidden = !words.every((word) => one.words.includes(word));
      one.parts.forEach((part) => { part.hidden = hidden; });
    }
    for (const group of [...content.querySelectorAll(":scope > section"), ...list.children]) {
      const members = [...group.querySelectorAll(":scope > article, :scope > ul > li")];
      if (members.length) {
        group.hidden = members.every((member) => member.hidden);
      }
    }
  });
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch(() => { document.getElementById("failed").hidden = false; });
