// SPDX-License-Identifier: GPL-3.0-or-later
// The event stream, kept open.  The browser comes back by itself after a break and asks for what it
// missed; when it gives up (the producer said 503, say) a new stream is opened and everything read
// anew.
import {call} from './api.js';

const AGAIN_MS = 3000;

export class Live {
	// handlers: request(event), join(event), reload(), trouble(what): 'lost', 'crowded' (of all the
	// reader's pages, too many are open) or null.
	constructor(handlers) {
		this.handlers = handlers;
		this.closed = false;
		this.lost = false;
		this.open();
	}

	open() {
		const source = new EventSource('/api/v1/events');
		this.source = source;
		for (const name of ['request', 'join'])
			source.addEventListener(name, (e) => this.handlers[name](JSON.parse(e.data)));
		source.addEventListener('reset', () => this.handlers.reload());
		source.addEventListener('close', (e) => this.refused(JSON.parse(e.data).reason));
		source.onopen = () => {
			this.handlers.trouble(null);
			if (this.lost)
				this.handlers.reload();
			this.lost = false;
		};
		source.onerror = () => {
			if (this.closed)
				return;
			const gaveUp = source.readyState === EventSource.CLOSED;
			if (!gaveUp || !this.lost) // until it is known better
				this.handlers.trouble('lost');
			this.lost = true;
			if (gaveUp)
				this.again();
		};
	}

	// The producer has ended it: with other rights everything looks different.
	refused(reason) {
		if (this.closed)
			return;
		this.source.close();
		this.lost = true;
		this.handlers.trouble('lost');
		if (reason === 'rights')
			location.reload();
		else
			this.again(0);
	}

	// The browser does not say why the stream was refused; asked for by HEAD, the producer does.
	async again(ms = AGAIN_MS) {
		const problem = await call('HEAD', '/events').then(() => null, (p) => p);
		if (this.closed)
			return;
		if (problem)
			this.handlers.trouble(problem.status === 429 ? 'crowded' : 'lost');
		this.timer = setTimeout(() => problem ? this.again() : this.open(), problem ? AGAIN_MS : ms);
	}

	close() {
		this.closed = true;
		clearTimeout(this.timer);
		this.source.close();
	}
}
