// SPDX-License-Identifier: GPL-3.0-or-later
// The teacher's whole way: signing in, choosing, watching, mending, joining.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {assertAccessible, launch, NASTY, picture, row, signIn, stage, waitState} from './harness.mjs';

const LONG = 'Très long cours '.repeat(63).slice(0, 1000);

const {farm, on} = await stage();

on('a wrong password is told, the right one lets in, signing out lets out', async (open) => {
	await farm.ask('course', {fullname: 'Algebra', shortname: 'ALG'});
	const page = await open();
	await page.goto('/');
	await page.waitForSelector('#username');
	await assertAccessible(page);
	await picture(page, 'signin');
	await page.fill('#username', 'ada');
	await page.fill('#password', 'wrong');
	await page.keyboard.press('Enter');
	await page.getByText('The user name or the password is wrong.').waitFor();
	await signIn(page, farm, 'ada');
	await page.getByRole('heading', {name: 'Restore my courses'}).waitFor();
	assert.equal(await page.locator('.nv-who').textContent(), 'Ada L.');
	await page.reload();
	await page.waitForSelector('.nv-count');
	await page.click('#sign-out');
	await page.getByText('You have signed out.').waitFor();
	await page.reload();
	await page.waitForSelector('#username');
});

on('courses are chosen with their options, submitted at once and watched until they are there',
	async (open) => {
		const courses = [
			await farm.ask('course', {fullname: 'Botany', shortname: 'BOT', blobs: 30, size: 1_000_000}),
			await farm.ask('course', {fullname: 'Chemistry', shortname: 'CHE', blobs: 3})];
		const page = await open();
		await launch(page, farm);
		await page.evaluate(() => {
			window.seen = {};
			new MutationObserver(() => {
				for (const bar of document.querySelectorAll('tr[data-course] [role=progressbar]')) {
					const list = window.seen[bar.closest('tr').dataset.course] ??= [];
					const now = Number(bar.getAttribute('aria-valuenow'));
					if (list.at(-1) !== now)
						list.push(now);
				}
			}).observe(document.body, {subtree: true, childList: true, attributes: true});
		});
		for (const c of courses)
			await row(page, c).locator('.nv-choose input').check();
		// Only if users are included: not without them.
		const mode = row(page, courses[0]).getByLabel('Enrolment methods: Botany');
		assert.ok(await mode.locator('option[value="with-users"]').isDisabled());
		await page.locator('#nv-all-user_data').check();
		await row(page, courses[1]).locator('[data-label="Restore user data"] input:checked').waitFor();
		await row(page, courses[0]).getByLabel('Enrolment methods: Botany').selectOption('with-users');
		await row(page, courses[1]).getByLabel('Restore user data: Chemistry').uncheck();
		await page.waitForFunction(() => document.getElementById('nv-all-user_data').indeterminate);
		await page.getByText('2 courses chosen').waitFor();
		await assertAccessible(page);
		await picture(page, 'chosen-en');
		const [request] = await Promise.all([
			page.waitForRequest((r) => r.method() === 'POST' && r.url().endsWith('/requests')),
			page.getByRole('button', {name: 'Restore', exact: true}).click()]);
		assert.deepEqual(request.postDataJSON().requests.map((r) =>
			[r.course, r.user, r.user_data, r.enrolment, r.keep_category]), [
			[courses[0], 'ada', true, 'with-users', true], [courses[1], 'ada', false, undefined, true]]);
		await page.getByText('2 courses will be restored.').waitFor();
		for (const c of courses) {
			await waitState(page, c, 'restored');
			await row(page, c).locator('.nv-choose input:disabled').waitFor();
			assert.ok(await row(page, c).getByText('by yourself').isVisible());
			assert.match(await row(page, c).locator('td[data-label="Source"]').textContent(), /This page/);
			assert.match(await row(page, c).locator('td[data-label="Performed at"]').textContent(), /\d{4}/);
		}
		assert.match(await page.locator('#nv-said').textContent(), /: Restored$/);
		const seen = await page.evaluate(() => window.seen);
		for (const c of courses) {
			assert.ok(seen[c]?.length, 'no progress was shown');
			assert.deepEqual(seen[c], [...seen[c]].sort((a, b) => a - b));
		}
		await page.reload();
		await waitState(page, courses[0], 'restored');
		await assertAccessible(page);
		await picture(page, 'restored-en');
	});

