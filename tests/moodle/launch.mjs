// SPDX-License-Identifier: GPL-3.0-or-later
// The browser's part of test_browser.py; NAVETTE_WAY says where and who, and the file that takes what
// came of it: {request, course}, the first as soon as it is there.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {assertAccessible, openPage, picture, row, startBrowser} from '../browser/harness.mjs';

const way = JSON.parse(process.env.NAVETTE_WAY);
const browser = await startBrowser();
const {page, close} = await openPage(browser, way);
page.setDefaultTimeout(60_000);

// Moodle's scripts make parts of its pages anew: not before they are done, as Behat waits.
function settled() {
	return page.waitForFunction(() => window.M?.util?.pending_js?.length === 0);
}

// The front page with its blocks, which the theme keeps in a drawer that may be shut.
async function frontPage() {
	await page.goto(`${way.moodle}/?redirect=0`);
	await settled();
	const block = page.locator('.block_navette');
	if (!await block.isVisible())
		await page.getByRole('button', {name: 'Open block drawer'}).click();
	await block.waitFor();
	return block;
}

try {
	await page.goto(`${way.moodle}/login/index.php`);
	await settled();
	await page.fill('#username', way.user);
	await page.fill('#password', way.password);
	await page.click('#loginbtn');
	await page.waitForURL((url) => !url.pathname.startsWith('/login/'));
	const block = await frontPage();
	await picture(page, 'moodle-block');

	await block.getByRole('button', {name: 'Bring my courses'}).click();
	await page.waitForURL(`${way.url}/`);
	await page.waitForSelector('.nv-count');
	// Nothing of the token stays in the address, and nobody was asked for a password.
	assert.equal(page.url(), `${way.url}/`);
	assert.equal(await page.locator('#password').count(), 0);

	// What Moodle's history tells of other course servers may be listed as well.
	const course = row(page, way.course).filter({has: page.locator(`#nv-${way.site}-${way.course}`)});
	await course.locator('.nv-choose input').check();
	const [answer] = await Promise.all([
		page.waitForResponse((r) => r.request().method() === 'POST' && r.url().endsWith('/requests')),
		page.getByRole('button', {name: 'Restore', exact: true}).click()]);
	const request = (await answer.json()).results[0].request.id;
	writeFileSync(way.told, JSON.stringify({request}));
	await course.and(page.locator('[data-state="restored"]')).waitFor();
	await assertAccessible(page);
	await picture(page, 'moodle-restored');

	const name = (await course.locator('th').first().textContent()).trim();
	await course.getByRole('link', {name: /^Open/}).click();
	await page.waitForURL(`${way.moodle}/course/view.php?id=*`);
	const id = Number(new URL(page.url()).searchParams.get('id'));
	await page.waitForSelector('#page-content');
	const title = (await page.locator('h1').first().textContent()).trim();
	assert.ok(name.includes(title), `${page.url()}: "${title}" is not of "${name}"`);
	await picture(page, 'moodle-course');

	// Back to the pages, and from there home again.
	await page.goto(`${way.url}/`);
	await page.getByRole('link', {name: 'Moodle'}).click();
	await page.waitForURL((url) => url.origin === way.moodle);
	await (await frontPage()).getByRole('link', {name: /./}).first().waitFor();
	await picture(page, 'moodle-block-after');
	writeFileSync(way.told, JSON.stringify({request, course: id}));
} catch (error) {
	await picture(page, 'failed-moodle').catch(() => {});
	throw error;
} finally {
	await close();
	await browser.close();
}
