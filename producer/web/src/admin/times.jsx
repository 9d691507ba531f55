// SPDX-License-Identifier: GPL-3.0-or-later
// Where time goes: each step over the newest restored requests, and request by request.
import {useState} from 'preact/hooks';
import {number, t, tn, when} from '../i18n.js';
import {Heads, requestAddress, Trouble, useAnswer, Wide} from './shared.jsx';

const STEPS = ['queued', 'export', 'upload', 'wait', 'download', 'import'];
const LAST = [50, 200, 1000];
const SHOWN = 30; // requests in the plot
const BAR = 18; // height of one, in the plot's units; its width is 1000

function duration(ms) {
	if (ms === null)
		return '–';
	return ms < 1000 ? t('times.ms', {n: number(ms)}) : t('times.seconds', {n: number(ms / 1000)});
}

function sum(ms) {
	return STEPS.reduce((all, step) => all + ms[step], 0);
}

function Legend() {
	return <ul class="nv-legend">{STEPS.map((s) => <li key={s}><span class={`nv-swatch nv-step-${s}`} aria-hidden="true" />
		{t(`times.${s}`)}</li>)}</ul>;
}

// One bar a request, its steps one after the other, all to one scale.
function Plot({requests}) {
	const longest = Math.max(1, ...requests.map((r) => sum(r.ms)));
	return <svg class="nv-plot" viewBox={`0 0 1000 ${requests.length * BAR}`} role="group"
		aria-label={tn('times.plot', requests.length)} preserveAspectRatio="none">
		{requests.map((r, row) => {
			let x = 0;
			const text = `${when(r.finished)}, ${r.site}: ${STEPS.map((s) => `${t(`times.${s}`)} ${duration(r.ms[s])}`).join(', ')}`;
			return <a key={r.id} href={requestAddress(r.id)} aria-label={text}><title>{text}</title>
				<rect class="nv-plot-back" x={0} y={row * BAR} width={1000} height={BAR - 3} />
				{STEPS.map((s) => {
					const width = r.ms[s] / longest * 1000;
					const at = x;
					x += width;
					return <rect key={s} class={`nv-step-${s}`} x={at} y={row * BAR} width={width} height={BAR - 3} />;
				})}</a>;
		})}
	</svg>;
}

function Share({value, most}) {
	return <svg class="nv-share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
		<rect class="nv-plot-back" width={100} height={10} />
		<rect class="nv-share-bar" width={most ? (value || 0) / most * 100 : 0} height={10} /></svg>;
}

export function Times() {
	const [last, setLast] = useState(200);
	const {data, problem, load} = useAnswer(`/stats/steps?last=${last}`, 30000);
	const most = data ? Math.max(...STEPS.map((s) => data.steps[s].mean || 0)) : 0;
	return <>
		<Trouble problem={problem} again={load} />
		<div class="nv-filter nv-choice-row"><label class="form-label" for="nv-last">{t('times.last')}</label>
			<select class="form-select" id="nv-last" value={String(last)} onChange={(e) => setLast(Number(e.currentTarget.value))}>
				{LAST.map((n) => <option key={n} value={String(n)}>{n}</option>)}</select></div>
		{data && !data.requests.length && <p>{t('times.none')}</p>}
		{data && data.requests.length > 0 && <>
			<Wide label={tn('times.over', data.requests.length)} head={<Heads names={['times.step', 'times.mean',
				'times.median', 'times.p90', 'times.most', 'times.share']} />}>
				<tbody>{STEPS.map((s) => <tr key={s} data-step={s}>
					<th scope="row"><span class={`nv-swatch nv-step-${s}`} aria-hidden="true" /> {t(`times.${s}`)}</th>
					{['mean', 'median', 'p90', 'most'].map((v) => <td key={v}>{duration(data.steps[s][v])}</td>)}
					<td><Share value={data.steps[s].mean} most={most} /></td></tr>)}</tbody></Wide>
			<h2>{tn('times.plot', Math.min(SHOWN, data.requests.length))}</h2>
			<Legend />
			<Plot requests={data.requests.slice(0, SHOWN)} />
		</>}
	</>;
}
