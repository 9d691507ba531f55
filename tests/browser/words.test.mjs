// SPDX-License-Identifier: GPL-3.0-or-later
// The words of the pages, and their rules that need no browser.
import assert from 'node:assert/strict';
import {readFileSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';

const source = process.env.NAVETTE_SOURCE;
const web = join(source, 'producer', 'web');
const read = (...path) => readFileSync(join(source, ...path), 'utf8');
const languages = Object.fromEntries(readdirSync(join(web, 'strings'))
	.map((name) => [name, JSON.parse(read('producer', 'web', 'strings', name))]));
const {Meter} = await import(join(web, 'src', 'progress.js'));
const {filterRows, makeRows} = await import(join(web, 'src', 'rows.js'));

const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort();

test('every language has the same words with the same gaps', () => {
	const [first, ...others] = Object.values(languages);
	assert.equal(others.length, 1);
	for (const other of others) {
		assert.deepEqual(Object.keys(other).sort(), Object.keys(first).sort());
		for (const key of Object.keys(first)) {
			assert.ok(other[key].trim() && first[key].trim(), key);
			assert.deepEqual(holes(other[key]), holes(first[key]), key);
		}
	}
});

test('every reason has its sentences in both languages, and one for its wait where it passes by itself', () => {
	const {advice, reasons} = JSON.parse(read('base', 'reasons.json'));
	assert.ok(reasons.length > 30);
	assert.equal(new Set(reasons.map((r) => r.word)).size, reasons.length);
	for (const {word, text, passes, en, fr, ...unknown} of reasons) {
		assert.match(text, /^\S.*[^.]$/, word);
		assert.ok([undefined, 'yes', 'outage'].includes(passes), word);
		assert.deepEqual(unknown, {}, word);
		assert.deepEqual(Object.keys(en), Object.keys(fr), word);
		assert.ok(!passes || en.held, word);
		assert.ok(en.other || !/^You /.test(en.why), `${word}: nobody but the requester is "you"`);
		for (const lang of ['en', 'fr'])
			for (const [key, sentence] of Object.entries({en, fr}[lang]))
				assert.match(advice[sentence]?.[lang] ?? sentence, /^\p{Lu}.+\.$/u, `${word}.${lang}.${key}`);
	}
});

test('every word that the pages name is there', () => {
	for (const folder of [['src'], ['src', 'admin']])
		for (const name of readdirSync(join(web, ...folder)).filter((n) => /\.jsx?$/.test(n)))
			for (const [, word, key] of read('producer', 'web', ...folder, name).matchAll(/\b(tn?)\('([\w.-]+)'/g))
				assert.ok((word === 'tn' ? `${key}.one` : key) in languages['en.json'], `${name}: ${key}`);
});

test('no lock file names where packages come from', () => {
	for (const folder of [['producer', 'web'], ['tests', 'browser'], ['tests', 'openapi']])
		assert.ok(!/"resolved"|https?:\/\/registry|npmjs/.test(read(...folder, 'package-lock.json')));
});

test('a spreadsheet takes no cell of ours for a formula', async () => {
	const {csvText} = await import(join(web, 'src', 'admin', 'csv.js'));
	const evil = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\uff1d1'];
	for (const text of evil)
		assert.equal(csvText(['a'], [{a: text}]), `a\r\n"'${text}"\r\n`);
	assert.equal(csvText(['a', 'b'], [{a: 'x "y", z', b: null}, {a: 'plain', b: 0}]),
		'a,b\r\n"x ""y"", z",\r\nplain,0\r\n');
});

test('an exported request has the names and the address that only its restored course has', async () => {
	const {csvText, REQUEST_COLUMNS, requestCells} = await import(join(web, 'src', 'admin', 'csv.js'));
	const cells = (request) => {
		const [head, line] = csvText(REQUEST_COLUMNS, [requestCells(request)]).trim().split('\r\n').map((l) => l.split(','));
		return Object.fromEntries(head.map((name, i) => [name, line[i] || '']));
	};
	const restored = {shortname: 'HIS', fullname: 'History', url: 'https://new.example.org/course/view.php?id=7'};
	const {shortname, fullname, url, state} = cells({state: 'restored', shortname: null, fullname: null, restored});
	assert.deepEqual({shortname, fullname, url}, restored);
	assert.equal(state, 'restored');
	const own = cells({shortname: 'ALG', fullname: 'Algebra', restored});
	assert.deepEqual([own.shortname, own.fullname], ['ALG', 'Algebra']);
	assert.deepEqual([cells({restored: null}).url, cells({restored: null}).fullname], ['', '']);
});

test('progress never goes back within a revision, and begins anew with the next', () => {
	const meter = new Meter();
	const seen = [];
	const take = (state, step, done, total, rev = 1) => {
		meter.take({rev, state, step, done, total}, seen.length * 1000);
		seen.push(meter.fraction);
	};
	take('scheduled', null, 0, 0);
	take('exporting', 'export', 500, 1000);
	take('exporting', 'export', 300, 1000);
	take('exporting', 'upload', 10, 0);
	take('ready', 'upload', 10, 0);
	take('importing', 'fetch', 5000, 2000);
	take('importing', 'import', 0, 0);
	take('exporting', 'export', 1, 1000);
	assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
	assert.ok(meter.left > 0);
	take('restored', null, 0, 0);
	assert.equal(meter.fraction, 1);
	take('scheduled', null, 0, 0, 2);
	assert.equal(meter.fraction, 0);
	assert.equal(meter.left, null);
});

test('a row speaks of the right request', () => {
	const holder = {id: 'h', state: 'restored', mine: false, deleted: false};
	const course = (more) => ({course: '1', fullname: 'A', shortname: 'a', available: true, holder: null, ...more});
	const own = (state, more) => ({site: 's', course: '1', state, restored: null, ...more});
	const word = (c, requests) => makeRows([{site: 's', label: 'S', courses: [c]}], requests)[0].word;
	assert.equal(word(course(), []), 'none');
	assert.equal(word(course(), [own('failed')]), 'failed');
	assert.equal(word(course({holder}), [own('failed')]), 'restored');
	assert.equal(word(course({holder: {...holder, deleted: true}}), []), 'deleted');
	assert.equal(word(course({holder}), [own('importing')]), 'importing');
	assert.equal(word(course(), [own('restored', {restored: {deleted: true}})]), 'deleted');
	assert.equal(word(course(), [own('scheduled'), own('failed')]), 'scheduled');
	const [lone] = makeRows([], [own('failed', {fullname: 'B'})]);
	assert.ok(!lone.listed && !lone.available && lone.fullname === 'B');
	const rows = makeRows([{site: 's', label: 'S', courses: [course(), course({course: '2', fullname: 'Bee',
		available: false})]}], []);
	const names = (filter) => filterRows(rows, {text: '', site: '', category: '', state: '', ...filter})
		.map((r) => r.course);
	assert.deepEqual(names({}), ['1', '2']);
	assert.deepEqual(names({text: 'BEE'}), ['2']);
	assert.deepEqual(names({state: 'free'}), ['1']);
	assert.deepEqual(names({site: 'other'}), []);
});
