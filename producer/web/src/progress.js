// SPDX-License-Identifier: GPL-3.0-or-later
// How far a request is on its whole way, and how long the rest will take.

const ACTIVE = ['scheduled', 'exporting', 'ready', 'importing', 'cancelling'];
// Where each step begins and ends, in parts of the whole.
const STEPS = {
	export: [0.02, 0.35],
	upload: [0.35, 0.55],
	fetch: [0.55, 0.7],
	import: [0.7, 0.99],
};
const STATES = {scheduled: 0, exporting: 0.02, ready: 0.55, importing: 0.55, restored: 1};

export function isActive(request) {
	return ACTIVE.includes(request.state);
}

function place(request) {
	const base = STATES[request.state] ?? 0;
	const step = STEPS[request.step];
	const inStep = (request.state === 'exporting' || request.state === 'importing') && step;
	if (!inStep)
		return base;
	const part = request.total > 0 ? Math.min(1, request.done / request.total) : 0;
	return Math.max(base, step[0] + (step[1] - step[0]) * part);
}

// A total of 1000 or less is Moodle's thousandths, not bytes.
export function inBytes(request) {
	return (request.state === 'exporting' || request.state === 'importing') &&
		request.step in STEPS && request.done > 0 && (request.total > 1000 || !request.total);
}

// One for each request on the page; what it says never goes back within a revision.
export class Meter {
	constructor() {
		this.rev = 0;
		this.start();
	}

	start() {
		this.fraction = 0;
		this.since = null; // when it was first seen to move, and where
		this.rate = null; // parts of the whole in a millisecond
	}

	take(request, now) {
		if (request.rev !== this.rev) {
			this.rev = request.rev;
			this.start();
		}
		const fraction = place(request);
		if (fraction <= this.fraction)
			return;
		this.fraction = fraction;
		this.since ??= {now, fraction};
		const passed = now - this.since.now;
		if (passed >= 1000 && fraction - this.since.fraction >= 0.03) {
			const rate = (fraction - this.since.fraction) / passed;
			this.rate = this.rate ? 0.7 * this.rate + 0.3 * rate : rate;
		}
	}

	// Milliseconds; null: not known yet.
	get left() {
		return this.rate ? (1 - this.fraction) / this.rate : null;
	}
}
