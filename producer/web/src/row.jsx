// SPDX-License-Identifier: GPL-3.0-or-later
// One course in the teacher's table.
import {requestAddress} from './admin/shared.jsx';
import {bytes, clock, has, heldText, number, problemText, reasonText, t, tn, when, whyText} from './i18n.js';
import {inBytes, isActive} from './progress.js';

const BADGES = {
	scheduled: 'bg-secondary-subtle text-secondary-emphasis',
	exporting: 'bg-primary-subtle text-primary-emphasis',
	ready: 'bg-primary-subtle text-primary-emphasis',
	importing: 'bg-primary-subtle text-primary-emphasis',
	cancelling: 'bg-secondary-subtle text-secondary-emphasis',
	restored: 'bg-success-subtle text-success-emphasis',
	failed: 'bg-danger-subtle text-danger-emphasis',
	cancelled: 'bg-secondary-subtle text-secondary-emphasis',
	deleted: 'bg-secondary-subtle text-secondary-emphasis',
};
const MODES = ['always', 'with-users', 'manual'];

export function Badge({word, text}) {
	return <span class={`badge ${BADGES[word]}`}>{text}</span>;
}

// What a site gave as an address, where it is one of the web.
export function address(url) {
	return /^https?:\/\//i.test(url || '') ? url : null;
}

function Cell({label, children, ...more}) {
	return <td role="cell" data-label={label} {...more}>{children}</td>;
}

function Text({label, children}) {
	return <Cell label={label}>{children ? <span>{children}</span> : null}</Cell>;
}

// --- options ---

function Tick({name, label, checked, disabled, onChange}) {
	return <input type="checkbox" class="form-check-input" aria-label={`${label}: ${name}`} checked={checked}
		disabled={disabled} onChange={(e) => onChange(e.currentTarget.checked)} />;
}

export function Mode({name, value, userData, disabled, onChange}) {
	return <select class="form-select form-select-sm nv-mode" aria-label={`${t('col.enrolment')}: ${name}`}
		value={value} disabled={disabled} onChange={(e) => onChange(e.currentTarget.value)}>
		{MODES.map((m) => <option key={m} value={m} disabled={m === 'with-users' && !userData}>
			{t(`mode.${m}`)}</option>)}
	</select>;
}

function YesNo({value}) {
	return <span>{value ? t('yes') : t('no')}</span>;
}

// Where they can still be set: a chosen row, or one's own request that has not begun.
function optionsOf(store, row) {
	const wanted = store.chosen.get(row.key);
	if (wanted)
		return {values: wanted, set: (change) => store.setOptions(row.key, change)};
	if (row.own?.state === 'scheduled')
		return {values: row.own, set: (change) => store.amend(row, change)};
	return row.own && row.word !== 'deleted' ? {values: row.own, set: null} : null;
}

function Options({store, row}) {
	const may = store.options;
	const o = optionsOf(store, row);
	const name = row.fullname;
	const busy = store.busy.has(row.key);
	const none = <span class="text-body-secondary nv-none" aria-hidden="true">–</span>;
	const tick = (field, label) => !o ? none : o.set
		? <Tick name={name} label={label} checked={o.values[field]} disabled={busy}
			onChange={(yes) => o.set({[field]: yes})} />
		: <YesNo value={o.values[field]} />;
	return <>
		{may.choose_category && <Cell label={t('col.category')}>
			{row.listed && !row.category ? none : tick('keep_category', t('col.category'))}</Cell>}
		{may.choose_user_data && <Cell label={t('col.userdata')}>{tick('user_data', t('col.userdata'))}</Cell>}
		{may.choose_enrolment && <Cell label={t('col.enrolment')}>
			{!o ? none : o.set
				? <Mode name={name} value={o.values.enrolment} userData={o.values.user_data} disabled={busy}
					onChange={(enrolment) => o.set({enrolment})} />
				: <span>{t(`mode.${o.values.enrolment}`)}</span>}</Cell>}
	</>;
}