on('what is scheduled can be changed until it begins', async (open) => {
	const course = await farm.ask('course', {fullname: 'Comedy', shortname: 'COM'});
	await farm.ask('serve', {yes: false});
	const page = await open();
	await launch(page, farm);
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(page, course, 'scheduled');
	await row(page, course).getByText(/in the queue$/).waitFor();
	const [answer] = await Promise.all([
		page.waitForResponse((r) => r.request().method() === 'PATCH'),
		row(page, course).getByLabel('Restore user data: Comedy').check()]);
	assert.equal(answer.status(), 200);
	await Promise.all([page.waitForResponse((r) => r.request().method() === 'PATCH'),
		row(page, course).getByLabel('Enrolment methods: Comedy').selectOption('with-users')]);
	// Without users there is no "only with users" any more.
	const [last] = await Promise.all([
		page.waitForResponse((r) => r.request().method() === 'PATCH'),
		row(page, course).getByLabel('Restore user data: Comedy').uncheck()]);
	const {rev, user_data, enrolment} = await last.json();
	assert.deepEqual([rev, user_data, enrolment], [4, false, 'always']);
	await assertAccessible(page);
	await picture(page, 'scheduled-en');
	await farm.ask('serve', {yes: true});
	await waitState(page, course, 'restored');
});

on('a mode that the site itself has without user data is neither refused nor changed', async (open) => {
	await farm.ask('serve', {yes: false});
	await farm.ask('enrolment', {mode: 'with-users'});
	for (const [name, caps] of [['Cookery', ['restoreuserdata']], ['Coopering', []]]) {
		const course = await farm.ask('course', {fullname: name, shortname: name});
		const page = await open();
		await launch(page, farm, {caps});
		await row(page, course).locator('.nv-choose input').check();
		await row(page, course).getByLabel(`Keep original category: ${name}`).uncheck();
		await row(page, course).getByLabel(`Keep original category: ${name}`).check();
		const [asked] = await Promise.all([
			page.waitForRequest((r) => r.method() === 'POST' && r.url().endsWith('/requests')),
			page.getByRole('button', {name: 'Restore', exact: true}).click()]);
		assert.equal(asked.postDataJSON().requests[0].enrolment, undefined);
		await waitState(page, course, 'scheduled');
		const [answer] = await Promise.all([
			page.waitForResponse((r) => r.request().method() === 'PATCH'),
			row(page, course).getByLabel(`Keep original category: ${name}`).uncheck()]);
		assert.equal(answer.status(), 200);
		assert.deepEqual(Object.keys(answer.request().postDataJSON()).sort(), ['keep_category', 'rev']);
		const {keep_category, user_data, enrolment} = await answer.json();
		assert.deepEqual([keep_category, user_data, enrolment], [false, false, 'with-users']);
	}
});

on('what can no longer be asked for is no longer chosen', async (open) => {
	const first = await farm.ask('course', {fullname: 'Cricket', shortname: 'CRI'});
	const both = await farm.ask('course', {fullname: 'Curling', shortname: 'CUR', teachers: ['ada', 'emmy']});
	await farm.ask('serve', {yes: false});
	const ada = await open();
	await launch(ada, farm);
	await row(ada, first).locator('.nv-choose input').check();
	await ada.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(ada, first, 'scheduled');
	await row(ada, both).locator('.nv-choose input').check();
	await ada.getByText('1 course chosen').waitFor();
	const emmy = await open();
	await launch(emmy, farm, {sub: 'emmy', name: 'Emmy N.'});
	await row(emmy, both).locator('.nv-choose input').check();
	await emmy.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(emmy, both, 'scheduled');
	// Something of her own changes: the page looks at the courses again.
	await row(ada, first).getByRole('button', {name: 'Cancel: Cricket'}).click();
	await row(ada, both).locator('.nv-choose input:disabled').waitFor();
	assert.ok(!await row(ada, both).locator('.nv-choose input').isChecked());
	assert.equal(await ada.locator('.nv-chosen').count(), 0);
});

