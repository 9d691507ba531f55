// SPDX-License-Identifier: GPL-3.0-or-later
// Dead letters: why each was given up; put back, or thrown away for good.
import {useState} from 'preact/hooks';
import {call} from '../api.js';
import {bytes, has, t, tn, when} from '../i18n.js';
import {RequestLink, Trouble, useAnswer, Wide} from './shared.jsx';

const LOOK_AGAIN_MS = 10000;

function Letter({letter: l, busy, act}) {
	const [sure, setSure] = useState(false);
	const reason = has(`reason.${l.reason}`) ? t(`reason.${l.reason}`) : l.reason || '';
	return <tr data-letter={l.id}>
		<th scope="row">{l.n}</th>
		<td>{reason}{l.error && <div class="nv-detail" dir="auto">{l.error}</div>}</td>
		<td>{l.queue || '–'}<div class="nv-by">{l.kind || t('dead.unreadable')} · {bytes(l.size)}</div></td>
		<td>{l.request ? <RequestLink id={l.request} /> : '–'}</td>
		<td>{when(l.since)}{l.host && <div class="nv-by"><bdi>{l.host}</bdi></div>}</td>
		<td>{l.attempts}{l.requeued > 0 && <div class="nv-by">{tn('dead.requeued', l.requeued)}</div>}</td>
		<td><div class="nv-actions">
			<button type="button" class="btn btn-sm btn-outline-primary" disabled={busy}
				aria-label={`${t('dead.requeue')}: ${l.n}`} onClick={() => act('POST', `/dead/${l.id}/requeue`, 'dead.back')}>
				{t('dead.requeue')}</button>
			<button type="button" class={`btn btn-sm ${sure ? 'btn-danger' : 'btn-outline-danger'}`} disabled={busy}
				aria-label={`${t(sure ? 'dead.sure' : 'dead.discard')}: ${l.n}`} onBlur={() => setSure(false)}
				onClick={() => sure ? act('DELETE', `/dead/${l.id}`, 'dead.gone') : setSure(true)}>
				{t(sure ? 'dead.sure' : 'dead.discard')}</button>
		</div></td>
	</tr>;
}

export function Dead() {
	const {data, problem, load} = useAnswer('/dead', LOOK_AGAIN_MS);
	const [busy, setBusy] = useState(false);
	const [said, setSaid] = useState({});
	const act = async (method, path, word) => {
		setBusy(true);
		await call(method, path).then(() => setSaid({word}), (p) => setSaid({problem: p}));
		await load();
		setBusy(false);
	};
	return <>
		<p class="nv-lead">{t('dead.lead')}</p>
		<Trouble problem={problem || said.problem} again={load} />
		<p class="nv-count mb-2" role="status">{said.word && `${t(said.word)} `}
			{data && (data.letters.length ? tn('dead.count', data.letters.length) : t('dead.none'))}
			{data?.more && ` ${t('dead.more')}`}</p>
		{data?.letters.length > 0 && <Wide label={t('admin.dead')} head={<>{['dead.number', 'dead.reason', 'dead.queue',
			'dead.request', 'dead.since', 'dead.attempts', 'list.actions'].map((n) =>
			<th key={n} scope="col">{t(n)}</th>)}</>}>
			<tbody>{data.letters.map((l) => <Letter key={l.id} letter={l} busy={busy} act={act} />)}</tbody></Wide>}
	</>;
}
