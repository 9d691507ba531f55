// SPDX-License-Identifier: GPL-3.0-or-later
// Bootstrap's colours as the reader's system has them, before anything is drawn.
const dark = window.matchMedia('(prefers-color-scheme: dark)');

function apply() {
	document.documentElement.dataset.bsTheme = dark.matches ? 'dark' : 'light';
}

apply();
dark.addEventListener('change', apply);
