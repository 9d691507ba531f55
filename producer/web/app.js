// SPDX-License-Identifier: GPL-3.0-or-later
// The plain status page: sign in, own requests, live.  Names are put in as text only.
"use strict";

const by = (id) => document.getElementById(id);
const rows = new Map(); // request id -> {request, tr}
let session = null;
let events = null;

function say(text) {
	by("message").textContent = text || "";
	by("message").hidden = !text;
}

async function call(method, path, body) {
	const headers = {};
	if (body !== undefined)
		headers["Content-Type"] = "application/json";
	if (session)
		headers["X-Navette-CSRF"] = session.csrf;
	const answer = await fetch(path, {method, headers,
		body: body === undefined ? undefined : JSON.stringify(body)});
	if (answer.status === 204)
		return null;
	const data = await answer.json();
	if (!answer.ok) {
		if (answer.status === 401)
			showSignIn();
		throw new Error(data.detail || data.title);
	}
	return data;
}

function cell(tr, text) {
	const td = document.createElement("td");
	td.textContent = text;
	tr.append(td);
	return td;
}

function action(td, text, path) {
	const button = document.createElement("button");
	button.type = "button";
	button.textContent = text;
	button.addEventListener("click", async () => {
		button.disabled = true;
		try {
			say("");
			put(await call("POST", path));
		} catch (error) {
			say(error.message);
			button.disabled = false;
		}
	});
	td.append(button, " ");
}

function draw(entry) {
	const r = entry.request;
	const tr = document.createElement("tr");
	cell(tr, r.fullname || r.shortname || r.course);
	cell(tr, r.site_label);
	const state = cell(tr, r.state + (r.message && r.state !== "restored" ? ": " + r.message : ""));
	state.className = r.state;
	const bar = cell(tr, "");
	if (r.step && (r.state === "exporting" || r.state === "importing")) {
		const progress = document.createElement("progress");
		if (r.total) {
			progress.max = r.total;
			progress.value = r.done;
		}
		bar.append(progress, " " + r.step);
	}
	cell(tr, r.modified ? new Date(r.modified).toLocaleString() : "");
	const td = cell(tr, "");
	if (["scheduled", "exporting", "ready", "importing"].includes(r.state))
		action(td, "Cancel", `/api/v1/requests/${r.id}/cancel`);
	if (["failed", "cancelled"].includes(r.state))
		action(td, "Retry", `/api/v1/requests/${r.id}/retry`);
	if (entry.tr)
		entry.tr.replaceWith(tr);
	entry.tr = tr;
}

function put(request) {
	const entry = rows.get(request.id) || {tr: null};
	const fresh = !entry.tr;
	entry.request = request;
	rows.set(request.id, entry);
	draw(entry);
	if (fresh)
		by("rows").prepend(entry.tr);
	by("none").hidden = true;
	by("table").hidden = false;
}

async function load() {
	const list = await call("GET", "/api/v1/requests?limit=200");
	rows.clear();
	by("rows").replaceChildren();
	for (const request of list.requests.reverse())
		put(request);
	by("none").hidden = rows.size > 0;
	by("table").hidden = rows.size === 0;
}

async function changed(event) {
	const entry = rows.get(event.id);
	if (event.state || !entry) {
		put(await call("GET", `/api/v1/requests/${event.id}`));
		return;
	}
	Object.assign(entry.request, {step: event.step, done: event.done, total: event.total});
	draw(entry);
}

function listen() {
	if (events)
		events.close();
	events = new EventSource("/api/v1/events");
	events.addEventListener("request", (e) => changed(JSON.parse(e.data)).catch(() => {}));
	events.addEventListener("reset", () => load().catch((error) => say(error.message)));
}

function showSignIn() {
	if (events)
		events.close();
	events = null;
	session = null;
	by("sign-in").hidden = false;
	by("list").hidden = by("who").hidden = true;
}

async function showList() {
	by("sign-in").hidden = true;
	by("list").hidden = by("who").hidden = false;
	by("name").textContent = session.user.name || session.user.username;
	listen();
	await load();
}

by("sign-in").addEventListener("submit", async (e) => {
	e.preventDefault();
	try {
		say("");
		session = await call("POST", "/api/v1/session",
			{username: by("username").value, password: by("password").value});
		by("password").value = "";
		await showList();
	} catch (error) {
		say(error.message);
	}
});

by("sign-out").addEventListener("click", async () => {
	try {
		await call("DELETE", "/api/v1/session");
	} finally {
		showSignIn();
	}
});

(async () => {
	const answer = await fetch("/api/v1/session");
	if (!answer.ok) {
		showSignIn();
		return;
	}
	session = await answer.json();
	await showList();
})().catch((error) => say(error.message));
