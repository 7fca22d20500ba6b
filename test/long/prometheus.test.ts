import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { type Prometheus, providePrometheus, startPrometheus } from '../../scripts/prometheus.mjs'
import { makeFolder } from '../support/folders.ts'
import { metricsUrl, scrape } from '../support/metrics.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { callAt, openSession, post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(300_000)

const root = dirname(realpathSync(join(import.meta.dirname, '..', '..', 'package.json')))
const folder = join(root, 'deploy', 'prometheus')
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')
const alerts = [...read('deploy', 'prometheus', 'alerts.yml').matchAll(/^ {6}- alert: (\w+)$/gm)].map(([, name = '']) => name)

function promtool (args: string[], input = '') {
  const { status, stdout, stderr } = spawnSync(join(providePrometheus(), 'promtool'), args, { input, encoding: 'utf8' })
  return { isGood: status === 0, output: stdout + stderr }
}

t.test('promtool takes the configuration and the alerts, and the tests of the alerts hold', async t => {
  for (const args of [
    ['check', 'config', join(folder, 'prometheus.yml')], ['check', 'rules', join(folder, 'alerts.yml')],
    ['test', 'rules', join(folder, 'alerts.test.yml')]
  ]) {
    const { isGood, output } = promtool(args)
    t.ok(isGood, output)
  }
})