on('an answer that was lost is not taken for a refusal', async (open) => {
	const course = await farm.ask('course', {fullname: 'Cinema', shortname: 'CIN'});
	await farm.ask('serve', {yes: false});
	const page = await open({}, [/ERR_FAILED/]);
	await launch(page, farm);
	const sent = [];
	await page.route('**/api/v1/requests', async (route) => {
		if (route.request().method() !== 'POST')
			return route.continue();
		sent.push(route.request().headers()['idempotency-key']);
		return sent.length === 1 ? route.abort() : route.continue();
	});
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await page.getByText('It is not known whether this has arrived').waitFor();
	assert.equal(await page.getByText('Nothing was sent').count(), 0);
	await assertAccessible(page);
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await page.getByText('1 course will be restored.').waitFor();
	await waitState(page, course, 'scheduled');
	assert.equal(sent.length, 2);
	assert.equal(sent[0], sent[1]);
});

on('what is on its way is withdrawn, and asked for again', async (open) => {
	const course = await farm.ask('course', {fullname: 'Dance', shortname: 'DAN'});
	await farm.ask('stop', {name: 'worker'});
	const page = await open();
	await launch(page, farm);
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(page, course, 'ready');
	await row(page, course).getByRole('progressbar').waitFor();
	await assertAccessible(page);
	await picture(page, 'progress-en');
	await row(page, course).getByRole('button', {name: 'Cancel: Dance'}).click();
	await waitState(page, course, 'cancelled');
	await row(page, course).locator('.nv-choose input:enabled').waitFor();
	await farm.ask('start', {name: 'worker'});
	await row(page, course).getByRole('button', {name: 'Try again: Dance'}).click();
	await waitState(page, course, 'restored');
});

on('a failure is told in plain words and mended by trying again', async (open) => {
	const course = await farm.ask('course', {fullname: 'Ethics', shortname: 'ETH'});
	await farm.ask('may_create', {yes: false});
	const page = await open();
	await launch(page, farm);
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(page, course, 'failed');
	const why = await row(page, course).locator('.nv-why p').first().textContent();
	assert.match(why, /^You may not create courses in the category/);
	await row(page, course).getByText('Details').click();
	await assertAccessible(page);
	await picture(page, 'failed-en');
	const [file] = await Promise.all([page.waitForEvent('download'),
		row(page, course).getByRole('button', {name: 'Download (.mbz): Ethics'}).click()]);
	assert.match(file.suggestedFilename(), /\.mbz$/);
	assert.deepEqual([...readFileSync(await file.path()).subarray(0, 2)], [0x1f, 0x8b]);
	await farm.ask('may_create', {yes: true});
	await row(page, course).getByRole('button', {name: 'Try again: Ethics'}).click();
	await waitState(page, course, 'restored');
});

on('what fails with user data is asked for without them by one click', async (open) => {
	const course = await farm.ask('course', {fullname: 'Heraldry', shortname: 'HER'});
	await farm.ask('may_create', {yes: false});
	const page = await open();
	await launch(page, farm, {caps: ['restoreuserdata']});
	await row(page, course).locator('.nv-choose input').check();
	await row(page, course).getByLabel('Restore user data: Heraldry').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(page, course, 'failed');
	await farm.ask('may_create', {yes: true});
	const [answer] = await Promise.all([
		page.waitForResponse((r) => r.request().method() === 'PATCH'),
		row(page, course).getByRole('button', {name: 'Try again without user data: Heraldry'}).click()]);
	assert.equal((await answer.json()).user_data, false);
	await waitState(page, course, 'restored');
});

