// SPDX-License-Identifier: GPL-3.0-or-later
// Strings in two languages; strings/*.json have the same keys (a test looks).
import {advice, reasons} from '../../../base/reasons.json';
import en from '../strings/en.json';
import fr from '../strings/fr.json';

const languages = {en, fr};
const CHOICE = 'navette.lang';
let current = 'en';

function known(tag) {
	const short = String(tag || '').toLowerCase().split(/[-_]/)[0];
	return short in languages ? short : null;
}

function chosen() {
	try {
		return localStorage.getItem(CHOICE);
	} catch {
		return null; // storage is switched off
	}
}

// What was chosen here goes before what the account says, and that before the browser.
export function pickLanguage(account) {
	current = known(chosen()) || known(account) || navigator.languages.map(known).find(Boolean) || 'en';
	document.documentElement.lang = current;
	document.title = t('title');
	return current;
}

export function chooseLanguage(lang) {
	try {
		localStorage.setItem(CHOICE, lang);
	} catch {
		// it holds until the page is left, at least
	}
	current = lang;
	document.documentElement.lang = lang;
	document.title = t('title');
}

export function forgetLanguage() {
	try {
		localStorage.removeItem(CHOICE);
	} catch {
		// nothing was kept
	}
}

export function language() {
	return current;
}

export function t(key, values = {}) {
	const text = languages[current][key] ?? key;
	return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function has(key) {
	return key in languages[current];
}

// key.one or key.other, by n.
export function tn(key, n, values = {}) {
	const form = new Intl.PluralRules(current).select(n) === 'one' ? 'one' : 'other';
	return t(`${key}.${form}`, {n: new Intl.NumberFormat(current).format(n), ...values});
}

// The reader's own kind of the language: en-GB writes dates otherwise than en-US.
function locale() {
	return navigator.languages.find((l) => known(l) === current) || current;
}

export function when(iso) {
	return iso ? new Intl.DateTimeFormat(locale(), {dateStyle: 'medium', timeStyle: 'short'})
		.format(new Date(iso)) : '';
}

// To the second, for logs.
export function exactly(iso) {
	return iso ? new Intl.DateTimeFormat(locale(), {dateStyle: 'medium', timeStyle: 'medium'})
		.format(new Date(iso)) : '';
}

// The same, of today the time only.
export function clock(iso) {
	const at = new Date(iso);
	return at.toDateString() === new Date().toDateString()
		? new Intl.DateTimeFormat(locale(), {timeStyle: 'short'}).format(at) : when(iso);
}

export function number(n) {
	return new Intl.NumberFormat(current, {maximumFractionDigits: 1}).format(n);
}

export function bytes(n) {
	const units = ['kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
	let value = n / 1000;
	let unit = 0;
	while (value >= 1000 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	return new Intl.NumberFormat(current, {style: 'unit', unit: units[unit],
		maximumFractionDigits: value < 10 ? 1 : 0}).format(value);
}

// --- reasons: the sentences that mails have, too; a few only the pages know (api.js) ---

const sentences = (reason) => reasons.find((r) => r.word === reason)?.[current];

// Why, in plain words; what has none of ours is said as the server says it.
// other: where the reader is not the person whom it concerns ("you do not teach this course").
export function whyText(reason, detail, other) {
	const known = sentences(reason);
	if (known)
		return (other && known.other) || known.why;
	return has(`reason.${reason}`) ? t(`reason.${reason}`) : detail || sentences('internal').why;
}

// The same, and what the reader can do about it.
export function reasonText(reason, detail, other) {
	const todo = !other && sentences(reason)?.do;
	return whyText(reason, detail, other) + (todo ? ` ${advice[todo]?.[current] ?? todo}` : '');
}

export function problemText(problem, other) {
	return reasonText(problem.reason, problem.detail, other);
}

// What passes by itself.
export function heldText(reason) {
	return sentences(reason)?.held ?? t('held.other');
}