// --- status ---

function timeLeft(ms) {
	if (ms < 10000)
		return t('left.moments');
	if (ms < 60000)
		return t('left.minute');
	return tn('left.minutes', Math.round(ms / 60000));
}

export function amount(request) {
	if (!inBytes(request))
		return '';
	return request.total ? t('amount', {done: bytes(request.done), total: bytes(request.total)})
		: bytes(request.done);
}

function Progress({request, meter, name}) {
	const percent = Math.floor((meter?.fraction ?? 0) * 100);
	const working = request.state === 'exporting' || request.state === 'importing';
	const step = working && request.step ? t(`step.${request.step}`) : '';
	const parts = [step, amount(request), meter?.left != null && request.state !== 'cancelling'
		? timeLeft(meter.left) : ''].filter(Boolean);
	return <div class="nv-progress">
		<div class="progress" role="progressbar" aria-label={t('progress', {name})} aria-valuemin="0"
			aria-valuemax="100" aria-valuenow={percent}>
			<div class="progress-bar" style={{width: `${percent}%`}} />
		</div>
		{parts.length > 0 && <small class="text-body-secondary">{parts.join(' · ')}</small>}
	</div>;
}

// Its place in the course server's queue; away: nobody there takes it just now.
export function Place({request, away}) {
	if (!request.place)
		return null;
	return <div class="nv-by">{away ? t('place.away') : request.place === 1 ? t('place.first')
		: t('place', {n: number(request.place)})}</div>;
}

function Explained({text, message}) {
	return <div class="nv-why">
		<p class="mb-1">{text}</p>
		{message && <details><summary>{t('details')}</summary>
			<p class="mb-0 nv-detail" dir="auto">{message}</p></details>}
	</div>;
}

// For its next attempt, or for what passes by itself: there is no progress to be shown.
export function waits(request) {
	return Boolean(isActive(request) && (request.next_try || request.held));
}

// Why it failed, or what it waits for. other: told to somebody else than the one who gets the course.
export function Why({request, other}) {
	const {held, message, next_try: next} = request;
	if (waits(request) && held)
		return <>
			<Explained text={heldText(request.reason)} message={message} />
			<div class="nv-by">{t('held.since', {when: when(held)})}</div>
		</>;
	if (waits(request))
		return <Explained message={message} text={t(Date.parse(next) > Date.now() ? 'waits.until' : 'waits.soon',
			{when: clock(next), why: whyText(request.reason, message, other)})} />;
	return request.reason && (request.state === 'failed' || request.state === 'scheduled')
		? <Explained text={reasonText(request.reason, message, other)} message={message} /> : null;
}

// What is in the way of all of a course server's, where this one has not met it itself.
export function SiteHeld({request, site}) {
	return request.state === 'scheduled' && !request.reason && site?.held
		? <Explained text={heldText(site.held.reason)} message={site.held.message} /> : null;
}

// What the restored course has less of.
export function Losses({list}) {
	if (!list.length)
		return null;
	const text = (d) => t(d.type ? 'loss.type' : 'loss', {...d, had: number(d.had), has: number(d.has),
		kind: has(`kind.${d.kind}`) ? t(`kind.${d.kind}`) : d.kind});
	return <div class="nv-why nv-losses">{t('losses')}
		<ul class="mb-0">{list.map((d, i) => <li key={i} dir="auto">{text(d)}</li>)}</ul></div>;
}

function Warnings({list}) {
	if (!list.length)
		return null;
	return <details class="nv-why"><summary>{tn('warnings', list.length)}</summary>
		<ul class="mb-0">{list.map((w, i) => <li key={i} class="nv-detail" dir="auto">{w}</li>)}</ul></details>;
}

// The archive, while the store may have it: before the course is there, or where it could not be made.
export function Download({request, name, disabled, onClick}) {
	return request.archive &&
		<button type="button" class="btn btn-sm btn-outline-secondary" disabled={disabled} onClick={onClick}
			aria-label={`${t('download')}: ${name}`} title={t('download.title')}>{t('download')}</button>;
}

