// SPDX-License-Identifier: GPL-3.0-or-later
// The administrator's whole way: seeing everything, restoring for others, mending.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {assertAccessible, launch, NASTY, picture, row, stage, waitState} from './harness.mjs';

const {farm, on} = await stage();
const {site, client} = await farm.ask('site');
// Each page, and what is there when it has been read.
const PAGES = {requests: 'tr[data-state="restored"]', give: '#nv-csv', sites: 'tr[data-site]', workers: 'tr[data-role]',
	queues: 'tr[data-queue]', dead: 'tr[data-letter]', times: 'tr[data-step]'};

async function administer(page, name, claims = {}) {
	await page.goto(`/launch?token=${await farm.ask('token',
		{sub: 'root', name: 'Root', caps: ['manage', 'restoreuserdata'], ...claims})}`);
	await page.waitForSelector('.nv-places');
	await page.goto(`/#/${name}`);
	await page.waitForSelector('.nv-tabs');
}

function item(page, id) {
	return page.locator(`tr[data-request="${id}"]`);
}

function waitItem(page, id, state) {
	return page.waitForSelector(`tr[data-request="${id}"][data-state="${state}"]`);
}

function names(page) {
	return page.locator('tr[data-request] .nv-name').allTextContents();
}

on('a teacher sees no administration, whatever the address says', async (open) => {
	await farm.ask('course', {fullname: 'Anatomy', shortname: 'ANA'});
	const page = await open({}, [/api\/v1\/sites.*403/]);
	await launch(page, farm);
	assert.equal(await page.locator('.nv-places').count(), 0);
	await page.goto('/#/requests');
	await page.getByRole('heading', {name: 'Restore my courses'}).waitFor();
	assert.equal(await page.evaluate(() => fetch('/api/v1/sites').then((a) => a.status)), 403);
});

on('a request is found, changed, run outside the window and followed live to its log', async (open) => {
	await farm.ask('serve', {yes: false});
	const id = await farm.ask('submit', {course: await farm.ask('course', {fullname: NASTY, shortname: 'NAS'})});
	const other = await farm.ask('submit', {course: await farm.ask('course', {fullname: '=1+1', shortname: 'EQ'})});
	const page = await open();
	await administer(page, 'requests');
	await item(page, id).waitFor();
	assert.equal(await item(page, id).locator('.nv-name').textContent(), NASTY);
	// News draw the list anew while somebody types: the words stay.
	await page.fill('#nv-text', 'nas');
	await Promise.all([page.waitForResponse((r) => r.url().includes('/requests?')),
		farm.ask('submit', {course: await farm.ask('course', {fullname: 'Nasal', shortname: 'NSL'})})]);
	assert.equal(await page.inputValue('#nv-text'), 'nas');
	await page.keyboard.press('Enter');
	await item(page, other).waitFor({state: 'detached'});
	await item(page, id).getByRole('button', {name: /^Details/}).click();
	const panel = page.locator(`#nv-panel-${id}`);
	await panel.getByLabel('Restore user data').check();
	const [saved] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'PATCH'),
		panel.getByRole('button', {name: /^Save/}).click()]);
	assert.equal(saved.status(), 200);
	const {rev, user_data} = await saved.json();
	assert.deepEqual([rev, user_data], [2, true]);
	await assertAccessible(page);
	await panel.getByRole('button', {name: /^Run now/}).click();
	await waitItem(page, id, 'restored');
	// Two lines of the same minute can be told apart.
	assert.match(await panel.locator('.nv-log li .nv-by').first().textContent(), /\d:\d\d:\d\d/);
	await picture(page, 'admin-request-en');
	// The other one is withdrawn, and leaves as text in a spreadsheet's file.
	await page.fill('#nv-text', other);
	await page.keyboard.press('Enter');
	await item(page, other).getByRole('button', {name: /^Details/}).click();
	await page.getByRole('button', {name: /^Cancel/}).click();
	await waitItem(page, other, 'cancelled');
	const [download] = await Promise.all([page.waitForEvent('download'),
		page.getByRole('button', {name: 'Save as CSV'}).click()]);
	const csv = readFileSync(await download.path(), 'utf8');
	assert.match(csv, new RegExp(`^\\ufeffid,site,course.*\\r\\n${other},${site},\\d+,EQ,"'=1\\+1",ada`));
});

