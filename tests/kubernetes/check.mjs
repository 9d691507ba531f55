// SPDX-License-Identifier: GPL-3.0-or-later
// The manifests below a folder: each is what its schema says and has no field besides (the types of
// kubernetes-models, checked by tsc), values too (its validators); and what names something names what is there.
// That the checks find what they should is tried on manifests that were spoilt.
//
//   node check.mjs deploy/kubernetes FOLDER-WITH-node_modules
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'

const [root, work] = process.argv.slice(2)
const require = createRequire(pathToFileURL(join(work, 'here.js')))
const yaml = require('yaml')
const packages = { 'keda.sh': '@kubernetes-models/keda/keda.sh' }

// apps/v1 → kubernetes-models/apps/v1
const moduleOf = version => {
  const [group] = version.split('/')
  const within = packages[group]
  return within ? within + version.slice(group.length) : `kubernetes-models/${version}`
}

function read (folder) {
  const files = readdirSync(folder, { recursive: true }).filter(f => f.endsWith('.yaml')).sort()
  return files.flatMap(file => yaml.parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map(document => {
    const object = document.toJS()
    return { file, folder: dirname(file), object, name: `${file}: ${object.kind} ${object.metadata?.name ?? ''}` }
  }))
}

const isManifest = d => !d.object.apiVersion.startsWith('kustomize.')

// --- schemas ---

function types (documents) {
  const lines = documents.map(({ object }, n) =>
    `import type { I${object.kind} as T${n} } from '${moduleOf(object.apiVersion)}'\n` +
    `export const d${n}: T${n} = ${JSON.stringify(object)}\n`)
  const file = join(work, 'manifests.ts')
  writeFileSync(file, lines.join(''))
  try {
    execFileSync(process.execPath, [join(work, 'node_modules/typescript/bin/tsc'), '--noEmit', '--strict', '--skipLibCheck',
      '--module', 'nodenext', '--moduleResolution', 'nodenext', '--target', 'es2022', file], { cwd: work, encoding: 'utf8' })
    return []
  } catch (e) {
    const found = e.stdout.split('\n').filter(line => /error TS/.test(line))
    if (!found.length) throw e
    return found.map(line => {
      const n = Math.floor((Number(/\((\d+),/.exec(line)[1]) - 1) / 2)
      return `${documents[n].name}: ${line.replace(/^.*?: error/, 'error')}`
    })
  }
}

const kinds = {} // by module
async function loadKinds (documents) {
  for (const from of new Set(documents.map(d => moduleOf(d.object.apiVersion)))) {
    kinds[from] = await import(pathToFileURL(join(work, 'node_modules', from, 'index.js')))
  }
}

function values (documents) {
  return documents.flatMap(({ object, name }) => {
    const Kind = kinds[moduleOf(object.apiVersion)][object.kind]
    try {
      new Kind(object).validate()
      return []
    } catch (e) {
      return [`${name}: ${e.message}`]
    }
  })
}

// --- names ---

const seconds = text => Number(/stop_timeout \((\d+)s\)/.exec(text)?.[1] ?? 0)
const matches = (selector, labels) => Object.entries(selector).every(([k, v]) => labels?.[k] === v)

function podNames ({ object, name }, all) {
  const pod = object.spec.template.spec
  const claims = (object.spec.volumeClaimTemplates ?? []).map(c => c.metadata.name)
  const volumes = new Set([...(pod.volumes ?? []).map(v => v.name), ...claims])
  const wrong = []
  for (const c of [...(pod.initContainers ?? []), ...pod.containers]) {
    for (const m of c.volumeMounts ?? []) if (!volumes.has(m.name)) wrong.push(`${name}: ${c.name} mounts ${m.name}, which is no volume`)
    if (!c.resources?.limits?.memory || !c.resources?.requests?.cpu) wrong.push(`${name}: ${c.name} has no limits`)
    const ports = new Set((c.ports ?? []).map(p => p.name))
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      const at = c[probe]?.httpGet?.port ?? c[probe]?.tcpSocket?.port
      if (at !== undefined && !ports.has(at)) wrong.push(`${name}: ${probe} of ${c.name} asks the port ${at}, which it has not`)
    }
  }
  for (const c of pod.containers) if (!c.livenessProbe || !c.readinessProbe) wrong.push(`${name}: ${c.name} has no probes`)
  if (!matches(object.spec.selector.matchLabels, object.spec.template.metadata.labels)) wrong.push(`${name}: its selector is another's`)
  if (all.readme && (pod.volumes ?? []).some(v => v.secret && !all.readme.includes(`\`${v.secret.secretName}\``))) wrong.push(`${name}: README.md does not name its secret`)
  return wrong
}

