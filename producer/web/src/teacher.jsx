// SPDX-License-Identifier: GPL-3.0-or-later
// "Restore my courses": all courses of all servers, what is to be brought, and how it goes.
import {useEffect, useRef, useState} from 'preact/hooks';
import {heldText, problemText, t, tn} from './i18n.js';
import {Mode, Row} from './row.jsx';
import {categories, filterRows} from './rows.js';
import {Store} from './store.js';

const NO_FILTER = {text: '', site: '', category: '', state: ''};
const STATES = ['free', 'active', 'done', 'ended'];

function useStore(session) {
	const [, draw] = useState(0);
	const ref = useRef(null);
	ref.current ??= new Store(session, () => draw((n) => n + 1));
	useEffect(() => () => ref.current.close(), []);
	return ref.current;
}

// --- what is wrong ---

function SiteProblem({site}) {
	if (site.held)
		return <div class="alert alert-info" role="status"><strong dir="auto">{site.label}</strong>: {heldText(site.held.reason)}</div>;
	if (site.status === 'ok')
		return null;
	if (site.status === 'not-asked')
		return <p role="status"><span class="spinner-border spinner-border-sm me-2" aria-hidden="true" />
			<strong dir="auto">{site.label}</strong>: {t('site.not-asked')}</p>;
	return <div class={`alert ${site.status === 'unknown-user' ? 'alert-info' : 'alert-warning'}`}>
		<strong dir="auto">{site.label}</strong>: {t(`site.${site.status}`)}</div>;
}

function Alerts({store}) {
	return <>
		{store.trouble && <div class="alert alert-warning" role="status">
			<span class="spinner-border spinner-border-sm me-2" aria-hidden="true" />{t(`connection.${store.trouble}`)}</div>}
		{store.problem && <div class="alert alert-danger" role="alert">
			{problemText(store.problem)}{' '}
			<button type="button" class="btn btn-sm btn-outline-danger" onClick={() => store.load()}>
				{t('again')}</button></div>}
		{store.notice && <div class={`alert alert-dismissible alert-${store.notice.kind}`} role="alert">
			{store.notice.text}
			<button type="button" class="btn-close" aria-label={t('close')}
				onClick={() => store.set({notice: null})} /></div>}
		{store.sites.map((s) => <SiteProblem key={s.site} site={s} />)}
	</>;
}

// --- search and filter ---

function Select({id, label, value, all, choices, onChange}) {
	return <div class="col-6 col-lg-auto nv-choice">
		<label class="form-label" for={id}>{label}</label>
		<select class="form-select" id={id} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
			<option value="">{all}</option>
			{choices.map(([v, text]) => <option key={v} value={v}>{text}</option>)}
		</select>
	</div>;
}

function Filter({store, rows, filter, setFilter, shown}) {
	const set = (change) => setFilter({...filter, ...change});
	const names = categories(rows);
	return <form class="nv-filter" role="search" onSubmit={(e) => e.preventDefault()}>
		<div class="row g-2 align-items-end">
			<div class="col-12 col-lg-4">
				<label class="form-label" for="nv-search">{t('search')}</label>
				<input type="search" class="form-control" id="nv-search" value={filter.text}
					onInput={(e) => set({text: e.currentTarget.value})} />
			</div>
			{names.length > 1 && <Select id="nv-category" label={t('filter.category')} all={t('filter.all')}
				value={filter.category} choices={names.map((n) => [n, n])}
				onChange={(category) => set({category})} />}
			{store.sites.length > 1 && <Select id="nv-site" label={t('filter.site')} all={t('filter.all')}
				value={filter.site} choices={store.sites.map((s) => [s.site, s.label])}
				onChange={(site) => set({site})} />}
			<Select id="nv-state" label={t('filter.state')} all={t('filter.all')} value={filter.state}
				choices={STATES.map((s) => [s, t(`filter.${s}`)])} onChange={(state) => set({state})} />
		</div>
		<p class="text-body-secondary nv-count" role="status">
			{shown === rows.length ? tn('courses', rows.length) : t('shown', {n: shown, all: rows.length})}</p>
	</form>;
}

// --- the table ---

function ChooseAll({store, rows}) {
	const free = rows.filter((r) => r.available);
	const chosen = free.filter((r) => store.chosen.has(r.key)).length;
	const ref = useRef(null);
	useEffect(() => {
		ref.current.indeterminate = chosen > 0 && chosen < free.length;
	});
	return <input type="checkbox" class="form-check-input" ref={ref} aria-label={t('choose.all')}
		disabled={!free.length} checked={free.length > 0 && chosen === free.length}
		onChange={(e) => free.forEach((r) => store.choose(r.key, e.currentTarget.checked))} />;
}