on('a failure says why in plain words, and goes well when asked for again', async (open) => {
	await farm.ask('may_create', {yes: false});
	const id = await farm.ask('submit', {course: await farm.ask('course', {fullname: 'Baroque', shortname: 'BAR'})});
	const page = await open();
	await administer(page, 'requests?state=failed');
	await waitItem(page, id, 'failed');
	await item(page, id).getByText('The user may not create courses in the category').waitFor();
	await item(page, id).getByRole('button', {name: /^Details/}).click();
	const [file] = await Promise.all([page.waitForEvent('download'),
		page.getByRole('button', {name: 'Download (.mbz): Baroque'}).click()]);
	assert.match(file.suggestedFilename(), /\.mbz$/);
	await farm.ask('may_create', {yes: true});
	await page.getByRole('button', {name: 'Try again: Baroque'}).click();
	await item(page, id).waitFor({state: 'detached'}); // it is not failed any more
	await page.selectOption('#nv-state', '');
	await waitItem(page, id, 'restored');
});

on('from an own course there is a way to its log, for administrators only', async (open) => {
	const course = await farm.ask('course', {fullname: 'Carving', shortname: 'CAR'});
	const id = await farm.ask('submit', {course});
	const page = await open();
	await launch(page, farm);
	await waitState(page, course, 'restored');
	assert.equal(await row(page, course).getByRole('link', {name: /^Log/}).count(), 0);
	await launch(page, farm, {caps: ['manage']});
	await row(page, course).getByRole('link', {name: 'Log: Carving'}).click();
	await waitItem(page, id, 'restored');
	assert.equal(await page.locator('tr[data-request]').count(), 1);
});

on('a course is restored for a user, and without one', async (open) => {
	const page = await open();
	const courses = [await farm.ask('course', {fullname: 'Cubism', shortname: 'CUB'}),
		await farm.ask('course', {fullname: 'Dada', shortname: 'DAD'})];
	await administer(page, 'give');
	await page.fill('#nv-give-user', 'ada');
	await page.getByRole('button', {name: 'Show this person’s'}).click();
	await page.waitForSelector(`#nv-give-courses option[value="${courses[0]}"]`, {state: 'attached'});
	for (const [i, user] of ['ada', ''].entries()) {
		await page.fill('#nv-give-user', user);
		await page.fill('#nv-give-course', courses[i]);
		const [answer] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST' &&
			r.url().endsWith('/requests')), page.getByRole('button', {name: 'Restore', exact: true}).first().click()]);
		const {results: [{request}]} = await answer.json();
		assert.deepEqual([request.course, request.user, request.by, request.source],
			[courses[i], user || null, 'root', 'admin']);
		const link = page.getByRole('status').getByRole('link');
		await link.filter({hasText: request.id.slice(-8)}).waitFor();
		if (!user) {
			await link.click();
			await waitItem(page, request.id, 'restored');
			await item(page, request.id).getByText('Nobody').waitFor();
			// Asked for by its number: the archive has brought the names.
			const [download] = await Promise.all([page.waitForEvent('download'),
				page.getByRole('button', {name: 'Save as CSV'}).click()]);
			const [head, line] = readFileSync(await download.path(), 'utf8').split('\r\n').map((l) => l.split(','));
			const cell = (name) => line[head.indexOf(name)];
			assert.deepEqual([cell('course'), cell('shortname'), cell('fullname')], [courses[i], 'DAD', 'Dada']);
		}
	}
	await page.goto('/#/give');
	await page.fill('#nv-give-course', 'no such course');
	await page.getByRole('button', {name: 'Restore', exact: true}).first().click();
	await page.getByRole('alert').or(page.getByRole('status').filter({hasText: 'The course will'})).waitFor();
	await assertAccessible(page);
});

