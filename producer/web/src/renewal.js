// SPDX-License-Identifier: GPL-3.0-or-later
// Moodle has to confirm now and then what somebody may; where the producer cannot ask it, the browser goes
// through the block's button there and comes back signed in anew.  What the person was about is kept.

const KEY = 'navette.renewal';

let tell = () => ({}); // what the page in sight wants kept
let going = false;
let kept = {};

export function whenRenewing(callback) {
	tell = callback;
}

function go(address) {
	sessionStorage.setItem(KEY, JSON.stringify({...kept, hash: location.hash, ...tell()}));
	location.assign(address);
}

// A page that nobody looks at waits: what nobody uses should end.
export function renew(address) {
	if (going)
		return;
	going = true;
	if (document.hidden)
		addEventListener('visibilitychange', () => go(address), {once: true});
	else
		go(address);
}

// Once, when the page begins; the answer is what was kept.
export function comeBack() {
	try {
		kept = JSON.parse(sessionStorage.getItem(KEY)) || {};
	} catch {
		kept = {};
	}
	sessionStorage.removeItem(KEY);
	return kept;
}

// What was chosen before, by the same person; told once.
export function chosenBefore(user) {
	const chosen = kept.user === user && kept.chosen || [];
	kept = {};
	return chosen;
}
