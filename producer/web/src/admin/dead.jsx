// SPDX-License-Identifier: GPL-3.0-or-later
// Dead letters: why each was given up; put back, or thrown away for good. The client's own, then those of each
// course server.
import {useState} from 'preact/hooks';
import {call} from '../api.js';
import {bytes, t, tn, when, whyText} from '../i18n.js';
import {RequestLink, Trouble, useAnswer, Wide} from './shared.jsx';

const LOOK_AGAIN_MS = 10000;
const ASK_AGAIN_MS = 60000; // course servers, through the broker

// label: of the course server; none: they are ours.
function Letter({letter: l, label, busy, act}) {
	const [sure, setSure] = useState(false);
	const path = `/dead/${encodeURIComponent(l.id)}`;
	const where = l.site ? `?site=${encodeURIComponent(l.site)}` : '';
	const name = label ? `${l.n}, ${label}` : l.n;
	const reason = l.reason ? whyText(l.reason, l.reason, true) : '';
	return <tr data-letter={l.id}>
		<th scope="row">{l.n}</th>
		<td>{reason}{l.error && <div class="nv-detail" dir="auto">{l.error}</div>}</td>
		<td>{l.queue || '–'}<div class="nv-by">{l.kind || t('dead.unreadable')} · {bytes(l.size)}</div></td>
		<td>{l.request ? <RequestLink id={l.request} /> : '–'}</td>
		<td>{when(l.since)}{l.host && <div class="nv-by"><bdi>{l.host}</bdi></div>}</td>
		<td>{l.attempts}{l.requeued > 0 && <div class="nv-by">{tn('dead.requeued', l.requeued)}</div>}</td>
		<td><div class="nv-actions">
			{!(l.site && l.reason === 'replayed') && <button type="button" class="btn btn-sm btn-outline-primary"
				disabled={busy} aria-label={`${t('dead.requeue')}: ${name}`}
				onClick={() => act('POST', `${path}/requeue${where}`, 'dead.back')}>{t('dead.requeue')}</button>}
			<button type="button" class={`btn btn-sm ${sure ? 'btn-danger' : 'btn-outline-danger'}`} disabled={busy}
				aria-label={`${t(sure ? 'dead.sure' : 'dead.discard')}: ${name}`} onBlur={() => setSure(false)}
				onClick={() => sure ? act('DELETE', `${path}${where}`, 'dead.gone') : setSure(true)}>
				{t(sure ? 'dead.sure' : 'dead.discard')}</button>
		</div></td>
	</tr>;
}

// What keeps a course server from answering is no fault of this page.
const ABSENCES = {timeout: 'dead.away', unknown_version: 'dead.old'};

function Absence({problem, again}) {
	const word = ABSENCES[problem?.reason];
	return word ? <div class="alert alert-info">{t(word)} <button type="button" class="btn btn-sm btn-secondary"
		onClick={again}>{t('again')}</button></div> : <Trouble problem={problem} again={again} />;
}

// path: where they are read; label: of the course server, none for ours.
function Letters({path, label, every}) {
	const {data, problem, load} = useAnswer(path, every);
	const [busy, setBusy] = useState(false);
	const [said, setSaid] = useState({});
	const act = async (method, there, word) => {
		setBusy(true);
		await call(method, there).then(() => setSaid({word}), (p) => setSaid({problem: p}));
		await load();
		setBusy(false);
	};
	const title = label ? `${t('admin.dead')}: ${label}` : t('admin.dead');
	return <>
		<Absence problem={problem || said.problem} again={load} />
		<p class="nv-count mb-2" role="status">{said.word && `${t(said.word)} `}
			{data && !problem && (data.letters.length ? tn('dead.count', data.letters.length) : t('dead.none'))}
			{data?.more && ` ${t('dead.more')}`}
			{data?.others > 0 && ` ${tn('dead.others', data.others)}`}
			{!data && !problem && t('dead.asking')}</p>
		{data?.letters.length > 0 && <Wide label={title} head={<>{['dead.number', 'dead.reason', 'dead.queue',
			'dead.request', 'dead.since', 'dead.attempts', 'list.actions'].map((n) =>
			<th key={n} scope="col">{t(n)}</th>)}</>}>
			<tbody>{data.letters.map((l) => <Letter key={l.id} letter={l} label={label} busy={busy} act={act} />)}</tbody>
		</Wide>}
	</>;
}

export function Dead() {
	const {data, problem, load} = useAnswer('/sites');
	return <>
		<p class="nv-lead">{t('dead.lead')}</p>
		<Letters path="/dead" every={LOOK_AGAIN_MS} />
		<Trouble problem={problem} again={load} />
		{data?.sites.map((s) => <section key={s.site} class="nv-section" data-site={s.site}>
			<h2><bdi>{s.label}</bdi></h2>
			<Letters path={`/dead?site=${encodeURIComponent(s.site)}`} label={s.label} every={ASK_AGAIN_MS} />
		</section>)}
	</>;
}
