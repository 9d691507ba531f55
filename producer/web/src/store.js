// SPDX-License-Identifier: GPL-3.0-or-later
// What the teacher's page knows and does; the components only draw it.
import {allRequests, call, download, Problem, randomKey} from './api.js';
import {problemText, t, tn} from './i18n.js';
import {Live} from './live.js';
import {isActive, Meter} from './progress.js';
import {chosenBefore, whenRenewing} from './renewal.js';
import {makeRows, rowKey} from './rows.js';

const LOOK_AGAIN_MS = 60000; // colleagues' requests bring no event to us, but move ours on
const SOON_MS = 400;

export class Store {
	constructor(session, onChange) {
		this.session = session;
		this.options = session.options;
		this.onChange = onChange;
		this.user = null;
		this.sites = [];
		this.requests = new Map();
		this.meters = new Map();
		this.chosen = new Map(); // row's key → options
		this.problems = new Map(); // row's key → Problem of the last attempt
		this.busy = new Set(); // row's keys something is being done with
		this.joining = new Set(); // ids of requests whose course is being joined
		this.loading = true;
		this.problem = null;
		this.trouble = null; // of the live events, see live.js
		this.notice = null; // {kind, text}
		this.said = ''; // for screen readers
		this.sending = false;
		this.submission = null; // {body, key} not known to have arrived
		this.live = new Live({
			request: (e) => this.onRequest(e),
			join: (e) => this.onJoin(e),
			reload: () => this.load(),
			trouble: (what) => this.set({trouble: what}),
		});
		this.timer = setInterval(() => document.hidden || this.lookAgain(), LOOK_AGAIN_MS);
		whenRenewing(() => ({user: session.user.username, chosen: [...this.chosen]}));
		this.load();
	}

	close() {
		this.live.close();
		clearInterval(this.timer);
		clearTimeout(this.soon);
		this.onChange = () => {};
	}

	set(values) {
		Object.assign(this, values);
		this.changed();
	}

	changed() {
		this.drawn ??= requestAnimationFrame(() => {
			this.drawn = null;
			this.show();
		});
		if (document.hidden) // no frames there
			this.show();
	}

	show() {
		this.prune();
		this.onChange();
	}

	// What can no longer be asked for is no longer chosen: its tick could not be taken away.
	prune() {
		if (!this.chosen.size)
			return;
		const free = new Set(this.rows.filter((r) => r.available).map((r) => r.key));
		const asking = this.sites.filter((s) => s.status === 'not-asked').map((s) => rowKey(s.site, ''));
		for (const key of [...this.chosen.keys()])
			if (!free.has(key) && !asking.some((site) => key.startsWith(site)))
				this.chosen.delete(key);
	}

	// --- reading ---

	async load() {
		try {
			const unknown = await this.loadKept();
			const all = await allRequests(this.user);
			this.requests = new Map(all.map((r) => [r.id, r]));
			all.forEach((r) => this.measure(r));
			chosenBefore(this.session.user.username).forEach(([key, o]) => this.chosen.set(key, o));
			this.set({loading: false, problem: null});
			await this.loadSites(unknown);
		} catch (problem) {
			this.fail(problem);
		}
	}

	// What is known without asking any course server; the names of those that must be asked.
	async loadKept() {
		const list = await call('GET', '/courses?wait=false');
		const before = new Map(this.sites.map((s) => [s.site, s]));
		// What was shown stays until there is an answer.
		const sites = list.sites.map((s) => s.status === 'not-asked' && before.get(s.site) || s);
		this.set({user: list.user, sites});
		return list.sites.filter((s) => s.status === 'not-asked').map((s) => s.site);
	}

	// Each by itself: one that is slow or away keeps nobody waiting for the others.
	loadSites(names) {
		return Promise.all(names.map(async (name) => {
			const {sites: [site]} = await call('GET', `/courses?site=${encodeURIComponent(name)}`);
			this.set({sites: this.sites.map((s) => s.site === name ? site : s)});
		}));
	}

