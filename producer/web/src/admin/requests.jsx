// SPDX-License-Identifier: GPL-3.0-or-later
// All requests: found, sorted, followed live, mended.
import {useEffect, useRef, useState} from 'preact/hooks';
import {call} from '../api.js';
import {Live} from '../live.js';
import {t, tn, when} from '../i18n.js';
import {inBytes, isActive} from '../progress.js';
import {amount, Badge, Place, Why} from '../row.jsx';
import {REQUEST_COLUMNS, requestCells, saveCsv} from './csv.js';
import {Details} from './details.jsx';
import {STATES, Trouble, useAnswer, Wide} from './shared.jsx';

const SOON_MS = 700;
const SIZES = [25, 50, 100, 200];
const WHOLE = 1000; // a page of the export

function query(filter) {
	const values = new URLSearchParams();
	for (const [name, value] of Object.entries(filter))
		if (value !== '' && (name !== 'course' || filter.site))
			values.set(name, value);
	return `/requests?${values}`;
}

// Calls back soon after something has happened, however much does.
function useLive(onNews, onTrouble) {
	const news = useRef(onNews);
	news.current = onNews;
	useEffect(() => {
		let timer = null;
		const soon = () => {
			timer ??= setTimeout(() => {
				timer = null;
				news.current();
			}, SOON_MS);
		};
		const live = new Live({request: soon, join: () => {}, reload: soon, trouble: onTrouble});
		return () => {
			clearTimeout(timer);
			live.close();
		};
	}, []);
}

// --- search ---

// What is being typed is its own: news that come meanwhile draw the list anew and must not take it away.
function Field({id, label, value, onChange, ...more}) {
	const [text, setText] = useState(value);
	return <div class="col-6 col-lg-2"><label class="form-label" for={id}>{label}</label>
		<input type="search" class="form-control" id={id} value={text} {...more}
			onInput={(e) => setText(e.currentTarget.value)}
			onChange={(e) => onChange(e.currentTarget.value.trim())} /></div>;
}