function names (documents, readme) {
  const workloads = documents.filter(d => d.object.spec?.template?.spec)
  const wrong = workloads.flatMap(d => podNames(d, { readme }))
  for (const d of documents) {
    const { kind, spec } = d.object
    const pods = workloads.filter(w => w.folder === d.folder)
    if (kind === 'Service') {
      const to = pods.find(w => matches(spec.selector, w.object.spec.template.metadata.labels))
      const ports = to?.object.spec.template.spec.containers.flatMap(c => c.ports ?? []).map(p => p.name) ?? []
      for (const p of spec.ports) if (!ports.includes(p.targetPort)) wrong.push(`${d.name}: nobody has the port ${p.targetPort}`)
    }
    if (kind === 'ScaledObject') {
      if (!pods.some(w => w.object.metadata.name === spec.scaleTargetRef.name)) wrong.push(`${d.name}: there is no ${spec.scaleTargetRef.name}`)
      for (const t of spec.triggers) {
        if (!/^restore\.[a-z0-9-]+(\.now)?$/.test(t.metadata.queueName)) wrong.push(`${d.name}: ${t.metadata.queueName} is no queue of workers`)
        if (!documents.some(x => x.object.kind === 'TriggerAuthentication' && x.object.metadata.name === t.authenticationRef.name)) wrong.push(`${d.name}: there is no ${t.authenticationRef.name}`)
      }
    }
  }
  return wrong
}

// Told to stop, a pod has longer than the daemon takes at most.
function drains (documents) {
  return documents.filter(d => ['navette-worker', 'navette-archiver'].includes(d.object.metadata?.name) && d.object.spec?.template).flatMap(d => {
    const stop = seconds(readFileSync(join(root, d.file), 'utf8'))
    return stop && d.object.spec.template.spec.terminationGracePeriodSeconds > 2 * stop ? [] : [`${d.name}: the grace period is not above stop_timeout`]
  })
}

// --- kustomizations ---

function kustomizations (documents) {
  const wrong = []
  for (const k of documents.filter(d => d.object.kind === 'Kustomization')) {
    const there = documents.filter(d => d.folder === k.folder && isManifest(d)).map(d => basename(d.file))
    const listed = k.object.resources
    for (const f of new Set([...there, ...listed])) if (!there.includes(f) || !listed.includes(f)) wrong.push(`${k.file}: ${f} is not ${there.includes(f) ? 'listed' : 'there'}`)
    const images = new Set(documents.filter(d => d.folder === k.folder && d.object.spec?.template?.spec).flatMap(d =>
      [...(d.object.spec.template.spec.initContainers ?? []), ...d.object.spec.template.spec.containers].map(c => c.image)))
    for (const i of images) if (!k.object.images.some(x => x.name === i)) wrong.push(`${k.file}: the image ${i} has no entry`)
  }
  return wrong
}

function rendered (documents) {
  let seen = 0
  for (const k of documents.filter(d => d.object.kind === 'Kustomization')) {
    let text
    try {
      text = execFileSync('kubectl', ['kustomize', join(root, k.folder)], { encoding: 'utf8' })
    } catch (e) {
      if (e.code !== 'ENOENT') throw e
      console.log('no kubectl: what kustomize makes of it was not looked at')
      return []
    }
    const made = yaml.parseAllDocuments(text).map(d => ({ object: d.toJS(), name: `${k.folder}, rendered`, folder: k.folder }))
    const here = documents.filter(d => d.folder === k.folder && isManifest(d)).length
    const wrong = [...types(made), ...values(made)]
    if (made.length !== here) wrong.push(`${k.folder}: ${here} manifests became ${made.length}`)
    if (wrong.length) return wrong
    seen += made.length
  }
  console.log(`kubectl kustomize: ${seen} manifests`)
  return []
}

// --- are the checks worth anything? ---

function spoilt (documents, readme) {
  const wrong = []
  const expect = (what, check, change, kind = 'Deployment', name = 'navette-worker') => {
    const copies = structuredClone(documents.filter(isManifest))
    const one = copies.find(d => d.object.kind === kind && d.object.metadata.name === name)
    change(one.object)
    if (!check(copies).length) wrong.push(`${what} was not found`)
  }
  expect('an unknown field of a container', types, o => { o.spec.template.spec.containers[0].livenessProb = {} })
  expect('an unknown field of KEDA', types, o => { o.spec.minReplicas = 1 }, 'ScaledObject')
  expect('a number that is a text', types, o => { o.spec.replicas = '2' })
  expect('a missing selector', values, o => { delete o.spec.selector })
  expect('a mount of nothing', c => names(c, readme), o => { o.spec.template.spec.volumes.pop() })
  expect('a probe of no port', c => names(c, readme), o => { o.spec.template.spec.containers[0].ports[0].name = 'web' })
  expect('a queue of nobody', c => names(c, readme), o => { o.spec.triggers[0].metadata.queueName = 'restore' }, 'ScaledObject')
  expect('a short grace period', drains, o => { o.spec.template.spec.terminationGracePeriodSeconds = 30 })
  return wrong
}

const documents = read(root)
const manifests = documents.filter(isManifest)
await loadKinds(manifests)
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const wrong = [...types(manifests), ...values(manifests), ...names(manifests, readme), ...drains(manifests), ...kustomizations(documents),
  ...rendered(documents), ...spoilt(documents, readme)]
for (const line of wrong) console.error(line)
console.log(`${manifests.length} manifests in ${relative(process.cwd(), root) || '.'}, ${wrong.length} mistakes`)
process.exit(wrong.length || manifests.length < 10 ? 1 : 0)
