// SPDX-License-Identifier: GPL-3.0-or-later
// Grafana's dashboards (schema 37, Grafana 9 and later), made from what each panel asks:
//
//   node deploy/monitoring/dashboards.mjs       writes deploy/monitoring/dashboards/*.json
//
// A panel is [title, unit, what it tells, {legend: query, …}, more].  A test compares the files with what
// this makes, and asks a real Prometheus every query.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), 'dashboards')
const source = { type: 'prometheus', uid: '${datasource}' }

function panel([title, unit, description, queries, more = {}], id, gridPos) {
  return {
    id, gridPos, title, description, type: more.type ?? 'timeseries', datasource: source,
    fieldConfig: {
      defaults: {
        unit, min: 0,
        ...(more.type === 'stat' ? { thresholds: { mode: 'absolute', steps: more.steps ?? [{ color: 'text', value: null }] } } : {}),
        custom: more.type === 'stat' ? {} : { fillOpacity: more.stack ? 30 : 0, stacking: { mode: more.stack ? 'normal' : 'none' } },
      },
      overrides: [],
    },
    options: more.type === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] }, textMode: 'value_and_name' }
      : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
    targets: Object.entries(queries).map(([legendFormat, expr], i) =>
      ({ refId: String.fromCharCode(65 + i), datasource: source, expr, legendFormat, instant: more.type === 'stat', range: more.type !== 'stat' })),
  }
}

const bad = [{ color: 'green', value: null }, { color: 'red', value: 1 }]
const good = [{ color: 'red', value: null }, { color: 'green', value: 1 }]

// Rows of panels: stats four to a row of 4 units, plots two to a row of 8.
function grid(panels) {
  let x = 0, y = 0, height = 0
  return panels.map((p, i) => {
    const stat = p[4]?.type === 'stat'
    const w = stat ? 6 : 12, h = stat ? 4 : 8
    if (x + w > 24 || (x && h !== height)) {
      x = 0
      y += height
    }
    const made = panel(p, i + 1, { x, y, w, h })
    x += w
    height = h
    return made
  })
}