	loadCourses() {
		return this.loadKept().then((unknown) => this.loadSites(unknown)).catch(() => {});
	}

	async lookAgain() {
		await this.loadCourses();
		if (![...this.requests.values()].some((r) => r.place))
			return;
		const all = await allRequests(this.user).catch(() => []);
		all.filter((r) => r.place && this.requests.get(r.id)?.place).forEach((r) => this.put(r));
	}

	coursesSoon() {
		clearTimeout(this.soon);
		this.soon = setTimeout(() => this.loadCourses(), SOON_MS);
	}

	fail(problem) {
		if (!(problem instanceof Problem))
			throw problem;
		this.set({loading: false, problem});
	}

	get rows() {
		const newestFirst = [...this.requests.values()]
			.sort((a, b) => (b.created || '').localeCompare(a.created || '') || (a.id < b.id ? 1 : -1));
		return makeRows(this.sites, newestFirst);
	}

	// --- live ---

	measure(request) {
		if (!this.meters.has(request.id))
			this.meters.set(request.id, new Meter());
		this.meters.get(request.id).take(request, performance.now());
	}

	put(request) {
		const before = this.requests.get(request.id);
		if (before && before.rev > request.rev)
			return;
		this.requests.set(request.id, request);
		this.measure(request);
		if (before?.state !== request.state) {
			if (request.state === 'failed' && this.notice?.kind === 'success')
				this.notice = null; // it says that all will be restored
			this.said = t('said', {name: request.fullname || request.shortname || request.course,
				state: t(`state.${request.state}`)});
			this.coursesSoon();
		}
		this.changed();
	}

	async onRequest(event) {
		const known = this.requests.get(event.id);
		if (event.user && this.user && event.user !== this.user)
			return; // an administrator hears of everybody's
		if (!event.state && known) {
			this.put({...known, step: event.step, done: event.done, total: event.total});
			return;
		}
		try {
			this.put(await call('GET', `/requests/${encodeURIComponent(event.id)}`));
		} catch {
			// gone again, or the connection is: that is told elsewhere
		}
	}

	onJoin(event) {
		if (event.user !== this.user || event.state === 'pending')
			return;
		this.joining.delete(event.id);
		if (event.state !== 'joined')
			this.notice = {kind: 'danger', text: t('join.failed', {why: event.state})};
		this.said = event.state === 'joined' ? t('join.done') : '';
		this.loadCourses();
		this.changed();
	}

	// --- choosing ---

	defaults() {
		const o = this.options;
		return {keep_category: o.keep_category, user_data: o.user_data, leave_out: o.leave_out,
			enrolment: o.enrolment};
	}

	choose(key, yes) {
		if (yes)
			this.chosen.set(key, this.defaults());
		else
			this.chosen.delete(key);
		this.changed();
	}

	// Who takes the users away takes "only if users are included" with them.  Where the site itself
	// says so without users, it stays as it is.
	static amended(options, change) {
		const wanted = {...options, ...change};
		if ('user_data' in change && !wanted.user_data && wanted.enrolment === 'with-users')
			wanted.enrolment = 'always';
		return wanted;
	}

	setOptions(key, change) {
		this.chosen.set(key, Store.amended(this.chosen.get(key), change));
		this.changed();
	}

	setAllOptions(change) {
		for (const key of this.chosen.keys())
			this.setOptions(key, change);
	}

	// --- doing ---

	item(row) {
		const may = this.options;
		const wanted = this.chosen.get(row.key);
		const item = {site: row.site, course: row.course, user: this.user, leave_out: wanted.leave_out};
		if (may.choose_category)
			item.keep_category = wanted.keep_category;
		if (may.choose_user_data)
			item.user_data = wanted.user_data;
		if (may.choose_enrolment && wanted.enrolment !== may.enrolment)
			item.enrolment = wanted.enrolment;
		return item;
	}

