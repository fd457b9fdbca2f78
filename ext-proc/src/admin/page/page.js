"use strict";

// Everything that is shown goes through textContent: the service's texts may quote a client.
const find = (id) => document.getElementById(id);
const REFRESH = 5000;
let token = "";

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function show(id, text) {
  find(id).textContent = text;
  find(id).hidden = text === "";
}

async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  find("access").hidden = response.status !== 401 && !token;
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return response.json();
}

async function explain() {
  const value = (id) => find(id).value;
  const body = { request: value("request"), claims: value("claims"), peer: value("peer"), client_address: value("client-address") };
  find("explain").setAttribute("aria-busy", "true");
  try {
    const headers = { "content-type": "application/json" };
    showAnswer(await call("explain", { method: "POST", headers, body: JSON.stringify(body) }));
    show("request-problem", "");
  } catch (problem) {
    find("answer").hidden = true;
    show("request-problem", problem.message);
  }
  find("explain").removeAttribute("aria-busy");
}

function showAnswer({ decision, tier, reason_text: reasonText, steps }) {
  const { outcome, cell, status } = decision;
  const words = { cell: `cell ${cell}`, reject: `refused with status ${status}`, pass: "passes without a cell", defer: "deferred" };
  find("outcome").textContent = words[outcome];
  find("tier").textContent = `decided by the ${tier}`;
  find("verdict").className = outcome === "reject" ? "verdict refused" : "verdict";
  find("reason").textContent = decision.reason;
  find("reason-text").textContent = reasonText;
  find("steps").replaceChildren(...steps.flatMap(({ label, text }) => [element("dt", label), element("dd", text)]));
  find("answer").hidden = false;
}

function rows(id, list, cells, none) {
  const made = list.map((item) => {
    const row = document.createElement("tr");
    row.append(...cells(item).map((text) => element("td", text, typeof text === "number" ? "number" : "")));
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    const only = element("td", none);
    only.colSpan = find(id).closest("table").tHead.rows[0].cells.length;
    row.append(only);
    made.push(row);
  }
  find(id).replaceChildren(...made);
}

function showState({ service, decisions, cells, texts }) {
  const { version, build } = service;
  find("identity").textContent = `Version ${version}, build ${build}, since ${service.started_at}`;
  find("state").replaceChildren(...texts.flatMap(({ label, text }) => [element("dt", label), element("dd", text)]));
  rows("decisions", decisions, ({ reason, outcome, count }) => [reason, outcome, count], "No request yet");
  rows("cells", cells, ({ cell, count }) => [cell, count], "No request has a cell yet");
  rows("refusals", service.refusals, (one) => [one.reason, one.count, one.last_at, one.last_request_id || ""], "None");
}

async function refresh() {
  try {
    showState(await call("explain/state"));
    show("state-problem", "");
  } catch (problem) {
    show("state-problem", problem.message);
  }
}

async function refreshWhileLive() {
  if (find("live").checked && !document.hidden) await refresh();
  setTimeout(refreshWhileLive, REFRESH);
}

find("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  explain();
});
find("request").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
});
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  refresh();
});
refreshWhileLive();