function Choice({id, label, value, choices, onChange}) {
	return <div class="col-6 col-lg-2"><label class="form-label" for={id}>{label}</label>
		<select class="form-select" id={id} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
			{choices.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select></div>;
}

function Search({filter, sites, set}) {
	const all = [['', t('filter.all')]];
	return <form class="nv-filter" role="search" onSubmit={(e) => e.preventDefault()}>
		<div class="row g-2 align-items-end">
			<Field id="nv-text" label={t('list.text')} value={filter.text} onChange={(text) => set({text})} />
			<Field id="nv-person" label={t('list.person')} value={filter.person}
				onChange={(person) => set({person})} />
			<Choice id="nv-state" label={t('filter.state')} value={filter.state}
				choices={[...all, ...STATES.map((s) => [s, t(`admin.state.${s}`)])]}
				onChange={(state) => set({state})} />
			<Choice id="nv-site" label={t('filter.site')} value={filter.site}
				choices={[...all, ...sites.map((s) => [s.site, s.label])]} onChange={(site) => set({site})} />
			<Field id="nv-course" label={t('list.course')} value={filter.course} disabled={!filter.site}
				title={filter.site ? undefined : t('list.course.needs')} onChange={(course) => set({course})} />
			<Choice id="nv-limit" label={t('list.limit')} value={String(filter.limit)}
				choices={SIZES.map((n) => [String(n), String(n)])} onChange={(limit) => set({limit: Number(limit)})} />
		</div>
	</form>;
}

function SortHead({name, label, filter, set}) {
	const down = filter.sort === `-${name}`;
	const on = down || filter.sort === name;
	return <th scope="col" aria-sort={on ? (down ? 'descending' : 'ascending') : undefined}>
		<button type="button" class="btn btn-link nv-sort" onClick={() => set({sort: down ? name : `-${name}`})}>
			{t(label)}<span aria-hidden="true">{on ? (down ? ' ▾' : ' ▴') : ''}</span></button></th>;
}

function Pages({filter, total, set}) {
	const {offset, limit} = filter;
	if (total <= limit && !offset)
		return null;
	return <nav class="nv-pages" aria-label={t('list.pages')}>
		<button type="button" class="btn btn-outline-secondary" disabled={!offset}
			onClick={() => set({offset: Math.max(0, offset - limit)})}>{t('list.before')}</button>
		<span>{t('list.range', {from: Math.min(offset + 1, total), to: Math.min(offset + limit, total), n: total})}</span>
		<button type="button" class="btn btn-outline-secondary" disabled={offset + limit >= total}
			onClick={() => set({offset: offset + limit})}>{t('list.next')}</button>
	</nav>;
}

// --- the list ---

function State({request: r, away}) {
	const step = isActive(r) && r.step ? t(`step.${r.step}`) : '';
	return <>
		<Badge word={r.restored?.deleted ? 'deleted' : r.state} text={r.restored?.deleted ? t('state.deleted')
			: t(`admin.state.${r.state}`)} />
		{step && <div class="nv-by">{step}{inBytes(r) && ` · ${amount(r)}`}</div>}
		<Place request={r} away={away} />
		{!r.published && r.state === 'scheduled' && <div class="nv-by">{t('list.unpublished')}</div>}
		<Why request={r} other />
	</>;
}

function Item({request: r, away, downloads, open, toggle, reload}) {
	const name = r.fullname || r.restored?.fullname || r.shortname || r.course;
	const panel = `nv-panel-${r.id}`;
	return <>
		<tr data-request={r.id} data-state={r.state}>
			<th scope="row" class="nv-course"><span class="nv-name" dir="auto" title={name}>{name}</span>
				<small class="text-body-secondary nv-short"><bdi>{r.site_label}</bdi> · {r.course}
					{r.shortname && <> · <bdi>{r.shortname}</bdi></>}</small></th>
			<td><bdi>{r.user_name || r.user || t('nobody')}</bdi>
				{r.by && r.by !== r.user && <div class="nv-by">{t('by.other', {who: r.by})}</div>}</td>
			<td class="nv-status"><State request={r} away={away} /></td>
			<td dir="auto">{r.restored?.category || r.category || (r.keep_category ? t('list.kept') : '')}</td>
			<td>{t(`source.${r.source}`)}</td>
			<td>{when(r.created)}</td><td>{when(r.modified)}</td><td>{when(r.finished)}</td>
			<td><button type="button" class="btn btn-sm btn-outline-secondary" aria-expanded={open}
				aria-controls={open ? panel : undefined} aria-label={`${t('list.details')}: ${name}`}
				onClick={toggle}>{t('list.details')}</button></td>
		</tr>
		{open && <tr id={panel} class="nv-panel"><td colSpan={9}>
			<Details request={r} name={name} downloads={downloads} reload={reload} /></td></tr>}
	</>;
}

const START = {text: '', person: '', state: '', site: '', course: '', sort: '-created', offset: 0, limit: 50};

async function exportAll(filter) {
	const found = [];
	for (;;) {
		const page = await call('GET', query({...filter, offset: found.length, limit: WHOLE}));
		found.push(...page.requests);
		if (!page.requests.length || found.length >= page.total)
			break;
	}
	saveCsv('navette-requests.csv', REQUEST_COLUMNS, found.map(requestCells));
}

export function Requests({values, session}) {
	const [filter, setFilter] = useState({...START, ...Object.fromEntries(['text', 'state', 'site', 'person']
		.filter((n) => values.get(n)).map((n) => [n, values.get(n)]))});
	const [open, setOpen] = useState(() => new Set());
	const [trouble, setTrouble] = useState(null);
	const [failure, setFailure] = useState(null);
	const {data, problem, loading, load} = useAnswer(query(filter));
	const {sites} = useAnswer('/sites').data || {sites: []};
	useLive(load, setTrouble);
	const set = (change) => setFilter({...filter, offset: 0, ...change});
	const toggle = (id) => setOpen((before) => {
		const after = new Set(before);
		if (!after.delete(id))
			after.add(id);
		return after;
	});
	const sorted = {filter, set};
	return <>
		{trouble && <div class="alert alert-warning" role="status">{t(`connection.${trouble}`)}</div>}
		<Trouble problem={problem || failure} again={load} />
		<Search filter={filter} sites={sites} set={set} />
		{data && <>
			<div class="nv-bar">
				<p class="text-body-secondary nv-count" role="status" aria-busy={loading}>
					{tn('list.found', data.total)}</p>
				<button type="button" class="btn btn-sm btn-outline-secondary" disabled={!data.total}
					onClick={() => exportAll(filter).then(() => setFailure(null), setFailure)}>
					{t('list.export')}</button>
			</div>
			<Wide label={t('admin.requests')} head={<>
				<SortHead name="course" label="col.course" {...sorted} />
				<SortHead name="user" label="list.user" {...sorted} />
				<th scope="col">{t('col.status')}</th><th scope="col">{t('list.category')}</th>
				<th scope="col">{t('col.source')}</th>
				<SortHead name="created" label="list.created" {...sorted} />
				<SortHead name="modified" label="list.modified" {...sorted} />
				<SortHead name="finished" label="list.finished" {...sorted} />
				<th scope="col">{t('list.actions')}</th></>}>
				<tbody>{data.requests.map((r) => <Item key={r.id} request={r}
					away={sites.some((s) => s.site === r.site && s.up === false)} open={open.has(r.id)} downloads={session.options.download}
					toggle={() => toggle(r.id)} reload={load} />)}</tbody>
			</Wide>
			<Pages filter={filter} total={data.total} set={(change) => setFilter({...filter, ...change})} />
		</>}
	</>;
}