on('a list is checked before it is submitted, and each row has its result', async (open) => {
	const few = 30;
	await farm.ask('serve', {yes: false});
	await farm.ask('courses', {count: few, teacher: 'emmy'});
	const page = await open();
	await administer(page, 'give');
	const {sites} = await page.evaluate(() => fetch('/api/v1/courses?user=emmy').then((a) => a.json()));
	const free = sites[0].courses.filter((c) => c.available);
	assert.equal(free.length, few);
	const lines = ['site,course,user', ...free.map((c) => `${site},${c.course},emmy`), `nowhere,1,emmy`,
		`${site},${free[0].course},emmy`];
	await page.setInputFiles('#nv-csv-file', {name: 'list.csv', mimeType: 'text/csv',
		buffer: Buffer.from(lines.join('\r\n'))});
	await page.getByRole('button', {name: 'Check'}).click();
	await page.getByText('30 rows are fine. 2 rows are refused').waitFor();
	assert.deepEqual(await page.locator('tr[data-good="false"]').evaluateAll((rows) =>
		rows.map((r) => r.dataset.line)), ['32', '33']);
	await assertAccessible(page);
	await picture(page, 'admin-list-en');
	await page.getByRole('button', {name: 'Restore 30 courses'}).click();
	await page.getByText('30 courses will be restored.').waitFor();
	// A changed list must be checked anew.
	await page.fill('#nv-csv', 'site,course\n');
	assert.ok(await page.getByRole('button', {name: 'Restore', exact: true}).last().isDisabled());
	// They fill pages, which are turned and sorted.
	await page.goto('/#/requests');
	await page.fill('#nv-person', 'emmy');
	await page.keyboard.press('Enter');
	await page.getByText('30 requests').waitFor();
	await page.selectOption('#nv-limit', '25');
	await page.getByText('1 to 25 of 30').waitFor();
	await page.getByRole('button', {name: 'Next'}).click();
	await page.getByText('26 to 30 of 30').waitFor();
	await page.waitForFunction(() => document.querySelectorAll('tr[data-request]').length === 5);
	for (const [order, aria] of [['-course', 'descending'], ['course', 'ascending']]) {
		await Promise.all([page.waitForResponse((r) => r.url().includes(`sort=${order}&`)),
			page.getByRole('button', {name: /^Course/}).click()]);
		await page.waitForSelector(`th[aria-sort="${aria}"]`);
		await page.waitForSelector('[role=status][aria-busy=false]');
		const seen = await names(page);
		assert.equal(seen.length, 25);
		assert.deepEqual(seen, [...seen].sort((a, b) => a.localeCompare(b) * (order === 'course' ? 1 : -1)));
	}
	await picture(page, 'admin-requests-en', false);
});

on('who works, what waits and where time goes is there to see', async (open) => {
	const id = await farm.ask('submit', {course: await farm.ask('course', {fullname: 'Etching', shortname: 'ETC'})});
	const page = await open();
	await administer(page, 'requests');
	await waitItem(page, id, 'restored');
	await page.goto('/#/sites');
	await page.locator(`tr[data-site="${site}"]`).getByText('Connected').waitFor();
	await page.locator(`tr[data-site="${site}"]`).getByText(/Restored: \d+/).waitFor();
	await assertAccessible(page);
	await page.goto('/#/workers');
	for (const role of ['worker', 'archiver'])
		await page.locator(`tr[data-role="${role}"]`).first().getByText('Yes', {exact: true}).waitFor();
	await assertAccessible(page);
	await page.goto('/#/queues');
	for (const queue of [`archive.${site}`, `restore.${client}`, `events.${client}`, `dead.${client}`])
		await page.waitForSelector(`tr[data-queue="${queue}"]`);
	await assertAccessible(page);
	await page.goto('/#/times');
	await page.waitForSelector('tr[data-step="import"]');
	assert.match(await page.locator('tr[data-step="import"] td').first().textContent(), /\d/);
	assert.ok(await page.locator('.nv-plot a').count() > 0);
	await assertAccessible(page);
	await page.locator('.nv-plot a').first().press('Enter');
	await page.waitForSelector('tr[data-request]');
});

