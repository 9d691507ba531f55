// SPDX-License-Identifier: GPL-3.0-or-later
// The event stream, kept open.  The browser comes back by itself after a break and asks for what it
// missed; when it gives up (the producer said 503, say) a new stream is opened and everything read
// anew.

const AGAIN_MS = 3000;

export class Live {
	// handlers: request(event), join(event), reload(), connected(bool), check(): is the session alive?
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
			this.handlers.connected(true);
			if (this.lost)
				this.handlers.reload();
			this.lost = false;
		};
		source.onerror = () => {
			if (this.closed)
				return;
			this.lost = true;
			this.handlers.connected(false);
			if (source.readyState === EventSource.CLOSED)
				this.again();
		};
	}

	// The producer has ended it: with other rights everything looks different.
	refused(reason) {
		if (this.closed)
			return;
		this.source.close();
		this.lost = true;
		this.handlers.connected(false);
		if (reason === 'rights')
			location.reload();
		else
			this.again(0);
	}

	// The stream does not say why it was refused; the session does.
	again(ms = AGAIN_MS) {
		this.timer = setTimeout(async () => {
			const fine = await this.handlers.check().then(() => true, () => false);
			if (this.closed)
				return;
			if (fine)
				this.open();
			else
				this.again();
		}, ms);
	}

	close() {
		this.closed = true;
		clearTimeout(this.timer);
		this.source.close();
	}
}