on('what did not arrive stands in the row', async (open) => {
	const course = await farm.ask('course', {fullname: 'Forestry', shortname: 'FOR',
		inventory: [{kind: 'activity', type: 'wiki', count: 2}]});
	await farm.ask('submit', {course});
	const page = await open();
	await launch(page, farm);
	await waitState(page, course, 'restored');
	await row(page, course).getByText('Not everything has arrived.').waitFor();
	assert.equal(await row(page, course).locator('.nv-losses li').textContent(), 'Activities (wiki): 2 before, 0 now');
	await assertAccessible(page);
});

on('a colleague sees by whom, cannot choose it again, and joins the copy', async (open) => {
	const course = await farm.ask('course', {fullname: 'French', shortname: 'FRE', teachers: ['ada', 'emmy']});
	const emmy = await open();
	await launch(emmy, farm, {sub: 'emmy', name: 'Emmy N.', caps: []});
	// Without the right to choose, nothing is there to choose.
	assert.equal(await emmy.getByText('Restore user data').count(), 0);
	assert.equal(await emmy.getByText('Enrolment methods').count(), 0);
	await row(emmy, course).locator('.nv-choose input').check();
	// Ada is faster.
	const ada = await open();
	await launch(ada, farm);
	await row(ada, course).locator('.nv-choose input').check();
	await ada.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(ada, course, 'restored');
	await emmy.getByRole('button', {name: 'Restore', exact: true}).click();
	await emmy.getByText('1 course was refused').waitFor();
	await waitState(emmy, course, 'restored');
	await row(emmy, course).getByText('performed by Ada L.').waitFor();
	await row(emmy, course).locator('.nv-choose input:disabled').waitFor();
	await picture(emmy, 'colleague-en');
	await row(emmy, course).getByRole('button', {name: 'Enrol me: French'}).click();
	await row(emmy, course).getByText('You are enrolled in this course.').waitFor();
	await assertAccessible(emmy);
});

on('a course with a damaged backup is listed, named as damaged, and cannot be chosen', async (open) => {
	const course = await farm.ask('course', {fullname: 'Fencing', shortname: 'FEN'});
	await farm.ask('damage', {course});
	const page = await open();
	await launch(page, farm);
	await row(page, course).getByText('The backup of this course on its platform is damaged.').first().waitFor();
	assert.ok(await row(page, course).locator('.nv-choose input').isDisabled());
	await row(page, course).getByText('Details').click();
	await row(page, course).getByText('it is cut off').waitFor();
	await assertAccessible(page);
	await page.goto(`/launch?token=${await farm.ask('token', {lang: 'fr'})}`);
	await row(page, course).getByText('est endommagée.').first().waitFor();
});

on('what a course has and this platform does not is said before anybody asks for it', async (open) => {
	const course = await farm.ask('course', {fullname: 'Gardening', shortname: 'GAR'});
	const page = await open();
	// The farm's course servers know nothing of activities.
	await page.route('**/api/v1/courses*', async (route) => {
		const answer = await route.fetch();
		const json = await answer.json();
		for (const s of json.sites)
			for (const c of s.courses.filter((one) => one.course === course))
				c.lacking = [{type: 'chat', count: 2}, {type: 'survey', count: 1}];
		await route.fulfill({response: answer, json});
	});
	await launch(page, farm);
	await row(page, course).getByText('does not have: chat (2), survey (1)').waitFor();
	const choice = row(page, course).getByLabel('Leave out activities that this platform does not have: Gardening');
	assert.equal(await choice.count(), 0);
	await row(page, course).locator('.nv-choose input').check();
	assert.ok(await choice.isChecked());
	await row(page, course).getByLabel('Restore user data: Gardening').check();
	await row(page, course).getByText('refused if one of these is graded').waitFor();
	await assertAccessible(page);
	await picture(page, 'lacking-en');
	await choice.uncheck();
	const [request] = await Promise.all([
		page.waitForRequest((r) => r.method() === 'POST' && r.url().endsWith('/requests')),
		page.getByRole('button', {name: 'Restore', exact: true}).click()]);
	assert.deepEqual(request.postDataJSON().requests.map((r) => [r.course, r.leave_out]), [[course, false]]);
	await waitState(page, course, 'restored');
	assert.equal(await row(page, course).getByText('does not have: chat').count(), 0);
});