	takeResults(rows, results) {
		let accepted = 0;
		results.forEach((result, i) => {
			const {key} = rows[i];
			if (result.status === 202) {
				accepted++;
				this.chosen.delete(key);
				this.problems.delete(key);
				this.put(result.request);
			} else {
				const {status, reason, detail} = result.problem;
				this.problems.set(key, new Problem(status, reason, detail));
				this.chosen.delete(key);
			}
		});
		const refused = results.length - accepted;
		this.notice = {
			kind: refused ? 'warning' : 'success',
			text: (accepted ? tn('sent', accepted) : '') + (accepted && refused ? ' ' : '') +
				(refused ? tn('refused', refused) : ''),
		};
	}

	async submit() {
		const rows = this.rows.filter((r) => this.chosen.has(r.key) && r.available);
		if (!rows.length || this.sending)
			return;
		const body = {requests: rows.map((r) => this.item(r))};
		const text = JSON.stringify(body);
		if (this.submission?.text !== text) // the same again: the same key, so that nothing is doubled
			this.submission = {text, key: randomKey()};
		this.set({sending: true, notice: null});
		try {
			const answer = await call('POST', '/requests', body, {'Idempotency-Key': this.submission.key});
			// what may go better next time is asked for again with the same key
			if (answer.results.every((r) => r.status < 500))
				this.submission = null;
			this.takeResults(rows, answer.results);
			this.coursesSoon();
		} catch (problem) {
			// Only a refusal is certain: without an answer it may have arrived all the same.
			const refused = problem.status >= 400 && problem.status < 500;
			const why = problemText(problem);
			this.notice = {kind: 'danger', text: refused ? t('unsent', {why}) : t('unanswered', {why})};
		}
		this.set({sending: false});
	}

	// One action on one row; what went wrong is shown there.
	async act(row, method, path, body) {
		this.busy.add(row.key);
		this.problems.delete(row.key);
		this.changed();
		let answer = null;
		try {
			answer = await call(method, path, body);
		} catch (problem) {
			this.problems.set(row.key, problem);
			if (problem.status === 409)
				this.load();
		}
		this.busy.delete(row.key);
		this.changed();
		return answer;
	}

	async download(row) {
		this.busy.add(row.key);
		this.problems.delete(row.key);
		this.changed();
		await download(row.own.id).catch((problem) => this.problems.set(row.key, problem));
		this.busy.delete(row.key);
		this.changed();
	}

	async changeRequest(row, action) {
		const record = await this.act(row, 'POST', `/requests/${encodeURIComponent(row.own.id)}/${action}`);
		if (record)
			this.put(record);
	}

	cancel(row) {
		return this.changeRequest(row, 'cancel');
	}

	retry(row) {
		return this.changeRequest(row, 'retry');
	}

	// The course alone, where user data may be what fails.
	async retryWithoutUsers(row) {
		const {rev, enrolment} = row.own;
		const wanted = Store.amended({enrolment}, {user_data: false});
		const record = await this.act(row, 'PATCH', `/requests/${encodeURIComponent(row.own.id)}`,
			{rev, state: 'scheduled', ...wanted});
		if (record)
			this.put(record);
	}

	// Options of what is scheduled already.
	async amend(row, change) {
		const before = row.own;
		const wanted = Store.amended(before, change);
		const body = {rev: before.rev};
		for (const name of ['keep_category', 'user_data', 'leave_out', 'enrolment'])
			if (name in change || wanted[name] !== before[name])
				body[name] = wanted[name];
		this.requests.set(before.id, {...before, ...body, rev: before.rev}); // as it will be, we hope
		const record = await this.act(row, 'PATCH', `/requests/${encodeURIComponent(before.id)}`, body);
		if (record)
			this.put(record);
		else if (this.requests.get(before.id)?.rev === before.rev)
			this.set({requests: this.requests.set(before.id, before)});
	}

	async join(row) {
		const id = row.other.id;
		this.joining.add(id);
		const answer = await this.act(row, 'POST', `/requests/${encodeURIComponent(id)}/enrolments`);
		if (answer?.state !== 'pending') {
			this.joining.delete(id);
			this.loadCourses();
		}
		this.changed();
	}
}

export {isActive, rowKey};