on('a dead letter is put back, and thrown away only when that is meant', async (open) => {
	const page = await open();
	await administer(page, 'dead');
	const letters = page.locator('tr[data-letter]').filter({hasText: 'The request, or the answer to it, was not understood.'});
	await page.locator('main [role=status]').first().getByText(/[.]/).waitFor();
	const letter = letters.nth(await letters.count()); // the next one: the newest comes last
	await farm.ask('dead_letter');
	await page.reload();
	// The worker may not have refused it yet; the page looks again by itself.
	await letter.waitFor();
	const first = await letter.getAttribute('data-letter');
	await assertAccessible(page);
	await picture(page, 'admin-dead-en');
	await letter.getByRole('button', {name: /^Put back/}).click();
	await page.getByText('It is back in its queue.').waitFor();
	await page.locator(`tr[data-letter="${first}"]`).waitFor({state: 'detached'});
	await letter.waitFor(); // refused again
	const discard = letter.getByRole('button', {name: /^Discard/});
	await discard.click();
	await page.locator('h1').click(); // not meant after all
	await discard.and(page.getByText('Discard', {exact: true})).waitFor();
	await discard.click();
	await letter.getByRole('button', {name: /^Discard for good/}).click();
	await page.getByText('It was discarded.').waitFor();
	await letter.waitFor({state: 'detached'});
});

on('a dead letter of a course server is seen and thrown away; one that is away says so', async (open) => {
	const page = await open({}, [/api\/v1\/dead\?site=.*504/]);
	const request = await farm.ask('site_letter');
	await administer(page, 'dead');
	const there = page.locator(`section[data-site="${site}"]`);
	const letter = there.locator('tr[data-letter]').filter({has: page.locator(`a[title="${request}"]`)});
	await letter.getByText('The course does not exist any more on the platform it comes from.').waitFor();
	await assertAccessible(page);
	await letter.getByRole('button', {name: /^Discard: \d+, /}).click();
	await letter.getByRole('button', {name: /^Discard for good/}).click();
	await there.getByText('It was discarded.').waitFor();
	await letter.waitFor({state: 'detached'});
	await farm.ask('stop', {name: 'archiver'});
	await page.reload();
	await there.getByText('This course server does not answer.').waitFor();
	await assertAccessible(page);
	await farm.ask('start', {name: 'archiver'});
	await there.getByRole('button', {name: 'Try again'}).click();
	await there.locator('[role=status]').getByText(/There are none|\d dead letter/).waitFor();
});

on('every page in French and English, on a phone, in the dark, by keyboard', async (open) => {
	await farm.ask('dead_letter');
	await farm.ask('submit', {course: await farm.ask('course', {fullname: 'Fresco', shortname: 'FRE'})});
	for (const [lang, options] of [['en', {}], ['fr', {}],
		['fr-phone', {viewport: {width: 360, height: 740}, colorScheme: 'dark'}]]) {
		const page = await open({locale: lang.slice(0, 2), ...options});
		await administer(page, 'times', {lang: lang.slice(0, 2)});
		for (const [name, there] of Object.entries(PAGES)) {
			await page.locator(`.nv-tabs a[href="#/${name}"]`).focus();
			await page.keyboard.press('Enter');
			await page.waitForSelector(`.nv-tabs a[href="#/${name}"][aria-current="page"]`);
			await page.waitForFunction(() => document.activeElement.id === 'main');
			await page.locator(there).first().waitFor();
			await assertAccessible(page);
			assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, name);
			await picture(page, `admin-${name}-${lang}`);
		}
	}
});
