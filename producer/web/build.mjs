// SPDX-License-Identifier: GPL-3.0-or-later
// node build.mjs OUT MODULES OPENAPI: bundles the pages and writes
//   OUT/assets.c       every file as C arrays, also gzip and brotli, under a name with its hash
//   OUT/licences.txt   of the packages that the bundles hold
// MODULES is the folder node_modules that npm ci made.
import {createHash} from 'node:crypto';
import {mkdirSync, readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {brotliCompressSync, constants, gzipSync} from 'node:zlib';

const [out, modules, openapi] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const esbuild = createRequire(join(modules, 'x.js'))('esbuild');

async function bundle(entry) {
	const built = await esbuild.build({
		entryPoints: [join(here, 'src', entry)],
		bundle: true,
		minify: true,
		write: false,
		metafile: true,
		outdir: out,
		nodePaths: [modules],
		jsx: 'automatic',
		jsxImportSource: 'preact',
		target: ['es2020', 'firefox102', 'safari15'],
		charset: 'utf8',
		legalComments: 'none',
		logLevel: 'warning',
	});
	return {bytes: Buffer.from(built.outputFiles[0].contents), inputs: Object.keys(built.metafile.inputs)};
}

function hash(bytes) {
	return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

function compressed(bytes) {
	const params = {[constants.BROTLI_PARAM_QUALITY]: 11};
	return {plain: bytes, gzip: gzipSync(bytes, {level: 9}), brotli: brotliCompressSync(bytes, {params})};
}

function licences(inputs) {
	const names = new Set(inputs.map((path) => path.split('node_modules/').pop())
		.filter((path, i) => inputs[i].includes('node_modules/')).map((path) => path.split('/')[0]));
	const parts = [...names].sort().map((name) => {
		const folder = join(modules, name);
		const {version, license} = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
		const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
		if (!file)
			throw new Error(`${name} comes without its licence`);
		return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8')}`;
	});
	return `What is bundled into the pages besides Navette's own code:\n\n${parts.join('\n\n')}`;
}

function bytesOf(buffer) {
	let text = '';
	for (let i = 0; i < buffer.length; i++)
		text += buffer[i] + (i % 32 === 31 ? ',\n' : ',');
	return text;
}

function emit(assets) {
	let arrays = '';
	let rows = '';
	assets.forEach((a, i) => {
		const parts = compressed(a.bytes);
		const fields = Object.entries(parts).map(([name, bytes]) => {
			arrays += `static const unsigned char ${name}_${i}[] = {${bytesOf(bytes)}0};\n`;
			return `{${name}_${i}, ${bytes.length}}`;
		});
		rows += `\t{"${a.path}", "${a.name}", "${a.type}", "W/\\"${hash(a.bytes)}\\"", ` +
			`${a.lasting}, ${fields.join(', ')}},\n`;
	});
	return `#include "producer/assets.h"\n${arrays}const struct asset nv_assets[] = {\n${rows}};\n` +
		`const size_t nv_assets_len = ${assets.length};\n`;
}

const assets = [];
function add(name, type, bytes) {
	const [, stem, ending] = /^(.*)(\.[a-z]+)$/.exec(name);
	const path = `/assets/${stem}-${hash(bytes)}${ending}`;
	assets.push({path, name, type, bytes, lasting: true});
	return path;
}

mkdirSync(out, {recursive: true});
const [app, css, theme] = await Promise.all(['app.jsx', 'app.css', 'theme.js'].map(bundle));
const paths = {
	app: add('app.js', 'text/javascript; charset=utf-8', app.bytes),
	css: add('app.css', 'text/css; charset=utf-8', css.bytes),
	theme: add('theme.js', 'text/javascript; charset=utf-8', theme.bytes),
	icon: add('icon.svg', 'image/svg+xml', readFileSync(join(here, 'src', 'icon.svg'))),
};
const html = readFileSync(join(here, 'src', 'index.html'), 'utf8')
	.replace(/\{(\w+)\}/g, (whole, name) => paths[name] ?? whole);
assets.push({path: '/', name: 'index.html', type: 'text/html; charset=utf-8',
	bytes: Buffer.from(html), lasting: false});
assets.push({path: '/api/v1/openapi.yaml', name: 'openapi.yaml', type: 'application/yaml',
	bytes: readFileSync(openapi), lasting: false});
writeFileSync(join(out, 'licences.txt'), licences([...app.inputs, ...css.inputs]));
writeFileSync(join(out, 'assets.c'), emit(assets));
