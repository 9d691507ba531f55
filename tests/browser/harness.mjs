// SPDX-License-Identifier: GPL-3.0-or-later
// What the browser tests share: the farm (farm.py), the browser, and looking for what must not be.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {createInterface} from 'node:readline';
import test from 'node:test';
import {fileURLToPath} from 'node:url';

export const NASTY = '<img src=x onerror="document.title=1"><b>Histoire</b> &amp; \u202eمرحبا\u202c 🎓';

const here = dirname(fileURLToPath(import.meta.url));
const build = process.env.NAVETTE_BUILD;
const require = createRequire(join(build, 'tests', 'browser', 'x.js'));
const {chromium} = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const pictures = join(build, 'screenshots');

async function startFarm() {
	const child = spawn('/usr/bin/python3', ['-B', join(here, 'farm.py')],
		{stdio: ['pipe', 'pipe', 'inherit']});
	const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();
	const next = async () => {
		const {value, done} = await lines.next();
		if (done)
			throw new Error('the farm has ended');
		return JSON.parse(value);
	};
	const hello = await next();
	let queue = Promise.resolve();
	const ask = (name, args) => {
		const answer = queue.then(async () => {
			child.stdin.write(`${JSON.stringify({do: name, with: args})}\n`);
			const {result, error} = await next();
			if (error)
				throw new Error(`${name}: ${error}`);
			return result;
		});
		queue = answer.catch(() => {});
		return answer;
	};
	const end = async (failed) => {
		const ended = new Promise((resolve) => child.on('exit', resolve));
		child.stdin.end(`${JSON.stringify({do: 'end', failed})}\n`);
		const status = await ended;
		assert.equal(status, 0, 'the farm ended with an error, see above');
	};
	return {...hello, ask, end};
}

export function startBrowser() {
	// Chromium's own sandbox does not work for root, as whom containers run tests.
	return chromium.launch({executablePath: '/usr/bin/chromium',
		args: process.getuid() === 0 ? ['--no-sandbox'] : []});
}

// A page whose console, errors and CSP are watched; allowed: what one test brings about on purpose.
// farm: {url: of the pages, moodle: of a real site beside it, whose own pages are not ours to watch}.
export async function openPage(browser, farm, options = {}, allowed = []) {
	const context = await browser.newContext({baseURL: farm.url, locale: 'en-GB', ...options});
	const wrong = [];
	const ofMoodle = (url) => Boolean(farm.moodle) && url.startsWith(`${farm.moodle}/`);
	await context.addInitScript(() => document.addEventListener('securitypolicyviolation',
		(e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
	const page = await context.newPage();
	// Not signed in (yet, or any more): the answer to "who is it?" and to a stream that was ended is 401, which
	// Chromium puts on its console.
	const fine = [/api\/v1\/(session|events): .*401/, ...allowed];
	page.on('console', (m) => {
		const text = `${m.location().url}: ${m.text()}`;
		if (m.type() === 'error' && !ofMoodle(page.url()) && !fine.some((f) => f.test(text)))
			wrong.push(text);
	});
	page.on('pageerror', (e) => ofMoodle(page.url()) || wrong.push(String(e)));
	page.on('request', (r) => r.url().startsWith(farm.url) ||
		ofMoodle(r.url()) || ofMoodle(r.frame().url()) || /^(data|blob):/.test(r.url()) ||
		wrong.push(`a request to ${r.url()}`));
	page.setDefaultTimeout(Number(process.env.NAVETTE_PATIENCE || 30) * 1000);
	return {page, close: async () => {
		await context.close();
		assert.deepEqual(wrong, []);
	}};
}

// The farm and the browser of a file, until its end; on(name, act) is a test whose act(open) opens pages
// of its own and makes courses of its own.
export async function stage() {
	const farm = await startFarm();
	const browser = await startBrowser();
	let failed = false;
	test.after(async () => {
		await browser.close();
		await farm.end(failed);
	});
	const on = (name, act) => test(name, async () => {
		const opened = [];
		const open = async (options, allowed) => {
			const p = await openPage(browser, farm, options, allowed);
			opened.push(p);
			return p.page;
		};
		try {
			await farm.ask('all_up');
			await act(open);
			for (const p of opened)
				await p.close();
		} catch (error) {
			failed = true;
			for (const [i, p] of opened.entries())
				await picture(p.page, `failed-${name.replace(/\W+/g, '-')}-${i}`).catch(() => {});
			throw error;
		}
	});
	return {farm, browser, on};
}

export async function signIn(page, farm, user) {
	await page.goto('/');
	await page.fill('#username', user);
	await page.fill('#password', farm.password);
	await page.keyboard.press('Enter');
	await page.waitForSelector('.nv-count');
}

export async function launch(page, farm, claims = {}) {
	await page.goto(`/launch?token=${await farm.ask('token', claims)}`);
	await page.waitForSelector('.nv-count');
}

export function row(page, course) {
	return page.locator(`tr[data-course="${course}"]`);
}

export function waitState(page, course, state) {
	return page.waitForSelector(`tr[data-course="${course}"][data-state="${state}"]`);
}

export async function picture(page, name, fullPage = true) {
	mkdirSync(pictures, {recursive: true});
	await page.screenshot({path: join(pictures, `${name}.png`), fullPage});
}

// Nothing that axe-core finds; evaluated, so that the page's CSP stays as it is.
export async function assertAccessible(page) {
	await page.evaluate(axe);
	const {violations} = await page.evaluate(() => window.axe.run(document,
		{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}));
	assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) =>
		`${n.target} ${n.failureSummary}`).join(' | ')}`), []);
}
