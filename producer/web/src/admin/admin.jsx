// SPDX-License-Identifier: GPL-3.0-or-later
// The administrators' pages; which one is shown stands in the address, behind the #.
import {t} from '../i18n.js';
import {Dead} from './dead.jsx';
import {Give} from './give.jsx';
import {Queues, Sites, Workers} from './machines.jsx';
import {Requests} from './requests.jsx';
import {Times} from './times.jsx';

const PAGES = [['requests', Requests], ['give', Give], ['sites', Sites], ['workers', Workers],
	['queues', Queues], ['dead', Dead], ['times', Times]];

export const ADMIN_HOME = '#/requests';

// '#/requests?text=…' → {name: 'requests', values}; anything else is the teacher's page.
export function adminRoute(hash) {
	const [name, query] = hash.replace(/^#\//, '').split('?');
	return hash.startsWith('#/') && PAGES.some(([n]) => n === name)
		? {name, values: new URLSearchParams(query || '')} : null;
}

export function Admin({session, route}) {
	const [, Page] = PAGES.find(([name]) => name === route.name);
	return <>
		<nav class="container-xxl nv-tabs" aria-label={t('admin')}>
			<ul class="nav nav-underline">{PAGES.map(([name]) => <li key={name} class="nav-item">
				<a class={`nav-link ${name === route.name ? 'active' : ''}`} href={`#/${name}`}
					aria-current={name === route.name ? 'page' : undefined}>{t(`admin.${name}`)}</a></li>)}
			</ul>
		</nav>
		<main id="main" class="container-xxl nv-main nv-admin-main" tabIndex={-1}>
			<h1>{t(`admin.${route.name}`)}</h1>
			<Page key={`${route.name}?${route.values}`} session={session} values={route.values} />
		</main>
	</>;
}