function Table({store, rows}) {
	const may = store.options;
	const head = (label) => <th role="columnheader" scope="col">{label}</th>;
	return <table class="table align-middle nv-table" role="table">
		<caption class="visually-hidden">{t('heading')}</caption>
		<thead role="rowgroup"><tr role="row">
			<td role="cell" class="nv-choose"><ChooseAll store={store} rows={rows} />
				<span class="nv-phone" aria-hidden="true">{t('choose.all')}</span></td>
			{head(t('col.course'))}
			{may.choose_category && head(t('col.category'))}
			{may.choose_user_data && head(t('col.userdata'))}
			{may.choose_enrolment && head(t('col.enrolment'))}
			{head(t('col.status'))}{head(t('col.source'))}{head(t('col.scheduled'))}{head(t('col.performed'))}
		</tr></thead>
		<tbody role="rowgroup">{rows.map((r) => <Row key={r.key} store={store} row={r} />)}</tbody>
	</table>;
}

function Section({store, title, rows}) {
	if (!rows.length)
		return null;
	return <section class="nv-section"><h2 dir="auto">{title}</h2><Table store={store} rows={rows} /></section>;
}

function Sections({store, rows}) {
	const listed = (site) => rows.filter((r) => r.listed && r.site === site.site);
	return <>
		{store.sites.map((s) => <Section key={s.site} store={store} title={s.label} rows={listed(s)} />)}
		<Section store={store} title={t('others')} rows={rows.filter((r) => !r.listed)} />
	</>;
}

// --- what is chosen ---

// A tick that shows what holds for all, half-way where they differ.
function TickAll({store, field, label}) {
	const values = [...store.chosen.values()].map((o) => o[field]);
	const some = values.some(Boolean);
	const every = values.every(Boolean);
	const ref = useRef(null);
	useEffect(() => {
		ref.current.indeterminate = some && !every;
	});
	return <div class="form-check">
		<input type="checkbox" class="form-check-input" id={`nv-all-${field}`} ref={ref} checked={every}
			onChange={(e) => store.setAllOptions({[field]: e.currentTarget.checked})} />
		<label class="form-check-label" for={`nv-all-${field}`}>{label}</label>
	</div>;
}

function ModeAll({store}) {
	const chosen = [...store.chosen.values()];
	return <Mode name={t('forall')} value={chosen[0].enrolment} userData={chosen.every((o) => o.user_data)}
		onChange={(enrolment) => store.setAllOptions({enrolment})} />;
}

function Chosen({store}) {
	const may = store.options;
	const n = store.chosen.size;
	if (!n)
		return null;
	const options = may.choose_category || may.choose_user_data || may.choose_enrolment;
	return <div class="nv-chosen" role="region" aria-label={t('chosen.region')}>
		<div class="container-xxl nv-chosen-inner">
			<strong>{tn('chosen', n)}</strong>
			{options && <fieldset class="nv-forall"><legend class="visually-hidden">{t('forall')}</legend>
				{may.choose_category && <TickAll store={store} field="keep_category" label={t('col.category')} />}
				{may.choose_user_data && <TickAll store={store} field="user_data" label={t('col.userdata')} />}
				{may.choose_enrolment && <ModeAll store={store} />}
			</fieldset>}
			<button type="button" class="btn btn-primary" disabled={store.sending}
				onClick={() => store.submit()}>{t(store.sending ? 'sending' : 'restore')}</button>
		</div>
	</div>;
}

export function Teacher({session}) {
	const store = useStore(session);
	const [filter, setFilter] = useState(NO_FILTER);
	const rows = store.rows;
	const shown = filterRows(rows, filter);
	return <main id="main" class="container-xxl nv-main" tabIndex={-1}>
		<h1>{t('heading')}</h1>
		<p class="nv-lead">{t('lead')}</p>
		<Alerts store={store} />
		{store.loading && <p role="status"><span class="spinner-border spinner-border-sm me-2"
			aria-hidden="true" />{t('loading')}</p>}
		{!store.loading && rows.length > 0 && <Filter store={store} rows={rows} filter={filter}
			setFilter={setFilter} shown={shown.length} />}
		{!store.loading && !rows.length && !store.problem && !store.sites.some((s) => s.status === 'not-asked') &&
			<p>{t('none')}</p>}
		<Sections store={store} rows={shown} />
		<Chosen store={store} />
		<p class="visually-hidden" aria-live="polite" id="nv-said">{store.said}</p>
	</main>;
}
