// SPDX-License-Identifier: GPL-3.0-or-later
// One request of the administrators' list, opened: its options, what can be done, its log.
import {useState} from 'preact/hooks';
import {call, download} from '../api.js';
import {exactly, t, tn} from '../i18n.js';
import {isActive} from '../progress.js';
import {address, Download, Losses, Mode} from '../row.jsx';
import {Trouble, useAnswer} from './shared.jsx';

const LOOK_AGAIN_MS = 5000;

function Log({id, active}) {
	const {data, problem, load} = useAnswer(`/requests/${encodeURIComponent(id)}/log`, active ? LOOK_AGAIN_MS : 0);
	return <section class="nv-log"><h2>{t('log')}</h2>
		<Trouble problem={problem} again={load} />
		{data && data.dropped > 0 && <p>{tn('log.dropped', data.dropped)}</p>}
		{data && !data.lines.length && <p>{t('log.empty')}</p>}
		{data && data.lines.length > 0 && <ol>{data.lines.map((l, i) => <li key={i} class={`nv-log-${l.level}`}>
			<span class="nv-by">{exactly(l.at)} · {l.from} · {l.level}</span> <span dir="auto">{l.text}</span></li>)}</ol>}
	</section>;
}

function Tick({id, label, checked, onChange, disabled}) {
	return <div class="form-check"><input class="form-check-input" type="checkbox" id={id} checked={checked}
		disabled={disabled} onChange={(e) => onChange(e.currentTarget.checked)} />
		<label class="form-check-label" for={id}>{label}</label></div>;
}

// Keep category, user data, what is lacking, enrolment mode, category: of a request, or of one to be made.
export function Fields({id, name, wanted, set, disabled}) {
	return <div class="nv-forall">
		<div><label class="form-label" for={`${id}-category`}>{t('give.category')}</label>
			<input class="form-control form-control-sm" id={`${id}-category`} value={wanted.category} maxLength={255}
				disabled={disabled} onInput={(e) => set({category: e.currentTarget.value})} /></div>
		<Tick id={`${id}-keep`} label={t('col.category')} checked={wanted.keep_category} disabled={disabled}
			onChange={(keep_category) => set({keep_category})} />
		<Tick id={`${id}-data`} label={t('col.userdata')} checked={wanted.user_data} disabled={disabled}
			onChange={(user_data) => set({user_data, enrolment: !user_data && wanted.enrolment === 'with-users'
				? 'always' : wanted.enrolment})} />
		<Tick id={`${id}-leave`} label={t('leave_out')} checked={wanted.leave_out} disabled={disabled}
			onChange={(leave_out) => set({leave_out})} />
		<Mode name={name} value={wanted.enrolment} userData={wanted.user_data} disabled={disabled}
			onChange={(enrolment) => set({enrolment})} />
	</div>;
}

export function Details({request: r, name, downloads, reload}) {
	const [change, setChange] = useState({});
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState(null);
	const wanted = {category: r.category || '', keep_category: r.keep_category, user_data: r.user_data,
		leave_out: r.leave_out, enrolment: r.enrolment, ...change};
	const changed = Object.keys(change).length > 0;
	const ended = r.state === 'failed' || r.state === 'cancelled';
	const attempt = async (what) => {
		setBusy(true);
		setProblem(null);
		await what().catch(setProblem);
		setBusy(false);
	};
	const act = (method, path, body) => attempt(async () => {
		await call(method, `/requests/${encodeURIComponent(r.id)}${path}`, body);
		setChange({});
	}).then(reload);
	const options = () => ({...change, ...('category' in change ? {category: change.category.trim() || null} : {})});
	const save = (more) => act('PATCH', '', {rev: r.rev, ...options(), ...more});
	const button = (word, look, onClick, disabled) => <button type="button" class={`btn btn-sm btn-${look}`}
		disabled={busy || disabled} onClick={onClick} aria-label={`${t(word)}: ${name}`}>{t(word)}</button>;
	return <div class="nv-details">
		<p class="nv-by">{r.id}{r.host && <> · <bdi>{r.host}</bdi></>}{r.failures > 0 && ` · ${tn('list.failures', r.failures)}`}</p>
		<Trouble problem={problem} />
		{(ended || r.state === 'scheduled') && <Fields id={`nv-${r.id}`} name={name} wanted={wanted} disabled={busy}
			set={(c) => setChange({...change, ...c})} />}
		<div class="nv-actions">
			{r.state === 'scheduled' && button('list.save', 'primary', () => save({}), !changed)}
			{r.state === 'scheduled' && !r.now && button('list.now', 'outline-primary', () => act('POST', '/run-now'))}
			{ended && button('retry', 'primary', () => changed ? save({state: 'scheduled'}) : act('POST', '/retry'))}
			{isActive(r) && r.state !== 'cancelling' &&
				button('cancel', 'outline-danger', () => act('POST', '/cancel'))}
			{downloads && <Download request={r} name={name} disabled={busy}
				onClick={() => attempt(() => download(r.id))} />}
			{r.state === 'restored' && !r.restored?.deleted && address(r.restored?.url) &&
				<a class="btn btn-sm btn-primary" href={address(r.restored.url)}>{t('open')}</a>}
		</div>
		<Losses list={r.restored?.differences || []} />
		{r.restored?.warnings.length > 0 && <><h2>{tn('warnings', r.restored.warnings.length)}</h2>
			<ul>{r.restored.warnings.map((w, i) => <li key={i} dir="auto" class="nv-detail">{w}</li>)}</ul></>}
		<Log id={r.id} active={isActive(r)} />
	</div>;
}
