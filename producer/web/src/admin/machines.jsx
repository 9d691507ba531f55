// SPDX-License-Identifier: GPL-3.0-or-later
// Who works: course servers, workers, queues; read again by itself.
import {heldText, number, t, when} from '../i18n.js';
import {Heads, RequestLink, Trouble, useAnswer, Wide, YesNoUnknown} from './shared.jsx';

const LOOK_AGAIN_MS = 5000;

// Reads path, says what is wrong, and draws what came.
function Watched({path, children}) {
	const {data, problem, load} = useAnswer(path, LOOK_AGAIN_MS);
	return <>
		<Trouble problem={problem} again={load} />
		{data?.broker_seen === false && <div class="alert alert-info">{t('machines.unseen')}</div>}
		{data && children(data)}
	</>;
}

function Waiting({requests}) {
	const parts = Object.entries(requests).filter(([, n]) => n > 0);
	return parts.length ? parts.map(([state, n]) => <div key={state}>{t(`admin.state.${state}`)}: {number(n)}</div>)
		: '–';
}

// What is in the way and passes by itself.
function Held({held}) {
	return held && <div class="text-danger-emphasis nv-detail" role="status">{t('machines.held')}: {heldText(held.reason)}
		{held.message && <div dir="auto">{held.message}</div>}
		{held.since && <div class="nv-by">{t('held.since', {when: when(held.since)})}</div>}</div>;
}

function LastAnswer({answer}) {
	if (!answer)
		return t('machines.never');
	return <>{when(answer.at)}{answer.status === 'error' && <div class="text-danger-emphasis nv-detail" dir="auto">
		{answer.error}</div>}</>;
}

function Clock({clock}) {
	return clock && <div class="text-danger-emphasis nv-detail">{t(clock.ahead > 0 ? 'sites.ahead' : 'sites.behind',
		{minutes: number(Math.round(Math.abs(clock.ahead) / 6) / 10)})}</div>;
}

export function Sites() {
	return <Watched path="/sites">{({sites}) => <Wide label={t('admin.sites')} head={<Heads names={['filter.site',
		'sites.up', 'sites.window', 'sites.version', 'sites.seen', 'sites.answer', 'sites.requests']} />}>
		<tbody>{sites.map((s) => <tr key={s.site} data-site={s.site}>
			<th scope="row"><bdi>{s.label}</bdi><div class="nv-by">{s.site}</div><Clock clock={s.clock} /></th>
			<td><YesNoUnknown value={s.up} yes="sites.connected" no="sites.away" /></td>
			<td>{s.held ? <Held held={s.held} /> : <YesNoUnknown value={s.open} yes="sites.open" no="sites.closed" />}
				{s.opens && !s.open && <div class="nv-by">{t('sites.opens', {when: when(s.opens)})}</div>}</td>
			<td>{s.moodle_version ?? '–'}</td>
			<td>{when(s.last_seen) || t('machines.never')}</td>
			<td><LastAnswer answer={s.last_answer} /></td>
			<td><a href={`#/requests?site=${encodeURIComponent(s.site)}`}><Waiting requests={s.requests} /></a></td>
		</tr>)}</tbody></Wide>}</Watched>;
}

function Job({job}) {
	return <div><RequestLink id={job.request} /> {job.step && t(`step.${job.step}`)}
		{job.since && <span class="nv-by"> {when(job.since)}</span>}</div>;
}

export function Workers() {
	return <Watched path="/workers">{({workers}) => <Wide label={t('admin.workers')} head={<Heads names={[
		'workers.host', 'workers.role', 'workers.owner', 'workers.alive', 'workers.since', 'workers.heartbeat',
		'workers.slots', 'workers.jobs']} />}>
		<tbody>{workers.map((w) => <tr key={`${w.role}/${w.owner}/${w.host}/${w.pids}`} data-role={w.role}>
			<th scope="row"><bdi>{w.host}</bdi>{w.pids.length > 0 && <div class="nv-by">{w.pids.join(', ')}</div>}</th>
			<td>{t(`workers.${w.role}`)}</td><td>{w.owner}</td>
			<td><YesNoUnknown value={w.alive} yes="yes" no="no" /><Held held={w.held} /></td>
			<td>{when(w.since)}</td><td>{when(w.heartbeat)}</td>
			<td>{w.slots === null ? '–' : `${w.jobs.length}/${w.slots}`}</td>
			<td>{w.jobs.length ? w.jobs.map((j) => <Job key={j.request} job={j} />) : t('workers.idle')}</td>
		</tr>)}</tbody></Wide>}</Watched>;
}

function rate(value) {
	return value === null ? '–' : number(value);
}

export function Queues() {
	return <Watched path="/queues">{({queues, at}) => <>
		<p class="text-body-secondary nv-count mb-2">{t('queues.at', {when: when(at)})}</p>
		<Wide label={t('admin.queues')} head={<Heads names={['queues.name', 'queues.ready', 'queues.unacknowledged',
			'queues.consumers', 'queues.in', 'queues.out', 'queues.acknowledged']} />}>
			<tbody>{queues.map((q) => <tr key={q.queue} data-queue={q.queue}>
				<th scope="row">{q.queue}{!q.exists && <div class="text-danger-emphasis">{t('queues.missing')}</div>}</th>
				<td>{number(q.ready)}</td><td>{number(q.unacknowledged)}</td>
				<td class={q.consumers || !/^(archive|restore|events)\./.test(q.queue) ? '' : 'text-danger-emphasis'}>
					{number(q.consumers)}</td>
				<td>{rate(q.rates.in)}</td><td>{rate(q.rates.out)}</td><td>{rate(q.rates.acknowledged)}</td>
			</tr>)}</tbody></Wide></>}</Watched>;
}
