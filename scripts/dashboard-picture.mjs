/*
 * Draws docs/images/metrics.svg: the dashboard of deploy/prometheus, with what a real Prometheus says of two real
 * workers under a load that changes. Needs the built service. There is no Grafana in it: Vega-Lite draws.
 *
 *   node scripts/dashboard-picture.mjs [seconds]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import * as vega from 'vega'
import { compile } from 'vega-lite'
import { root } from './environment.mjs'
import { freePort } from './ports.mjs'
import { startService } from './private-service.mjs'
import { startPrometheus } from './prometheus.mjs'
import { provideRedisServer, startRedisServer } from './redis-server.mjs'

const seconds = Number(process.argv[2] ?? 120)
const folder = mkdtempSync(join(tmpdir(), 'mcp-picture-'))
const cleanUps = []
const { panels } = JSON.parse(readFileSync(join(root, 'deploy', 'prometheus', 'dashboard.json'), 'utf8'))

/** Units of Grafana, as Vega's formats. */
const formats = { s: '~s', reqps: '~g', short: '~g', percentunit: '.0%', bytes: '~s' }
const suffixes = { s: 's', reqps: '/s', bytes: 'B' }

try {
  const redis = await startRedisServer({ binary: provideRedisServer(), folder: join(folder, 'redis') })
  cleanUps.push(() => redis.stop())
  const upstream = await startUpstream()
  const workers = [await startWorker(redis, upstream), await startWorker(redis, upstream)]
  mkdirSync(join(folder, 'prometheus'))
  const prometheus = await startPrometheus({
    port: await freePort(),
    folder: join(folder, 'prometheus'),
    targets: workers.map(({ metricsPort }) => `127.0.0.1:${metricsPort}`)
  })
  cleanUps.push(prometheus.stop)
  const start = Date.now() / 1_000
  await load(workers)
  await delay(2_000)
  const span = { start: start + 14, end: Date.now() / 1_000, step: 1 }
  const charts = []
  for (const panel of panels) charts.push(chartOf(panel, await seriesOf(panel, prometheus, span)))
  const spec = compile({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: '#ffffff',
    padding: 12,
    columns: 3,
    spacing: 24,
    concat: charts,
    resolve: { scale: { color: 'independent' } },
    config: { font: 'sans-serif', view: { stroke: '#d0d7de' }, axis: { gridColor: '#eaeef2', domain: false } }
  }).spec
  const svg = await new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG()
  writeFileSync(join(root, 'docs', 'images', 'metrics.svg'), `${svg}\n`)
  console.log(`docs/images/metrics.svg: ${panels.length} panels, ${svg.length} bytes`)
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
  rmSync(folder, { recursive: true, force: true })
}

/** A server over HTTP that two workers use. */
async function startUpstream () {
  const script = join(root, 'test', 'fixtures', 'http-2026-server.mjs')
  const child = spawn(process.execPath, [script, '--modern-only'], { stdio: ['pipe', 'pipe', 'inherit'] })
  cleanUps.push(() => child.kill('SIGTERM'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return JSON.parse(line).url
}

async function startWorker (redis, upstream) {
  const metricsPort = await freePort()
  const fixture = name => join(root, 'test', 'fixtures', name)
  const file = join(folder, 'servers.json')
  writeFileSync(file, JSON.stringify({
    mcpServers: {
      charts: { command: process.execPath, args: [fixture('tiny-server.mjs')] },
      search: { command: process.execPath, args: [fixture('tiny-server.mjs')], lifecycle: 'shared' },
      web: { url: upstream },
      broken: { command: process.execPath, args: ['-e', 'process.exit(3)'] }
    }
  }))
  const { child, exited, listening } = startService({
    cwd: folder,
    environment: {
      REDIS_URL: redis.url, MCP_SERVERS_FILE: file, MCP_VALUES: 'chain', MCP_METRICS_PORT: String(metricsPort)
    }
  })
  cleanUps.push(async () => {
    child.kill('SIGTERM')
    await exited
  })
  return { url: await listening, metricsPort }
}

/** Some callers; more of them from the middle on; then a server that fails, and slow tools. */
async function load (workers) {
  const endsAt = Date.now() + seconds * 1_000
  const progress = () => 1 - (endsAt - Date.now()) / (seconds * 1_000)
  const post = (worker, path, body) => fetch(`${worker.url}${path}`, { method: 'POST', body: JSON.stringify(body) })
    .then(response => response.text())
  async function caller (index) {
    const worker = workers[index % workers.length]
    const id = `caller-${index}`
    await post(worker, '/init', { session_id: id, apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' })
    const call = (tool, params = {}) => post(worker, '/call-tool', { session_id: id, tool, params })
    for (let turn = 0; progress() < 1; turn++) {
      if (index >= 3 && progress() < 0.4) await delay(500)
      else if (turn % 12 === index) await call('charts__echo', { text: 'hello' })
      else if (progress() > 0.6 && turn % 5 === 0) await call('search__wait', { ms: 400 })
      else if (progress() > 0.7 && turn % 7 === 0) await call('broken__any')
      else await call(turn % 3 === 0 ? 'web__echo' : 'search__echo', { text: 'hello' })
      if (turn % 40 === 39) await post(worker, '/call-tool', { session_id: 'nobody', tool: 'search__echo' })
      await delay(60)
    }
    await post(worker, '/shutdown', { session_id: id })
  }
  await Promise.all(Array.from({ length: 8 }, (_, index) => caller(index)))
}

async function seriesOf ({ targets }, prometheus, span) {
  const all = await Promise.all(targets.map(async ({ expr, legendFormat }) => {
    const series = await prometheus.queryRange(expr.replaceAll('$__rate_interval', '10s'), span)
    return series.flatMap(({ labels, points }) => {
      const name = legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => labels[label] ?? '')
      return points.filter(({ value }) => Number.isFinite(value))
        .map(({ at, value }) => ({ name, at: Math.round(at - span.start), value }))
    })
  }))
  return all.flat()
}

function chartOf ({ title, fieldConfig: { defaults: { unit } } }, values) {
  const axis = {
    title: null, tickCount: 4, labelExpr: `format(datum.value, '${formats[unit]}') + '${suffixes[unit] ?? ''}'`
  }
  return {
    title: { text: title, anchor: 'start', fontSize: 13 },
    width: 300,
    height: 130,
    data: { values },
    mark: { type: 'line', strokeWidth: 1.5 },
    encoding: {
      x: { field: 'at', type: 'quantitative', axis: { title: null, labelExpr: "datum.value + ' s'", tickCount: 5 } },
      y: { field: 'value', type: 'quantitative', scale: { domainMin: 0 }, axis },
      color: { field: 'name', type: 'nominal', legend: { title: null, orient: 'bottom', columns: 2, labelLimit: 170 } }
    }
  }
}