on('French from the session, English by choice; names are text whatever they hold', async (open) => {
	const course = await farm.ask('course', {fullname: NASTY, shortname: '<script>'});
	const long = await farm.ask('course', {fullname: LONG, shortname: 'LONG'});
	const page = await open();
	await launch(page, farm, {lang: 'fr_ca', name: '<i>Ada</i>'});
	await page.getByRole('heading', {name: 'Restaurer mes cours'}).waitFor();
	assert.equal(await page.getAttribute('html', 'lang'), 'fr');
	assert.equal(await page.title(), 'Navette\u00a0: restaurer mes cours');
	assert.equal(await page.locator('.nv-who').textContent(), '<i>Ada</i>');
	assert.equal(await row(page, course).locator('.nv-name').textContent(), NASTY);
	assert.equal(await row(page, long).locator('.nv-name').textContent(), LONG);
	assert.equal(await page.locator('table img, table b, table script').count(), 0);
	const back = page.getByRole('link', {name: 'Retour à Moodle'});
	assert.equal(await back.getAttribute('href'), 'https://moodle.example.org');
	await row(page, long).locator('.nv-choose input').check();
	await assertAccessible(page);
	await picture(page, 'chosen-fr');
	await page.getByRole('button', {name: 'EN: English'}).click();
	await page.getByRole('heading', {name: 'Restore my courses'}).waitFor();
	await page.reload();
	await page.getByRole('heading', {name: 'Restore my courses'}).waitFor();
});

on('it fits a phone, also in the dark', async (open) => {
	const page = await open({viewport: {width: 360, height: 740}, colorScheme: 'dark', locale: 'fr'});
	await launch(page, farm, {lang: 'fr'});
	await page.locator('.nv-choose input:enabled').nth(1).check();
	const wide = await page.evaluate(() => document.documentElement.scrollWidth);
	assert.ok(wide <= 360, `${wide} wide`);
	await assertAccessible(page);
	await picture(page, 'phone-fr-dark', false);
	await page.locator('.nv-choose input:enabled').nth(1).uncheck();
	await picture(page, 'phone-fr-dark-whole');
});

on('everything goes by keyboard', async (open) => {
	const course = await farm.ask('course', {fullname: 'Geometry', shortname: 'GEO'});
	const page = await open();
	const press = async (until) => {
		for (let i = 0; i < 200; i++) {
			await page.keyboard.press('Tab');
			if (await page.evaluate(until))
				return;
		}
		throw new Error(`the keyboard does not reach ${until}`);
	};
	await page.goto('/');
	await page.waitForSelector('#username');
	await press(() => document.activeElement.id === 'username');
	await page.keyboard.type('ada');
	await page.keyboard.press('Tab');
	await page.keyboard.type(farm.password);
	await page.keyboard.press('Enter');
	await page.waitForSelector('.nv-count');
	await press(() => document.activeElement.id === 'nv-search');
	await page.keyboard.type('geometry');
	await page.getByText(/^1 of/).waitFor();
	await press(() => document.activeElement.matches('tbody .nv-choose input'));
	await page.keyboard.press('Space');
	await press(() => document.activeElement.textContent === 'Restore');
	await page.keyboard.press('Enter');
	await waitState(page, course, 'restored');
});

on('a lost connection is said, and what happened meanwhile is caught up with', async (open) => {
	const course = await farm.ask('course', {fullname: 'History', shortname: 'HIS'});
	await farm.ask('stop', {name: 'worker'});
	const page = await open({}, [/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|503/]);
	await launch(page, farm);
	await row(page, course).locator('.nv-choose input').check();
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await waitState(page, course, 'ready');
	await farm.ask('stop', {name: 'producer'});
	await page.getByText('The connection is lost.').waitFor();
	await picture(page, 'lost-en');
	await farm.ask('start', {name: 'worker'});
	await farm.ask('second_site');
	await farm.ask('start', {name: 'producer'});
	await waitState(page, course, 'restored');
	await page.getByText('The connection is lost.').waitFor({state: 'detached'});
	// The course server that was added meanwhile does not answer: it is named, the others are there.
	await page.getByText('The year before: this platform does not answer').waitFor();
	await assertAccessible(page);
});

