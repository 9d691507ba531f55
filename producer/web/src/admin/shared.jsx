// SPDX-License-Identifier: GPL-3.0-or-later
// What the administrators' pages have in common: reading again and again, tables, links between them.
import {useCallback, useEffect, useRef, useState} from 'preact/hooks';
import {call} from '../api.js';
import {problemText, t} from '../i18n.js';

export const STATES = ['scheduled', 'exporting', 'ready', 'importing', 'cancelling', 'restored', 'failed',
	'cancelled'];

// What GET path says, read again every so many ms while the page is seen; the last good answer stays.
export function useAnswer(path, everyMs) {
	const [state, setState] = useState({data: null, problem: null, path: null});
	const turn = useRef(0);
	const load = useCallback(async () => {
		const mine = ++turn.current;
		const answer = await call('GET', path).then((data) => ({data, problem: null}), (problem) => ({problem}));
		if (mine === turn.current) // only the newest question counts
			setState((before) => ({data: before.data, ...answer, path}));
	}, [path]);
	useEffect(() => {
		load();
		const timer = everyMs && setInterval(() => document.hidden || load(), everyMs);
		return () => {
			turn.current++;
			clearInterval(timer);
		};
	}, [load, everyMs]);
	return {...state, loading: state.path !== path, load};
}

export function Trouble({problem, again}) {
	return problem && <div class="alert alert-danger" role="alert">{problemText(problem)}
		{problem.detail && problemText(problem) !== problem.detail && <> <span class="nv-detail" dir="auto">
			{problem.detail}</span></>}
		{again && <> <button type="button" class="btn btn-sm btn-outline-danger" onClick={again}>
			{t('again')}</button></>}</div>;
}

// A table that a phone scrolls sideways, by keyboard as well.
export function Wide({label, head, children}) {
	return <div class="table-responsive nv-wide" tabIndex={0} role="region" aria-label={label}>
		<table class="table align-middle nv-table nv-admin">
			<caption class="visually-hidden">{label}</caption>
			<thead><tr>{head}</tr></thead>
			{children}
		</table>
	</div>;
}

export function Heads({names}) {
	return names.map((name) => <th key={name} scope="col">{t(name)}</th>);
}

export function requestAddress(id) {
	return `#/requests?text=${encodeURIComponent(id)}`;
}

export function RequestLink({id}) {
	return <a href={requestAddress(id)} title={id}>…{id.slice(-8)}</a>;
}

export function YesNoUnknown({value, yes, no}) {
	const word = value === null ? 'unknown' : value ? yes : no;
	const look = value === null ? 'secondary' : value ? 'success' : 'danger';
	return <span class={`badge bg-${look}-subtle text-${look}-emphasis`}>{t(word)}</span>;
}
