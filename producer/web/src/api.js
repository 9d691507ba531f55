// SPDX-License-Identifier: GPL-3.0-or-later
// Calls of the documented API (openapi.yaml).
import {renew} from './renewal.js';

// A problem document, or what stands for one: reason 'offline' when nobody answered.
export class Problem extends Error {
	constructor(status, reason, detail) {
		super(detail || reason);
		this.status = status;
		this.reason = reason;
		this.detail = detail || '';
	}
}

let csrf = null;
let onSessionLost = () => {};

export function setCsrf(token) {
	csrf = token;
}

export function whenSessionLost(callback) {
	onSessionLost = callback;
}

async function problemOf(answer) {
	const document = await answer.json().catch(() => ({}));
	// an answer to HEAD has no document
	const reason = document.reason || answer.headers.get('X-Navette-Reason') || 'internal';
	return new Problem(answer.status, reason, document.detail);
}

// body: an object, sent as JSON; or a text, sent as the CSV it is.
export async function call(method, path, body, headers = {}) {
	const options = {method, headers: {...headers}};
	if (body !== undefined) {
		const csv = typeof body === 'string';
		options.headers['Content-Type'] = csv ? 'text/csv' : 'application/json';
		options.body = csv ? body : JSON.stringify(body);
	}
	if (csrf && method !== 'GET' && method !== 'HEAD')
		options.headers['X-Navette-CSRF'] = csrf;
	let answer;
	try {
		answer = await fetch(`/api/v1${path}`, options);
	} catch {
		throw new Problem(0, 'offline');
	}
	if (answer.status === 204 || (answer.ok && method === 'HEAD'))
		return null;
	if (answer.ok)
		return answer.json().catch(() => {
			throw new Problem(0, 'offline'); // it broke off
		});
	const renewal = answer.headers.get('X-Navette-Renew');
	if (renewal) {
		renew(renewal);
		return new Promise(() => {}); // this page is left
	}
	const problem = await problemOf(answer);
	if (problem.status === 401 && csrf)
		onSessionLost();
	throw problem;
}

function downloadReason({status, reason}) {
	if (status === 404)
		return 'no_archive';
	if (status === 429)
		return 'download_own';
	if (status === 507)
		return 'download_room';
	return status === 503 && ['busy', 'disk_full'].includes(reason) ? 'download_others' : reason;
}

// The file itself is the browser's business; rejects with what keeps it from coming.
export async function download(id) {
	const path = `/requests/${encodeURIComponent(id)}/archive`;
	try {
		await call('HEAD', path);
	} catch (problem) {
		throw new Problem(problem.status, downloadReason(problem));
	}
	location.assign(`/api/v1${path}`);
}

// For Idempotency-Key; not crypto.randomUUID, which plain http does not have.
export function randomKey() {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)),
		(b) => b.toString(16).padStart(2, '0')).join('');
}

// Everything of a list that comes in pages.
export async function allRequests(user) {
	const found = [];
	for (;;) {
		const page = await call('GET',
			`/requests?user=${encodeURIComponent(user)}&limit=500&offset=${found.length}`);
		found.push(...page.requests);
		if (!page.requests.length || found.length >= page.total)
			return found;
	}
}
