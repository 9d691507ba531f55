// SPDX-License-Identifier: GPL-3.0-or-later
// "Restore for a user": one course, or a list of up to 1,000 that is checked before it is submitted.
import {useState} from 'preact/hooks';
import {call, randomKey} from '../api.js';
import {problemText, t, tn} from '../i18n.js';
import {saveCsv} from './csv.js';
import {Fields} from './details.jsx';
import {RequestLink, Trouble, useAnswer, Wide} from './shared.jsx';

const LARGEST = 1 << 20; // bytes of a list, as the producer takes it

// Submits, and the same again under the same key, so that an answer that was lost doubles nothing.
function useSubmit() {
	const [last, setLast] = useState(null);
	return async (body) => {
		const text = typeof body === 'string' ? body : JSON.stringify(body);
		const key = last?.text === text ? last.key : randomKey();
		setLast({text, key});
		const answer = await call('POST', '/requests', body, {'Idempotency-Key': key});
		setLast(null);
		return answer;
	};
}

// --- one ---

function Courses({user, site, course, onChange}) {
	const [problem, setProblem] = useState(null);
	const [list, setList] = useState([]);
	const look = async () => {
		setProblem(null);
		try {
			const {sites} = await call('GET', `/courses?user=${encodeURIComponent(user)}`);
			const found = sites.find((s) => s.site === site);
			setList(found?.courses || []);
			if (found && found.status !== 'ok')
				setProblem({reason: '', detail: `${found.label}: ${t(`site.${found.status}`)}`});
		} catch (p) {
			setProblem(p);
		}
	};
	return <>
		<div class="col-12 col-md-6"><label class="form-label" for="nv-give-course">{t('give.course')}</label>
			<div class="input-group">
				<input class="form-control" id="nv-give-course" list="nv-give-courses" required maxLength={64}
					value={course} onInput={(e) => onChange(e.currentTarget.value)} />
				<button type="button" class="btn btn-outline-secondary" disabled={!user || !site} onClick={look}>
					{t('give.look')}</button>
			</div>
			<datalist id="nv-give-courses">{list.map((c) => <option key={c.course} value={c.course}>
				{`${c.fullname} (${c.shortname})${c.damaged ? ` – ${t('damaged')}` : ''}`}</option>)}</datalist>
			{list.length > 0 && <div class="form-text" role="status">{tn('courses', list.length)}</div>}
		</div>
		{problem && <div class="col-12"><Trouble problem={problem} /></div>}
	</>;
}

function One({session, sites}) {
	const o = session.options;
	const [wanted, setWanted] = useState({site: '', user: '', course: '', category: '', now: false,
		keep_category: o.keep_category, user_data: o.user_data, leave_out: o.leave_out, enrolment: o.enrolment});
	const [answer, setAnswer] = useState(null);
	const [busy, setBusy] = useState(false);
	const submit = useSubmit();
	const set = (change) => setWanted({...wanted, ...change});
	const site = wanted.site || sites[0]?.site || '';
	const send = async (e) => {
		e.preventDefault();
		setBusy(true);
		try {
			const {category, user, enrolment, ...rest} = wanted;
			const item = {...rest, site, course: wanted.course.trim(), user: user.trim() || null, source: 'admin'};
			if (category.trim())
				item.category = category.trim();
			if (enrolment !== o.enrolment) // the site's own holds without being named
				item.enrolment = enrolment;
			setAnswer({results: (await submit(item)).results});
		} catch (problem) {
			setAnswer({problem});
		}
		setBusy(false);
	};
	return <section class="nv-section"><h2>{t('give.one')}</h2>
		<form onSubmit={send}>
			<div class="row g-3 mb-3">
				{sites.length > 1 && <div class="col-12 col-md-6">
					<label class="form-label" for="nv-give-site">{t('filter.site')}</label>
					<select class="form-select" id="nv-give-site" value={site}
						onChange={(e) => set({site: e.currentTarget.value})}>
						{sites.map((s) => <option key={s.site} value={s.site}>{s.label}</option>)}</select></div>}
				<div class="col-12 col-md-6"><label class="form-label" for="nv-give-user">{t('give.user')}</label>
					<input class="form-control" id="nv-give-user" value={wanted.user} maxLength={255} autocomplete="off"
						aria-describedby="nv-give-user-hint" onInput={(e) => set({user: e.currentTarget.value})} />
					<div class="form-text" id="nv-give-user-hint">{t('give.user.hint')}</div></div>
				<Courses user={wanted.user.trim()} site={site} course={wanted.course}
					onChange={(course) => set({course})} />
			</div>
			<Fields id="nv-give" name={t('give.one')} wanted={wanted} set={set} disabled={busy} />
			<div class="form-check my-3"><input class="form-check-input" type="checkbox" id="nv-give-now"
				checked={wanted.now} onChange={(e) => set({now: e.currentTarget.checked})} />
				<label class="form-check-label" for="nv-give-now">{t('give.now')}</label></div>
			<button class="btn btn-primary" disabled={busy || !site}>{t('restore')}</button>
		</form>
		{answer?.problem && <div class="mt-3"><Trouble problem={answer.problem} /></div>}
		{answer?.results && <div class="alert alert-success mt-3" role="status">{t('give.done')}{' '}
			<RequestLink id={answer.results[0].id} /></div>}
	</section>;
}