on('a session that has ended is told, by itself and when something is asked for', async (open) => {
	const away = [/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|503/];
	const page = await open({}, [...away, /api.v1.\w+.*401/]);
	await launch(page, farm);
	await page.locator('.nv-choose input:enabled').nth(1).check();
	await farm.ask('forget_sessions');
	await page.getByRole('button', {name: 'Restore', exact: true}).click();
	await page.getByText('Your session has ended.').waitFor();
	await page.getByRole('link', {name: 'Back to Moodle'}).waitFor();
	await assertAccessible(page);
	await launch(page, farm);
	await farm.ask('forget_sessions');
	await farm.ask('stop', {name: 'producer'});
	await farm.ask('start', {name: 'producer'});
	await page.getByText('Your session has ended.').waitFor();
});

on('whose rights have to be confirmed goes through Moodle by itself, and what was chosen is still chosen',
	async (open) => {
		const course = await farm.ask('course', {fullname: 'Renewals', shortname: 'REN'});
		farm.moodle = 'https://moodle.example.org';
		const page = await open({}, [/api.v1.\w+.*401/]);
		const asked = [];
		await page.route(`${farm.moodle}/**`, async (route) => {
			asked.push(route.request().url());
			await route.fulfill({status: 303, headers: {
				Location: `${farm.url}/launch?token=${await farm.ask('token', {block: 7})}`}});
		});
		await launch(page, farm, {block: 7});
		await row(page, course).locator('.nv-choose input').check();
		await row(page, course).getByLabel('Restore user data: Renewals').check();
		await farm.ask('rights_are_old');
		await page.getByRole('button', {name: 'Restore', exact: true}).click();
		await page.waitForURL((u) => u.pathname === '/');
		await page.getByText('1 course chosen').waitFor();
		assert.ok(await row(page, course).getByLabel('Restore user data: Renewals').isChecked());
		assert.deepEqual(asked, [`${farm.moodle}/blocks/navette/launch.php?instance=7`]);
		await page.getByRole('button', {name: 'Restore', exact: true}).click();
		await waitState(page, course, 'restored');
		delete farm.moodle;
	});

on('who is unknown to a platform is told so', async (open) => {
	const page = await open({}, []);
	await page.goto(`/launch?token=${await farm.ask('token', {sub: 'nobody', name: 'Nobody'})}`);
	await page.getByText('you have no account on this platform.').waitFor();
	await page.getByText('There are no courses of yours to restore.').waitFor();
	await assertAccessible(page);
});

on('200 courses are searched and filtered', async (open) => {
	await farm.ask('courses', {count: 200, teacher: 'emmy'});
	const page = await open();
	await launch(page, farm, {sub: 'emmy', name: 'Emmy N.'});
	await page.locator('tr[data-course]').nth(199).waitFor();
	await page.fill('#nv-search', 'module 19');
	await page.getByText(/^12 of 20/).waitFor();
	await page.fill('#nv-search', '');
	await page.selectOption('#nv-category', 'Sciences');
	await page.getByText(/^10\d of 20/).waitFor();
	await page.selectOption('#nv-category', '');
	await page.selectOption('#nv-state', 'done');
	await page.getByText(/^[1-9] of 20/).waitFor();
	await page.selectOption('#nv-state', 'free');
	await page.getByText(/^200 of/).waitFor();
	await page.getByLabel('Choose all that are shown').check();
	await page.getByText('200 courses chosen').waitFor();
	await page.emulateMedia({media: 'print'});
	await picture(page, 'print-en');
});

on('a link from Moodle that is no good is told in plain words', async (open) => {
	const page = await open({locale: 'fr'}, [/launch.*403/]);
	const token = await farm.ask('token', {});
	await page.goto(`/launch?token=${token}`);
	await page.waitForSelector('.nv-count');
	await page.goto(`/launch?token=${token}`);
	await page.getByText('Ce lien venant de Moodle a déjà servi').waitFor();
	await assertAccessible(page);
	await picture(page, 'launch-refused-fr');
});