function OwnStatus({store, row}) {
	const r = row.own;
	const name = row.fullname;
	const busy = store.busy.has(row.key);
	return <>
		<div class="nv-by">{r.by && r.by !== store.user ? t('by.other', {who: r.by}) : t('by.self')}</div>
		<Place request={r} away={store.sites.some((s) => s.site === r.site && s.status === 'unreachable')} />
		{isActive(r) && !waits(r) && <Progress request={r} meter={store.meters.get(r.id)} name={name} />}
		<Why request={r} />
		<SiteHeld request={r} site={store.sites.find((s) => s.site === row.site)} />
		{r.state === 'restored' && <Losses list={r.restored?.differences || []} />}
		{r.state === 'restored' && <Warnings list={r.restored?.warnings || []} />}
		<div class="nv-actions">
			{r.state === 'restored' && !r.restored?.deleted && address(r.restored?.url) &&
				<a class="btn btn-sm btn-primary" href={address(r.restored.url)} aria-label={`${t('open')}: ${name}`}>
					{t('open')}</a>}
			{isActive(r) && r.state !== 'cancelling' &&
				<button type="button" class="btn btn-sm btn-outline-secondary" disabled={busy}
					aria-label={`${t('cancel')}: ${name}`} onClick={() => store.cancel(row)}>
					{t('cancel')}</button>}
			{(r.state === 'failed' || r.state === 'cancelled') &&
				<button type="button" class="btn btn-sm btn-outline-primary" disabled={busy}
					aria-label={`${t('retry')}: ${name}`} onClick={() => store.retry(row)}>
					{t('retry')}</button>}
			{r.state === 'failed' && r.user_data && store.options.choose_user_data &&
				<button type="button" class="btn btn-sm btn-outline-primary" disabled={busy}
					aria-label={`${t('retry.alone')}: ${name}`} onClick={() => store.retryWithoutUsers(row)}>
					{t('retry.alone')}</button>}
			{store.options.download &&
				<Download request={r} name={name} disabled={busy} onClick={() => store.download(row)} />}
			{store.session.user.admin && <a class="btn btn-sm btn-link" href={requestAddress(r.id)}
				aria-label={`${t('log')}: ${name}`}>{t('log')}</a>}
		</div>
	</>;
}

function OtherStatus({store, row}) {
	const h = row.other;
	const joining = store.joining.has(h.id);
	return <>
		<div class="nv-by">{t(h.state === 'restored' ? 'by.restored' : 'by.other',
			{who: h.user_name || h.by || t('somebody')})}</div>
		{h.joined && !h.deleted && <div class="nv-by">{t('joined')}</div>}
		<div class="nv-actions">
			{h.joined && address(h.url) && <a class="btn btn-sm btn-primary" href={address(h.url)}
				aria-label={`${t('open')}: ${row.fullname}`}>{t('open')}</a>}
			{h.can_join && !h.joined &&
				<button type="button" class="btn btn-sm btn-outline-primary"
					disabled={joining || store.busy.has(row.key)} onClick={() => store.join(row)}
					aria-label={`${t(joining ? 'joining' : 'join')}: ${row.fullname}`}>
					{t(joining ? 'joining' : 'join')}</button>}
		</div>
	</>;
}

// What was brought, or is on its way, was whole.
function isDamaged(row) {
	return row.damaged && (row.group === 'none' || row.group === 'ended');
}

function Damaged({why}) {
	return <div class="nv-why">
		<p class="mb-1 text-danger-emphasis">{t('damaged')}</p>
		<details><summary>{t('details')}</summary><p class="mb-0 nv-detail" dir="auto">{why}</p></details>
	</div>;
}

// What was brought, or is on its way, went by what was chosen then.
function isLacking(row) {
	return row.lacking?.length > 0 && (row.group === 'none' || row.group === 'ended' || row.own?.state === 'scheduled');
}

