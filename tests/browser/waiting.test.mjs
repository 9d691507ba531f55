// SPDX-License-Identifier: GPL-3.0-or-later
// What waits says so: a retry with its time and reason, a hold with what it waits for, in both languages.
import assert from 'node:assert/strict';
import {assertAccessible, launch, picture, row, stage, waitState} from './harness.mjs';

const {farm, on} = await stage();
const {site} = await farm.ask('site');

async function administer(page, name) {
	await page.goto(`/launch?token=${await farm.ask('token',
		{sub: 'root', name: 'Root', caps: ['manage', 'restoreuserdata']})}`);
	await page.waitForSelector('.nv-places');
	await page.goto(`/#/${name}`);
	await page.waitForSelector('.nv-tabs');
}

on('a retry shows when the next try is, and why, instead of a bar', async (open) => {
	await farm.ask('delays', {seconds: 600});
	await farm.ask('broken', {yes: true});
	const course = await farm.ask('course', {fullname: 'Optics', shortname: 'OPT'});
	const page = await open();
	await launch(page, farm);
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	const line = row(page, course);
	await line.getByText(/^Waits, next try (at \d|when)/).waitFor();
	assert.match(await line.locator('.nv-why p').first().textContent(),
		/because: A file could not be read or written/);
	assert.equal(await line.getByRole('progressbar').count(), 0);
	await line.getByText('Details', {exact: true}).click();
	await assertAccessible(page);
	await picture(page, 'retry-en');
	// The administrator's list says the same.
	const admin = await open();
	await administer(admin, 'requests');
	await admin.locator('tr[data-request]').first().getByText(/^Waits, next try/).waitFor();
	await assertAccessible(admin);
	await line.getByRole('button', {name: /^Cancel/}).click();
	await waitState(page, course, 'cancelled');
	assert.equal(await line.getByText(/^Waits, next try/).count(), 0);
});

on('a course server that is away is told to those who wait, and it goes on by itself', async (open) => {
	const courses = [await farm.ask('course', {fullname: 'Acoustics', shortname: 'ACO'}),
		await farm.ask('course', {fullname: 'Statics', shortname: 'STA'})];
	const page = await open({locale: 'fr'});
	await farm.ask('serve', {yes: false});
	await launch(page, farm, {lang: 'fr'});
	for (const course of courses)
		await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restaurer', exact: true}).click();
	await waitState(page, courses[1], 'scheduled');
	await farm.ask('away', {what: 'backups', yes: true});
	await farm.ask('serve', {yes: true});
	await row(page, courses[0]).getByText('la suite se fera d’elle-même').waitFor();
	assert.equal(await row(page, courses[0]).getByRole('progressbar').count(), 0);
	await picture(page, 'held-fr');
	// What was not taken waits for the same, and an administrator sees where.
	await page.reload();
	await row(page, courses[1]).getByText('la suite se fera d’elle-même').waitFor();
	const admin = await open();
	await administer(admin, 'sites');
	await admin.locator(`tr[data-site="${site}"]`).getByText('work continues by itself').waitFor();
	await assertAccessible(admin);
	await admin.goto('/#/workers');
	await admin.locator('tr[data-role="archiver"]').getByText('Takes no work').waitFor();
	await picture(admin, 'held-admin-en');
	await farm.ask('away', {what: 'backups', yes: false});
	for (const course of courses)
		await waitState(page, course, 'restored');
	await admin.locator('tr[data-role="archiver"]').getByText('Takes no work').waitFor({state: 'detached'});
});

on('a client that is away is told as well', async (open) => {
	const course = await farm.ask('course', {fullname: 'Waves', shortname: 'WAV'});
	const page = await open();
	await launch(page, farm);
	await farm.ask('away', {what: 'client', yes: true});
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await row(page, course).getByText('The platform cannot be used just now; work continues by itself when it can.').waitFor();
	await assertAccessible(page);
	const admin = await open();
	await administer(admin, 'workers');
	await admin.locator('tr[data-role="worker"]').getByText('Takes no work').waitFor();
	await farm.ask('away', {what: 'client', yes: false});
	await waitState(page, course, 'restored');
});

on('while a course server is asked, what is known stays in sight; when it is away, nobody is next', async (open) => {
	const names = ['Chords', 'Rhythm', 'Timbre'];
	const [first, second, free] = await Promise.all(names.map((fullname) => farm.ask('course', {fullname, shortname: fullname})));
	await farm.ask('serve', {yes: false});
	const page = await open();
	await launch(page, farm);
	for (const course of [first, second])
		await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(page, second, 'scheduled');
	await row(page, first).getByText('next in the queue').waitFor();
	// Its list has grown too old, and it does not answer: until that is known, nothing else waits for it.
	let release;
	const released = new Promise((resolve) => {
		release = resolve;
	});
	await page.route('**/api/v1/courses?site=*', (route) => released.then(() => route.continue()));
	const asked = () => page.waitForRequest((r) => r.url().includes('/courses?site='));
	await farm.ask('stop', {name: 'archiver'});
	await farm.ask('forget_courses');
	await Promise.all([asked(), row(page, second).getByRole('button', {name: /^Cancel/}).click()]);
	await waitState(page, second, 'cancelled');
	assert.ok(await row(page, free).locator('.nv-choose input').isVisible());
	await Promise.all([asked(), page.reload()]);
	await page.getByText('asking for your courses…').waitFor();
	await waitState(page, first, 'scheduled');
	assert.equal(await page.getByText('Asking the platforms').count(), 0);
	await picture(page, 'asking-en');
	release();
	await page.getByText('this platform does not answer').waitFor();
	await row(page, first).getByText('waits until the other platform is connected again').waitFor();
	assert.equal(await row(page, first).getByText('next in the queue').count(), 0);
	await row(page, first).getByRole('button', {name: /^Cancel/}).click();
	await waitState(page, first, 'cancelled');
});

on('that it will be restored is not said of a course that has failed', async (open) => {
	const course = await farm.ask('course', {fullname: 'Heat', shortname: 'HEA'});
	await farm.ask('serve', {yes: false});
	const page = await open();
	await launch(page, farm);
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await page.getByText('1 course will be restored').waitFor();
	await farm.ask('may_create', {yes: false});
	await farm.ask('serve', {yes: true});
	await waitState(page, course, 'failed');
	await page.getByText('1 course will be restored').waitFor({state: 'detached'});
});

on('who has too many pages open is told so, in their language, and the page goes on when there is room', async (open) => {
	for (const [lang, text] of [['en', 'You have too many of these pages open'], ['fr', 'Vous avez ouvert trop de ces pages']]) {
		const page = await open({locale: lang}, [/events.*429/]);
		// As the producer answers; tests/system/test_crowd.py sees it do so.
		await page.route('**/api/v1/events', (route) => route.fulfill({status: 429, contentType: 'application/problem+json',
			body: JSON.stringify({status: 429, reason: 'busy'})}));
		await launch(page, farm, {lang});
		await page.getByText(text).waitFor();
		await assertAccessible(page);
		await page.unroute('**/api/v1/events');
		await page.getByText(text).waitFor({state: 'detached'});
	}
	const admin = await open({}, [/events.*429/]);
	await admin.route('**/api/v1/events', (route) => route.fulfill({status: 429}));
	await administer(admin, 'requests');
	await admin.getByText('You have too many of these pages open').waitFor();
});
