// SPDX-License-Identifier: GPL-3.0-or-later
// The frame of all pages: who is signed in, language, signing in and out.
import {render} from 'preact';
import {useEffect, useState} from 'preact/hooks';
import {Admin, ADMIN_HOME, adminRoute} from './admin/admin.jsx';
import {call, setCsrf, whenSessionLost} from './api.js';
import {chooseLanguage, forgetLanguage, language, pickLanguage, problemText, t} from './i18n.js';
import {comeBack} from './renewal.js';
import {Teacher} from './teacher.jsx';

const LANGUAGES = [['en', 'English'], ['fr', 'Français']];
const AGAIN_MS = 3000;

function Languages({onChange}) {
	return <div class="btn-group btn-group-sm" role="group" aria-label={t('language')}>
		{LANGUAGES.map(([tag, name]) => <button key={tag} type="button" lang={tag} title={name}
			class="btn btn-outline-secondary" aria-pressed={language() === tag} aria-label={`${tag.toUpperCase()}: ${name}`}
			onClick={() => onChange(tag)}>{tag.toUpperCase()}</button>)}
	</div>;
}

// Where we are, behind the address's #; what is in sight begins at its top, for the keyboard as well.
function useHash() {
	const [hash, setHash] = useState(location.hash);
	useEffect(() => {
		const moved = () => {
			setHash(location.hash);
			scrollTo(0, 0);
			document.getElementById('main')?.focus();
		};
		addEventListener('hashchange', moved);
		return () => removeEventListener('hashchange', moved);
	}, []);
	return hash;
}

function Places({session, route}) {
	const link = (href, word, here) => <a class={`nav-link ${here ? 'active' : ''}`} href={href}
		aria-current={here ? 'page' : undefined}>{t(word)}</a>;
	return session?.user.admin && <nav class="nav nv-places" aria-label={t('places')}>
		{link('#/', 'places.mine', !route)}{link(ADMIN_HOME, 'admin', route)}</nav>;
}

function Header({session, route, home, onLanguage, onSignOut}) {
	return <header class="navbar border-bottom nv-header">
		<div class="container-xxl">
			<span class="navbar-brand">Navette</span>
			<Places session={session} route={route} />
			<div class="nv-header-end">
				{home && <a class="btn btn-sm btn-link" href={home}>{t('moodle')}</a>}
				<Languages onChange={onLanguage} />
				{session && <span class="nv-who"><bdi>{session.user.name || session.user.username}</bdi></span>}
				{session && <button type="button" class="btn btn-sm btn-outline-secondary" id="sign-out"
					onClick={onSignOut}>{t('signout')}</button>}
			</div>
		</div>
	</header>;
}

function SignIn({note, onSession}) {
	const [problem, setProblem] = useState(null);
	const [busy, setBusy] = useState(false);
	const submit = async (e) => {
		e.preventDefault();
		const form = new FormData(e.currentTarget);
		setBusy(true);
		try {
			onSession(await call('POST', '/session',
				{username: form.get('username'), password: form.get('password')}));
		} catch (p) {
			setProblem(p);
			setBusy(false);
		}
	};
	const wrong = problem?.status === 401 || problem?.status === 422;
	return <main id="main" class="container nv-narrow" tabIndex={-1}>
		<h1>{t('signin')}</h1>
		{note && !problem && <div class="alert alert-info" role="status">{note}</div>}
		{problem && <div class="alert alert-danger" role="alert">
			{wrong ? t('signin.wrong') : problem.status === 429 ? t('signin.later') : problemText(problem)}</div>}
		<p class="text-body-secondary">{t('signin.hint')}</p>
		<form onSubmit={submit}>
			<div class="mb-3"><label class="form-label" for="username">{t('username')}</label>
				<input class="form-control" id="username" name="username" autocomplete="username" required /></div>
			<div class="mb-3"><label class="form-label" for="password">{t('password')}</label>
				<input class="form-control" id="password" name="password" type="password"
					autocomplete="current-password" required /></div>
			<button class="btn btn-primary" disabled={busy}>{t('signin')}</button>
		</form>
	</main>;
}

function Away() {
	return <main id="main" class="container nv-narrow" tabIndex={-1}>
		<div class="alert alert-warning" role="status">
			<span class="spinner-border spinner-border-sm me-2" aria-hidden="true" />{t('away')}</div>
	</main>;
}

function App() {
	const [phase, setPhase] = useState('loading');
	const [session, setSession] = useState(null);
	const [home, setHome] = useState(null);
	const [note, setNote] = useState(null);
	const [, draw] = useState(0);
	const hash = useHash();
	const route = session?.user.admin ? adminRoute(hash) : null;

	const enter = (s) => {
		setCsrf(s.csrf);
		pickLanguage(s.user.lang);
		setHome(s.home);
		setSession(s);
		setPhase('page');
	};
	const leave = (text) => {
		setCsrf(null);
		setSession(null);
		setNote(text);
		setPhase('signin');
	};
	const look = async () => {
		try {
			enter(await call('GET', '/session'));
		} catch (problem) {
			if (problem.status === 401) {
				leave(null);
			} else {
				setPhase('away');
				setTimeout(look, AGAIN_MS);
			}
		}
	};
	const signOut = async () => {
		try {
			await call('DELETE', '/session');
		} catch {
			// it ends by time
		}
		forgetLanguage();
		leave(t('signedout'));
	};
	useEffect(() => {
		pickLanguage(null);
		const {hash: before} = comeBack();
		if (before && !location.hash)
			location.hash = before;
		whenSessionLost(() => leave(t('session.lost')));
		look();
	}, []);
	return <>
		<a class="visually-hidden-focusable nv-skip" href="#main" onClick={(e) => {
			e.preventDefault(); // the address says which page this is
			document.getElementById('main')?.focus();
		}}>{t('skip')}</a>
		<Header session={session} route={route} home={home} onSignOut={signOut} onLanguage={(tag) => {
			chooseLanguage(tag);
			draw((n) => n + 1);
		}} />
		{phase === 'signin' && <SignIn note={note} onSession={enter} />}
		{phase === 'away' && <Away />}
		{phase === 'page' && (route ? <Admin key={session.csrf} session={session} route={route} />
			: <Teacher key={session.csrf} session={session} />)}
	</>;
}

render(<App />, document.getElementById('app'));