// Activities that cannot come along, and the choice between a course without them and none.
function Lacking({store, row}) {
	const o = optionsOf(store, row);
	const list = row.lacking.map((l) => `${l.type} (${number(l.count)})`).join(', ');
	return <div class="nv-why">
		<p class="mb-1 text-danger-emphasis">{t('lacking', {list})}</p>
		{o && o.set && <label><Tick name={row.fullname} label={t('leave_out')} checked={o.values.leave_out}
			disabled={store.busy.has(row.key)} onChange={(yes) => o.set({leave_out: yes})} />
			{' '}{t('leave_out')}</label>}
		{o && o.set && o.values.user_data && <p class="mb-1">{t('lacking.graded')}</p>}
	</div>;
}

function Status({store, row}) {
	const problem = store.problems.get(row.key);
	return <>
		{row.word !== 'none' && <Badge word={row.word} text={t(`state.${row.word}`)} />}
		{isDamaged(row) && <Damaged why={row.damaged} />}
		{isLacking(row) && <Lacking store={store} row={row} />}
		{row.own && <OwnStatus store={store} row={row} />}
		{row.other && <OtherStatus store={store} row={row} />}
		{problem && <div class="text-danger-emphasis nv-why" role="alert">{problemText(problem)}</div>}
	</>;
}

// --- the row ---

function scheduledFor(store, row) {
	const r = row.own || row.other;
	if (!r)
		return '';
	// The course server's window comes first on the way, the restore worker's second.
	const opens = store.sites.find((s) => s.site === row.site)?.opens || store.options.next_run;
	return when(r.state === 'scheduled' && !r.now && opens || r.requested);
}

function performedAt(row) {
	if (row.own)
		return row.own.state === 'restored' ? when(row.own.finished) : '';
	return row.other?.state === 'restored' ? when(row.other.finished) : '';
}

// What keeps a course from being chosen; NULL: nothing.
function blocked(row) {
	if (row.available)
		return null;
	if (!row.listed)
		return t('blocked.unlisted');
	if (isDamaged(row))
		return t('damaged');
	return row.other ? t('blocked.other') : t('blocked.own');
}

export function Row({store, row}) {
	const why = blocked(row);
	const id = `nv-${row.site}-${row.course}`;
	const source = (row.own || row.other)?.source;
	const remote = address(row.url);
	return <tr role="row" class={`nv-row nv-${row.group}`} data-course={row.course} data-state={row.word}>
		<Cell label={t('col.choose')} class="nv-choose">
			<input type="checkbox" class="form-check-input" id={id} disabled={Boolean(why) || store.sending}
				title={why || undefined} aria-describedby={why ? `${id}-why` : undefined}
				checked={store.chosen.has(row.key)} onChange={(e) => store.choose(row.key, e.currentTarget.checked)} />
			{why && <span class="visually-hidden" id={`${id}-why`}>{why}</span>}
		</Cell>
		<th role="rowheader" scope="row" class="nv-course">
			<label for={id} class="nv-name" dir="auto" title={row.fullname}>{row.fullname}</label>
			<small class="text-body-secondary nv-short">
				<bdi>{row.shortname}</bdi>{row.categoryName && <> · <bdi>{row.categoryName}</bdi></>}
				{remote && <> · <a href={remote} rel="noreferrer" target="_blank"
					aria-label={`${t('remote', {site: row.siteLabel})}: ${row.fullname}, ${t('newtab')}`}>
					{t('remote', {site: row.siteLabel})}</a></>}
			</small>
		</th>
		<Options store={store} row={row} />
		<Cell label={t('col.status')} class="nv-status"><Status store={store} row={row} /></Cell>
		<Text label={t('col.source')}>{source ? t(`source.${source}`) : ''}</Text>
		<Text label={t('col.scheduled')}>{scheduledFor(store, row)}</Text>
		<Text label={t('col.performed')}>{performedAt(row)}</Text>
	</tr>;
}