function save(uid, title, variables, panels) {
  writeFileSync(join(here, `${uid}.json`), JSON.stringify({
    uid, title, tags: ['navette'], schemaVersion: 37, editable: true, refresh: '30s', timezone: 'browser',
    time: { from: 'now-6h', to: 'now' },
    links: [{ type: 'dashboards', tags: ['navette'], title: 'Navette', asDropdown: true }],
    templating: {
      list: [{ name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
        ...variables.map(([name, query]) => ({
          name, type: 'query', datasource: source, refresh: 2, sort: 1, definition: query,
          query: { query, refId: name },
        }))],
    },
    panels: grid(panels),
  }, null, 1) + '\n')
}

save('navette-overview', 'Navette: overview', [], [
  ['Requests', 'short', 'How many are in each state now.', { '{{state}}': 'max by (state) (navette_requests)' }, { type: 'stat' }],
  ['Waits longest', 's', 'How long the request has waited that waits longest for each course server.',
    { '{{site}}': 'max by (site) (navette_oldest_waiting_seconds)' }, { type: 'stat' }],
  ['Given up', 'short', 'Messages in dead queues: each says why, somebody must decide.',
    { messages: 'sum(navette:queue_ready:sum{queue=~"dead\\\\..+"})' }, { type: 'stat', steps: bad }],
  ['At work', 'short', 'Instances that answer.', { '{{job}}': 'sum by (job) (up{job=~"navette-(producer|archiver|worker)"})' },
    { type: 'stat', steps: good }],
  ['Restores', 'ops', 'How restores end, a second.', { '{{result}}': 'navette:restores:rate5m' }, { stack: true }],
  ['Exports', 'ops', 'How exports end, a second, on each course server.', { '{{site}} {{result}}': 'navette:exports:rate5m' }, { stack: true }],
  ['Waiting in queues', 'short', 'Messages that nobody has taken yet.',
    { '{{queue}}': 'navette:queue_ready:sum{queue!~"(retry|dead|control)\\\\..+"}' }],
  ['At work on', 'short', 'Messages that an instance works on.',
    { '{{queue}}': 'navette:queue_unacked:sum{queue!~"(retry|dead|control)\\\\..+"}' }],
  ['Time of a restore', 's', 'From the message to the course, of those within a quarter of an hour.',
    { median: 'navette:restore_seconds:p50', '95 %': 'navette:restore_seconds:p95' }],
  ['Time of an export', 's', 'From the message to the whole archive in the store.',
    { '{{site}} median': 'navette:export_seconds:p50', '{{site}} 95 %': 'navette:export_seconds:p95' }],
  ['Bytes', 'Bps', 'Sent to the store; saved, because it had them; fetched while the export still ran.', {
    '{{site}} {{what}}': 'sum by (site, what) (rate(navette_archiver_blob_bytes_total{what!="collected"}[5m]))',
    'fetched ahead': 'sum(rate(navette_worker_ahead_bytes_total[5m]))',
  }],
  ['Slots in use', 'short', 'Exports and restores that run now.', {
    'exports {{site}}': 'sum by (site) (navette_archiver_exports_running)', restores: 'sum(navette_worker_restores_running)',
  }],
  ['Messages to people', 'ops', 'Mail and notifications: sent, delayed, refused, dropped.',
    { '{{result}}': 'sum by (result) (rate(navette_worker_notices_total[5m]))' }, { stack: true }],
  ['Submitted', 'ops', 'Requests that people sent.', { '{{outcome}}': 'sum by (outcome) (rate(navette_submitted_total[5m]))' }],
  ['Pages and API', 'reqps', 'Answers by status.', { '{{code}}': 'sum by (code) (rate(navette_http_requests_total[5m]))' }, { stack: true }],
  ['Time of an answer', 's', 'Event streams left out.', {
    '95 %': 'histogram_quantile(0.95, sum by (le) (rate(navette_http_request_seconds_bucket[5m])))',
    median: 'histogram_quantile(0.5, sum by (le) (rate(navette_http_request_seconds_bucket[5m])))',
  }],
  ['Who watches', 'short', 'Open event streams.', { streams: 'sum(navette_event_readers)' }],
  ['Confirmed by the broker', 's', 'From the message to the broker\'s word that it is on disk.', {
    '{{job}} 95 %': 'histogram_quantile(0.95, sum by (job, le) (rate(navette_bus_confirm_seconds_bucket[5m])))',
  }],
  ['Connections made anew', 'short', 'To the broker, within an hour.',
    { '{{job}} {{instance}}': 'sum by (job, instance) (increase(navette_bus_reconnects_total[1h]))' }],
  ['Broker', 'bytes', 'Memory in use and free disk.', {
    'memory {{instance}}': 'rabbitmq_process_resident_memory_bytes', 'free disk {{instance}}': 'rabbitmq_disk_space_available_bytes',
  }],
  ['Disks', 'percentunit', 'What is free.', {
    '{{instance}} {{mountpoint}}': 'node_filesystem_avail_bytes{job="navette-node",fstype!~"tmpfs|overlay|squashfs|ramfs"} / node_filesystem_size_bytes',
  }],
  ['Certificates', 's', 'How long they last.', { '{{instance}}': 'probe_ssl_earliest_cert_expiry{job="navette-tls"} - time()' }],
])

save('navette-queue', 'Navette: one queue', [['queue', 'label_values(rabbitmq_detailed_queue_messages_ready, queue)']], [
  ['Ready', 'short', 'Nobody has taken them.', { messages: 'navette:queue_ready:sum{queue="$queue"}' }, { type: 'stat' }],
  ['At work on', 'short', 'Taken and not done.', { messages: 'navette:queue_unacked:sum{queue="$queue"}' }, { type: 'stat' }],
  ['Consumers', 'short', 'Instances that take from it; outside its time window there may be none.',
    { consumers: 'navette:queue_consumers:sum{queue="$queue"}' }, { type: 'stat', steps: good }],
  ['Unserved', 'short', 'Instances that the broker refuses it to.', { instances: 'sum(navette_bus_queue_unserved{queue="$queue"})' },
    { type: 'stat', steps: bad }],
  ['Messages', 'short', 'Ready and at work on.', {
    ready: 'navette:queue_ready:sum{queue="$queue"}', 'at work on': 'navette:queue_unacked:sum{queue="$queue"}',
  }, { stack: true }],
  ['Growth', 'short', 'Against half an hour ago; below zero: it drains.', { messages: 'delta(navette:queue_ready:sum{queue="$queue"}[30m])' }],
  ['Taken', 'ops', 'A second.', { '{{queue}}': 'navette:deliveries:rate5m{queue="$queue"}' }],
  ['Handed back', 'ops', 'To be taken by another: stops, and what is held.',
    { '{{instance}}': 'rate(navette_bus_returned_total{queue="$queue"}[5m])' }],
  ['Who works on them', 'short', 'Messages that each instance holds.', { '{{job}} {{instance}}': 'navette_bus_unacked{queue="$queue"}' }],
])

save('navette-site', 'Navette: one course server', [['site', 'label_values(navette_archiver_exports_running, site)']], [
  ['Waits longest', 's', 'How long the request has waited that waits longest.', { waiting: 'max(navette_oldest_waiting_seconds{site="$site"})' }, { type: 'stat' }],
  ['Failures', 'short', 'Export attempts that failed within a day.', { failures: 'sum(increase(navette_site_failures_total{site="$site"}[1d]))' },
    { type: 'stat', steps: bad }],
  ['Archivers', 'short', 'That answer.', { archivers: 'sum(up{job="navette-archiver",site="$site"})' }, { type: 'stat', steps: good }],
  ['Running', 'short', 'Exports now.', { exports: 'sum(navette_archiver_exports_running{site="$site"})' }, { type: 'stat' }],
  ['Exports', 'ops', 'How they end.', { '{{result}}': 'navette:exports:rate5m{site="$site"}' }, { stack: true }],
  ['Time of an export', 's', 'From the message to the whole archive in the store.',
    { median: 'navette:export_seconds:p50{site="$site"}', '95 %': 'navette:export_seconds:p95{site="$site"}' }],
  ['Bytes', 'Bps', 'Sent to the store; saved, because it had them; collected, because nobody needs them.',
    { '{{what}}': 'sum by (what) (rate(navette_archiver_blob_bytes_total{site="$site"}[5m]))' }],
  ['Waiting', 'short', 'In its queues.', { '{{queue}}': 'navette:queue_ready:sum{queue=~"(archive|catalog)\\\\.$site(\\\\..+)?"}' }],
  ['Course lists', 'ops', 'Answers to "which courses may this person bring?".',
    { '{{status}}': 'sum by (status) (rate(navette_archiver_catalog_total{site="$site"}[5m]))' }],
  ['Connections made anew', 'short', 'To the broker, within an hour.',
    { '{{instance}}': 'sum by (instance) (increase(navette_bus_reconnects_total{site="$site"}[1h]))' }],
])
