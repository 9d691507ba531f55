// SPDX-License-Identifier: GPL-3.0-or-later
// What the teacher's table shows, from what the API tells.
import {isActive} from './progress.js';

export function rowKey(site, course) {
	return `${site}/${course}`;
}

// The newest request of each course; `requests` come newest first.
function newest(requests) {
	const found = new Map();
	for (const r of requests) {
		const key = rowKey(r.site, r.course);
		if (!found.has(key))
			found.set(key, r);
	}
	return found;
}

// What the row speaks of: one's own request, or else a colleague's.
function subject(course, own) {
	const there = own && (isActive(own) || (own.state === 'restored' && !own.restored?.deleted));
	const others = course.holder && !course.holder.mine ? course.holder : null;
	return there || !others ? {own: own || null, other: null} : {own: null, other: others};
}

export function statusWord({own, other}) {
	if (own)
		return own.state === 'restored' && own.restored?.deleted ? 'deleted' : own.state;
	if (!other)
		return 'none';
	return other.deleted ? 'deleted' : other.state;
}

// The group a status belongs to, for the filter.
export function statusGroup(word) {
	if (word === 'restored')
		return 'done';
	if (word === 'failed' || word === 'cancelled' || word === 'deleted')
		return 'ended';
	return word === 'none' ? 'none' : 'active';
}

function finish(row) {
	row.word = statusWord(row);
	row.group = statusGroup(row.word);
	row.names = `${row.fullname || ''} ${row.shortname || ''} ${row.categoryName || ''}`.toLowerCase();
	return row;
}

function courseRow(site, course, own) {
	const row = {
		key: rowKey(site.site, course.course),
		site: site.site,
		siteLabel: site.label,
		course: course.course,
		fullname: course.fullname,
		shortname: course.shortname,
		category: course.category,
		categoryName: course.category_name,
		url: course.url,
		damaged: course.damaged,
		lacking: course.lacking,
		listed: true,
		...subject(course, own),
	};
	row.available = course.available && !(row.own && isActive(row.own));
	return finish(row);
}

// A request whose course no server tells us of: it is away, or the role there is gone.
function loneRow(request) {
	return finish({
		key: rowKey(request.site, request.course),
		site: request.site,
		siteLabel: request.site_label,
		course: request.course,
		fullname: request.fullname || request.course,
		shortname: request.shortname,
		category: null,
		categoryName: null,
		url: null,
		listed: false,
		available: false,
		own: request,
		other: null,
	});
}

export function makeRows(sites, requests) {
	const own = newest(requests);
	const rows = [];
	for (const site of sites) {
		for (const course of site.courses) {
			const key = rowKey(site.site, course.course);
			rows.push(courseRow(site, course, own.get(key)));
			own.delete(key);
		}
	}
	for (const request of own.values())
		rows.push(loneRow(request));
	return rows;
}

export function categories(rows) {
	const names = new Set(rows.map((r) => r.categoryName).filter(Boolean));
	return [...names].sort((a, b) => a.localeCompare(b));
}

export function filterRows(rows, filter) {
	const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
	return rows.filter((r) => (!filter.site || r.site === filter.site) &&
		(!filter.category || r.categoryName === filter.category) &&
		(!filter.state || (filter.state === 'free' ? r.available : r.group === filter.state)) &&
		words.every((w) => r.names.includes(w)));
}
