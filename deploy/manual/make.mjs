// SPDX-License-Identifier: GPL-3.0-or-later
// The manual pages and the shell's completion, from what the programs say of themselves: the command
// table (navette help --json), the configuration's table (navette config example), the daemons' --help
// and proto/README.md, which is made of the messages' tables.
//
//   node make.mjs PROGRAMS SOURCE OUT     writes OUT/man1, man5, man7, man8 and OUT/navette.bash
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const [programs, source, out] = process.argv.slice(2)
const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 24 })
const navette = (...args) => run(join(programs, 'navette'), ...args)

const version = navette('--version').trim().split(' ').pop()
const stamp = Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000)
const day = new Date(stamp * 1000).toISOString().slice(0, 10)
const { commands, options: common } = JSON.parse(navette('help', '--json'))

// --- roff ---

// As text: nothing in it is a request, a hyphen is one that can be copied.
const text = s => s.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^([.'])/gm, '\\&$1')
const bold = s => `\\fB${text(s)}\\fR`
// FILE, SITE, ID...: what is to be replaced.
const signature = s => text(s).replace(/[A-Z][A-Z.\\-]*[A-Z]|\b[A-Z]\b/g, '\\fI$&\\fR')
const header = (name, section, title) =>
  `.\\" SPDX-License-Identifier: GPL-3.0-or-later\n.TH "${name.toUpperCase()}" "${section}" "${day}" ` +
  `"Navette ${version}" "Navette"\n.SH NAME\n${text(name)} \\- ${text(title)}\n`
const usage = o => `${o.letter ? `${bold('-' + o.letter)}, ` : ''}${bold('--' + o.name)}` +
  (o.value ? ` ${signature(o.value)}` : '')
const optionList = list => list.map(o => `.TP\n${usage(o)}\n${text(o.help)}\n`).join('')
const seeAlso = names => `.SH SEE ALSO\n${names.map(([n, s]) => `.BR ${text(n)} (${s})`).join(',\n')}\n`

function save(name, section, body) {
  mkdirSync(join(out, `man${section}`), { recursive: true })
  writeFileSync(join(out, `man${section}`, `${name}.${section}.gz`), gzipSync(body, { level: 9 }))
}

// --- one page a command ---

const page = c => 'navette-' + c.command.replaceAll(' ', '-')
const exits = '.SH EXIT STATUS\n0: done; 1: failed, and why is on standard error (with ' +
  `${bold('--json')}, in the document); 2: wrong usage.\n`
for (const c of commands) {
  const own = c.options ?? []
  save(page(c), 1, header(page(c), 1, c.help) +
    `.SH SYNOPSIS\n${bold('navette ' + c.command)}${c.arguments ? ' ' + signature(c.arguments) : ''}` +
    ' [\\fIOPTIONS\\fR]\n' +
    (c.more ? `.SH DESCRIPTION\n${text(c.more)}\n` : '') +
    (own.length ? `.SH OPTIONS\n${optionList(own)}` : '') +
    `.SH OPTIONS OF EVERY COMMAND\n${optionList(common)}` + exits +
    seeAlso([['navette', 1], ['navette.yaml', 5]]))
}
save('navette', 1, header('navette', 1, "brings courses from a remote Moodle onto this one: the operator's command") +
  '.SH SYNOPSIS\n\\fBnavette\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n.SH COMMANDS\nEach has a page of its own.\n' +
  commands.map(c => `.TP\n${bold(c.command)}${c.arguments ? ' ' + signature(c.arguments) : ''}\n${text(c.help)};\n` +
    `.BR ${text(page(c))} (1)\n`).join('') +
  `.SH OPTIONS\n${optionList(common)}` + exits +
  '.SH FILES\n.TP\n.I /etc/navette/navette.yaml\nThe configuration.\n' +
  '.TP\n.I /usr/share/navette/block_navette.zip\nThe plugin for both Moodles, as their installer takes it.\n' +
  '.TP\n.I /usr/share/doc/navette\\-common/examples\nThe configuration with every key explained, the broker\'s and the\n' +
  'staging server\'s.\n' +
  seeAlso([['navette-producer', 8], ['navette-archiver', 8], ['navette-worker', 8], ['navette.yaml', 5],
    ['navette-messages', 7]]))

// --- the daemons ---

const about = {
  producer: `Serves the HTTP API and the pages: it takes requests, signs them and sends them to the course servers,
and tells whoever watches what becomes of them.  One is enough for a client's Moodle; several may run
behind a load balancer.`,
  archiver: `Runs on the course server: it exports the courses that are asked for and sends what the staging store does
not have yet.  As many instances as wanted.`,
  worker: `Runs at the client's Moodle: it fetches archives, verifies and restores them, enrols, and tells people.
To scale, start one more.`,
}
for (const [role, description] of Object.entries(about)) {
  const help = run(join(programs, `navette-${role}`), '--help')
  const title = help.match(/^navette-\w+: (.*)$/m)[1]
  const options = [...help.matchAll(/^ {2}(?:-(\w), )?--(\w+)(?: ([A-Z]+))? +(.*(?:\n {10,}.*)*)/gm)]
    .map(([, letter, name, value, what]) => ({ letter, name, value, help: what.replace(/\s+/g, ' ') }))
  const instance = role === 'producer' ? 'navette-producer' : `navette-${role}@`
  save(`navette-${role}`, 8, header(`navette-${role}`, 8, title) +
    `.SH SYNOPSIS\n${bold(`navette-${role}`)} [${bold('-c')} \\fIFILE\\fR] [${bold('--check')}]\n` +
    `.SH DESCRIPTION\n${text(description)}\n.SH OPTIONS\n${optionList(options)}` +
    '.SH SIGNALS\n.TP\n.B SIGTERM\nTakes no more work, ends what ends within the configuration\'s stop_timeout, hands the ' +
    'rest back to\nits queue, and exits.\n.TP\n.B SIGHUP\nReads the configuration anew; what needs a restart is named in the log.\n' +
    '.SH EXIT STATUS\n0: stopped; 1: failed; 2: the configuration is wrong (systemd does not start it again).\n' +
    `.SH FILES\n.TP\n.I ${role === 'producer' ? '/etc/navette/producer.env' : `/etc/navette/${role}@\\fRINSTANCE\\fI.env`}\n` +
    'Environment of the unit: NAVETTE_CONFIG, or secrets.\n' +
    seeAlso([['navette', 1], ['navette-doctor', 1], ['navette.yaml', 5], ['systemd.service', 5]]) +
    `.PP\nStarted by\n.IR ${text(instance)}${role === 'producer' ? '' : 'INSTANCE'}.service .\n`)
}

// --- the configuration ---

const sections = []
let prose = []
for (const line of navette('config', 'example').split('\n').slice(navette('config', 'example').split('\n').indexOf('') + 1)) {
  const section = line.match(/^(\w+):$/)
  const key = line.match(/^ {2}#?([a-z_0-9]+):(.*)$/)
  const comment = line.match(/^ *# ?(.*)$/)
  if (section) {
    sections.push({ name: section[1], about: prose.join(' '), keys: [] })
    prose = []
  } else if (key) {
    sections.at(-1).keys.push({ name: key[1], sample: key[2].trim(), about: prose.join(' ') })
    prose = []
  } else if (comment) {
    const last = sections.at(-1)?.keys.at(-1)
    if (/^ +#\S|^ +# {2,}/.test(line) && last && !prose.length)
      (last.more ??= []).push(line.replace(/^ {2}#?/, ''))
    else if (comment[1].trim())
      prose.push(comment[1].trim())
  }
}
save('navette.yaml', 5, header('navette.yaml', 5, "Navette's configuration") +
  `.SH DESCRIPTION
One file for all of Navette's programs on a machine, by default
.IR /etc/navette/navette.yaml ;
the environment variable NAVETTE_CONFIG or the option
.B \\-c
name another.  YAML 1.1: sections, and in them keys.  A key that is unknown, missing or wrong is one line that names
file, line, key and what is allowed, and nothing starts.  Secrets are not in it but in files of their own, mode 0600.
${bold('navette config check')}
looks for mistakes,
${bold('navette config example')}
prints the file with all that stands here.
` + sections.map(s => `.SH ${text(s.name.toUpperCase())}\n${bold(s.name + ':')} ${text(s.about)}\n` + s.keys.map(k =>
  `.TP\n${bold(k.name)}\n${text(k.about)}\n` +
  (k.sample || k.more ? `.IP\n.EX\n${[`${k.name}: ${k.sample}`.trim(), ...(k.more ?? [])].map(text).join('\n')}\n.EE\n` : ''),
).join('')).join('') +
  seeAlso([['navette', 1], ['navette-config-check', 1], ['navette-doctor', 1]]))

// --- the messages ---

// The last column of a table is a paragraph, of a wide one the last two: without it a row is as long as its text.
const tables = roff => roff.replace(/^\.TS\ntab\(@\);\nc+\.\n([\s\S]*?)^\.TE$/gm, (_, rows) => {
  const cells = rows.trimEnd().split('\n').map(r => r.split('@'))
  const n = cells[0].length
  const plain = n > 3 ? n - 2 : n - 1
  const block = text => `T{\n${text}\nT}`
  return `.TS\nallbox tab(@);\n${Array.from({ length: n }, (_, i) => i < plain ? 'l' : 'lx').join(' ')}.\n` +
    cells.map(r => [...r.slice(0, plain), ...r.slice(plain, n - 1).map(block), block(r.slice(n - 1).join('@'))].join('@')).join('\n') +
    '\n.TE'
})
const messages = run('cmark-gfm', '-e', 'table', '-t', 'man', join(source, 'proto/README.md'))
  .replace(/^\.SH\nMessages\n/m, '').replaceAll('.SS\n', '.SH\n').replaceAll('\\f[]', '\\fR')
save('navette-messages', 7, "'\\\" t\n" + header('navette-messages', 7, 'what the producer, the archivers and the restore workers say to each other') +
  '.ad l\n.nh\n.SH DESCRIPTION\n' + tables(messages) + seeAlso([['navette', 1]]))

// --- completion ---

const groups = [...new Set(commands.filter(c => c.command.includes(' ')).map(c => c.command.split(' ')[0]))]
const words = list => list.map(o => '--' + o.name).join(' ')
const files = [...new Set([...common, ...commands.flatMap(c => c.options ?? [])]
  .filter(o => /FILE|DIR/.test(o.value ?? '')).flatMap(o => [`--${o.name}`, ...(o.letter ? [`-${o.letter}`] : [])]))]
const valued = [...new Set([...common, ...commands.flatMap(c => c.options ?? [])]
  .filter(o => o.value && !/FILE|DIR/.test(o.value)).map(o => '--' + o.name))]
const state = 'scheduled exporting ready importing restored failed cancelling cancelled'
writeFileSync(join(out, 'navette.bash'), `# SPDX-License-Identifier: GPL-3.0-or-later
# bash completion for navette(1); made from its command table.
_navette()
{
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command='' word i
    local -a given=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case \${COMP_WORDS[i]} in
            ${[...files, ...valued].join(' | ')}) ((i++)) ;;
            -*) ;;
            *) given+=("\${COMP_WORDS[i]}") ;;
        esac
    done
    case $prev in
        ${files.join(' | ')})
            mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        --state)
            mapfile -t COMPREPLY < <(compgen -W '${state}' -- "$cur"); return ;;
        ${valued.filter(v => v !== '--state').join(' | ')})
            return ;;
    esac
    word=\${given[0]:-}
    case $word in
        '') mapfile -t COMPREPLY < <(compgen -W '${[...new Set(commands.map(c => c.command.split(' ')[0]))].join(' ')} ${words(common)}' -- "$cur")
            return ;;
        ${groups.join(' | ')}) command="$word \${given[1]:-}" ;;
        *) command=$word ;;
    esac
    case $command in
${groups.map(g => `        '${g} ') word='${commands.filter(c => c.command.startsWith(g + ' ')).map(c => c.command.split(' ')[1]).join(' ')}' ;;`).join('\n')}
${commands.map(c => `        '${c.command}') word='${words([...(c.options ?? []), ...common])}' ;;`).join('\n')}
        *) return ;;
    esac
    if [[ $cur != -* && $command != *' ' ]]; then
        case $command in
            ${commands.filter(c => /FILE|DIR/.test(c.arguments)).map(c => `'${c.command}'`).join(' | ')})
                mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
} &&
    complete -o filenames -o bashdefault -F _navette navette
`)
