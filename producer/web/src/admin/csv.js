// SPDX-License-Identifier: GPL-3.0-or-later
// Lists as CSV (RFC 4180), for spreadsheets: what one of them would take for a formula is text there.

export function csvCell(value) {
	const text = value === null || value === undefined ? '' : String(value);
	// OWASP's list of beginnings; a full-width = + - @ counts in some locales as well.
	const plain = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
	return /[",\r\n']/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
}

export function csvText(names, items) {
	return [names, ...items.map((item) => names.map((name) => item[name]))]
		.map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
}

export const REQUEST_COLUMNS = ['id', 'site', 'course', 'shortname', 'fullname', 'user', 'user_name', 'by', 'source',
	'state', 'reason', 'message', 'category', 'user_data', 'enrolment', 'created', 'modified', 'finished', 'url'];

// Of a course that was asked for by its id alone, the archive brought the names.
export function requestCells(request) {
	const {shortname, fullname, restored} = request;
	return {...request, shortname: shortname || restored?.shortname, fullname: fullname || restored?.fullname,
		url: restored?.url};
}

export function saveCsv(file, names, items) {
	const url = URL.createObjectURL(new Blob(['\ufeff', csvText(names, items)], {type: 'text/csv;charset=utf-8'}));
	const link = document.createElement('a');
	link.href = url;
	link.download = file;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 60000);
}