// --- a list ---

function Outcome({result: r}) {
	if (r.problem)
		return <span class="text-danger-emphasis">{problemText(r.problem, true)}
			{r.problem.detail && <div class="nv-detail" dir="auto">{r.problem.detail}</div>}</span>;
	return r.status === 202 ? <>{t('give.accepted')} <RequestLink id={r.id} /></>
		: <>{t(r.checked === 'course-server' ? 'give.good' : 'give.unasked')}</>;
}

// What the row asks for: of a request that was made, or of one that was only checked or refused.
const nameOf = ({request, site, course, fullname, user}) => request || {site, course, fullname, user};

function Rows({results}) {
	return <Wide label={t('give.results')} head={<>{['give.line', 'filter.site', 'col.course', 'list.user', 'give.result']
		.map((n) => <th key={n} scope="col">{t(n)}</th>)}</>}>
		<tbody>{results.map((r, i) => <tr key={i} data-line={r.line} data-good={!r.problem}>
			<th scope="row">{r.line}</th><td>{nameOf(r).site || ''}</td>
			<td dir="auto">{nameOf(r).fullname || nameOf(r).course || ''}</td>
			<td><bdi>{nameOf(r).user || ''}</bdi></td><td><Outcome result={r} /></td></tr>)}</tbody>
	</Wide>;
}

function List() {
	const [text, setText] = useState('');
	const [state, setState] = useState(null); // {results, good, done, problem}
	const [busy, setBusy] = useState(false);
	const submit = useSubmit();
	const change = (value) => {
		setText(value);
		setState(null); // what was checked is not this
	};
	const take = async (file) => {
		if (!file)
			return;
		if (file.size > LARGEST) {
			setState({problem: {reason: '', detail: t('give.large')}});
			return;
		}
		change(await file.text());
	};
	const run = async (ask, done) => {
		setBusy(true);
		try {
			setState({...await ask(), done});
		} catch (problem) {
			setState({problem});
		}
		setBusy(false);
	};
	const bad = state?.results?.filter((r) => r.problem).length || 0;
	const save = () => saveCsv('navette-results.csv', ['line', 'site', 'course', 'user', 'status', 'reason', 'detail', 'id'],
		state.results.map((r) => ({site: nameOf(r).site, course: nameOf(r).course, user: nameOf(r).user, line: r.line, status: r.status, reason: r.problem?.reason,
			detail: r.problem?.detail, id: r.id})));
	return <section class="nv-section"><h2>{t('give.list')}</h2>
		<p>{t('give.list.hint')}</p>
		<div class="mb-3"><label class="form-label" for="nv-csv-file">{t('give.file')}</label>
			<input class="form-control" type="file" id="nv-csv-file" accept=".csv,text/csv,text/plain"
				onChange={(e) => take(e.currentTarget.files[0])} /></div>
		<div class="mb-3"><label class="form-label" for="nv-csv">{t('give.rows')}</label>
			<textarea class="form-control nv-csv" id="nv-csv" rows={6} spellcheck={false} value={text}
				placeholder="site,course,user" onInput={(e) => change(e.currentTarget.value)} /></div>
		<div class="nv-actions mb-3">
			<button type="button" class="btn btn-outline-primary" disabled={busy || !text.trim()}
				onClick={() => run(() => call('POST', '/requests/check', text), false)}>{t('give.check')}</button>
			<button type="button" class="btn btn-primary" disabled={busy || !state?.good || state.done}
				onClick={() => run(() => submit(text), true)}>{state?.good && !state.done
					? tn('give.submit', state.good) : t('restore')}</button>
			{state?.results && <button type="button" class="btn btn-outline-secondary" onClick={save}>
				{t('give.save')}</button>}
		</div>
		{state?.problem && <Trouble problem={state.problem} />}
		{state?.results && <>
			<p role="status" class="nv-count mb-2">{tn(state.done ? 'give.sent' : 'give.fine',
				state.results.length - bad)}{bad > 0 && ` ${tn('give.bad', bad)}`}</p>
			<Rows results={state.results} />
		</>}
	</section>;
}

export function Give({session}) {
	const {data, problem, load} = useAnswer('/sites');
	return <>
		<Trouble problem={problem} again={load} />
		{data && <One session={session} sites={data.sites} />}
		<List />
	</>;
}