t.test('each alert has a test that fails without it, and a paragraph of the runbook', async t => {
  t.ok(alerts.length > 10)
  const copy = await makeFolder(t)
  cpSync(folder, copy, { recursive: true })
  const rules = read('deploy', 'prometheus', 'alerts.yml')
  const runbook = read('docs', 'operations.md').split('\n## Alerts\n')[1] ?? ''
  for (const alert of alerts) {
    writeFileSync(join(copy, 'alerts.yml'), rules.replace(`alert: ${alert}\n`, `alert: Not${alert}\n`))
    t.notOk(promtool(['test', 'rules', join(copy, 'alerts.test.yml')]).isGood, alert)
    t.match(runbook, new RegExp(`^### ${alert}\\n\\n\\w`, 'm'))
    t.ok(rules.includes(`runbook: docs/operations.md#${alert.toLowerCase()}\n`), alert)
  }
  t.strictSame([...runbook.matchAll(/^### (\w+)$/gm)].map(([, name]) => name), alerts)
})

interface Fleet { workers: Service[], prometheus: Prometheus, sessions: string[] }
let fleet: Fleet

t.before(async () => {
  const { url } = await startUpstream(t, 'http-2026', ['--modern-only'])
  const settings = {
    MCP_METRICS_PORT: '0',
    MCP_SESSION_KEY_PREFIX: `test-${crypto.randomUUID()}`,
    MCP_SERVERS_FILE: await serversFile(t, {
      tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')] },
      web: { url },
      dying: { command: process.execPath, args: ['-e', 'process.exit(3)'] }
    })
  }
  const workers = [await startService(t, settings), await startService(t, settings)]
  const prometheus = await startPrometheus({
    port: await freePort(),
    folder: await makeFolder(t),
    targets: workers.map(worker => new URL(metricsUrl(worker)).host),
    intervalMs: 500,
    rules: [join(folder, 'alerts.yml')]
  })
  t.teardown(prometheus.stop)
  fleet = { workers, prometheus, sessions: await Promise.all(workers.map(openSession)) }
})

/** One round of load: what each worker gets. */
async function load ({ workers, sessions }: Fleet): Promise<void> {
  const [first, second] = workers as [Service, Service]
  const [one = '', other = ''] = sessions
  await callAt(first, one, 'tiny__echo', { text: 'hello' })
  await callAt(second, one, 'tiny__echo', { text: 'hello' })
  await callAt(second, other, 'web__echo', { text: 'hello' })
  await callAt(second, other, 'dying__any')
  await callAt(first, 'nobody', 'tiny__echo')
  await post(`${first.url}/shutdown`, { session_id: await openSession(first) })
}

t.test('a Prometheus that asks two workers says what the load was', async t => {
  const { prometheus } = fleet
  const rounds = 5
  for (let round = 0; round < rounds; round++) await load(fleet)

  const value = async (expression: string) => (await prometheus.query(expression))[0]?.value
  for (const [expression, expected] of [
    ['sum(mcpc_tool_calls_total)', 4 * rounds],
    ['sum(http_server_request_duration_seconds_count{http_route="/call-tool"})', 5 * rounds],
    ['max(mcpc_sessions)', 2]
  ] as const) {
    await until(async () => await value(expression) === expected, `Prometheus has asked again: ${expression}`)
  }
  t.strictSame((await prometheus.targets()).map(({ health }) => health), ['up', 'up'])
  t.equal(await value('sum(up{job="mcp-client"})'), 2)
  t.equal(await value('sum(mcpc_tool_calls_total{server="tiny",tool="tiny__echo",outcome="ok"})'), 2 * rounds)
  t.equal(await value('sum(mcpc_tool_calls_total{server="web",outcome="ok"})'), rounds)
  t.equal(await value('sum(mcpc_tool_calls_total{server="dying",error_type="MCPC_ERR_MCP_START"})'), rounds)
  t.equal(await value('count(count by (instance) (mcpc_tool_calls_total{server="tiny"}))'), 2, 'each worker has its own')
  t.equal(await value('sum(mcpc_session_loads_total{outcome="MCPC_ERR_SESSION_NOT_FOUND"})'), rounds)
  t.equal(await value('sum(mcpc_session_events_total{event="opened"})'), rounds + 2)
  t.equal(await value('sum(mcpc_session_events_total{event="ended"})'), rounds)
  const tools = 'mcp_client_operation_duration_seconds'
  t.equal(await value(`sum(${tools}_count{mcp_method_name="tools/call"})`), 3 * rounds)
  t.equal(await value(`sum(${tools}_bucket{mcp_method_name="tools/call",le="+Inf"})`), 3 * rounds)
  t.ok((await value(`sum(${tools}_sum{mcp_method_name="tools/call"})`) ?? 0) > 0)
})

t.test('Prometheus evaluates every alert on real metrics without a fault', async t => {
  const evaluated = async () => {
    const response = await fetch(`${fleet.prometheus.url}/api/v1/rules`)
    const { data } = await response.json() as { data: { groups: Array<{ rules: Rule[] }> } }
    return data.groups.flatMap(({ rules }) => rules)
  }
  interface Rule { name: string, health: string, lastError?: string }
  await until(async () => (await evaluated()).every(({ health }) => health !== 'unknown'), 'each was evaluated')
  const rules = await evaluated()
  t.strictSame(rules.map(({ name }) => name).sort(), [...alerts].sort())
  for (const { name, health, lastError } of rules) t.equal(health, 'ok', `${name}: ${lastError}`)
  // Not by their result alone: an expression of a metric that does not exist has no fault either.
  const names = read('deploy', 'prometheus', 'alerts.yml').match(/\b(mcpc|http_server|db_client|nodejs|process)_\w+/g) ?? []
  for (const name of new Set(names)) {
    if (name.endsWith('_time')) continue
    t.ok((await fleet.prometheus.query(`count(${name})`))[0], name)
  }
})

t.test('each query of the dashboard has data of real workers', async t => {
  const { panels } = JSON.parse(read('deploy', 'prometheus', 'dashboard.json')) as {
    panels: Array<{ title: string, targets: Array<{ expr: string, legendFormat: string }> }>
  }
  const queries = panels.flatMap(({ title, targets }) => targets.map(target => ({ title, ...target })))
  t.ok(queries.length > 15)
  let missing = queries
  await until(async () => {
    await load(fleet)
    const results = await Promise.all(missing.map(async query => {
      const series = await fleet.prometheus.query(query.expr.replaceAll('$__rate_interval', '10s'))
      return { query, series: series.filter(({ value }) => !Number.isNaN(value)) }
    }))
    for (const { query: { title, legendFormat }, series } of results) {
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        for (const { labels } of series) t.ok(label in labels, `${title}: ${label}`)
      }
    }
    missing = results.filter(({ series }) => series.length === 0).map(({ query }) => query)
    return missing.length === 0
  }, 'each query has data').catch(() => {})
  t.strictSame(missing.map(({ title, expr }) => `${title}: ${expr}`), [])
})

t.test('promtool finds no fault in the names and the form of the metrics', async t => {
  const { text } = await scrape(metricsUrl(fleet.workers[1] as Service))
  const own = text.split('\n\n').filter(block => !/^# HELP (nodejs|process)_/.test(block)).join('\n')
  const { isGood, output } = promtool(['check', 'metrics'], `${own}\n`)
  t.ok(isGood, output)
  t.match(promtool(['check', 'metrics'], 'no metrics'), { isGood: false }, 'the control')
})

t.test('a worker that ends is down at once, and its numbers stay those of its last moment', async t => {
  const { workers, prometheus } = fleet
  const [first] = workers as [Service]
  first.kill('SIGTERM')
  t.strictSame(await first.exited, { code: 0, signal: null })
  await until(async () => (await prometheus.query('sum(up{job="mcp-client"})'))[0]?.value === 1, 'one is down')
})
