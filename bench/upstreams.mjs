/*
 * Measures the cost of the service beyond that of an MCP server over HTTP. It calls one server directly through the
 * SDK, and through /call-tool. The 2025 era is called with a resumed session, and with one for each request. The 2026
 * era is compared with its one POST. Then it counts calls per second, and compares a thousand tools with ten.
 *
 * The direct client is the SDK's first generation, which most programs use. The servers use the official SDKs. The
 * calls per second are also counted on a server without an SDK, which leaves more of the two cores to the service.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { request } from 'undici'
import {
  alternate, atEnd, bench, concurrently, machine, median, ms, openSession, post, ratio, serversFile, startRedis,
  startService, startUpstream, table, timed
} from './bench.mjs'

const rounds = Number(process.argv[2] ?? 400)
const many = Number(process.argv[3] ?? 3_000)
const echo = { text: 'hello' }

await bench(async () => {
  const redis = await startRedis()
  const service = async (entry) => await startService({
    REDIS_URL: redis.url, MCP_SERVERS_FILE: await serversFile({ upstream: entry }), MCP_SESSION_MAX_CONCURRENCY: '1000'
  })
  const old = await startUpstream('http-2025', '--json')
  const modern = await startUpstream('http-2026', '--modern-only')
  const raw = {
    old: await startUpstream('raw-http', '--era=2025'),
    modern: await startUpstream('raw-http', '--era=2026')
  }
  const tools = {
    few: await startUpstream('raw-http', '--era=2026', '--tools=9'),
    many: await startUpstream('raw-http', '--era=2026', '--tools=999')
  }

  const runs = {
    kept: await keptOpen(old),
    resumed: await callThrough(await service({ url: old })),
    connectCallClose: () => timed(() => connectCallClose(old)),
    perRequest: await callThrough(await service({ url: old, session: 'request' })),
    bare: barePost(modern),
    modern: await callThrough(await service({ url: modern })),
    rawKept: await keptOpen(raw.old),
    rawResumed: await callThrough(await service({ url: raw.old })),
    rawBare: barePost(raw.modern),
    rawModern: await callThrough(await service({ url: raw.modern })),
    few: await callThrough(await service({ url: tools.few })),
    many: await callThrough(await service({ url: tools.many }))
  }
  // Only the two runs of a pair alternate. A process that runs once in a dozen turns is slow for that reason alone.
  const times = {}
  const pairs = [
    ['kept', 'resumed'], ['connectCallClose', 'perRequest'], ['bare', 'modern'],
    ['rawKept', 'rawResumed'], ['rawBare', 'rawModern'], ['few', 'many']
  ]
  for (const names of pairs) {
    const pair = Object.fromEntries(names.map(name => [name, runs[name]]))
    Object.assign(times, await alternate(pair, { rounds, warmUp: Math.max(400, rounds / 2) }))
  }
  const p50 = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]))

  console.log(`${machine()} · ${rounds} rounds, alternating\n`)
  table(['p50', 'time', 'against', 'ratio', 'wanted'], [
    ['2025 era: direct SDK call on a client that is kept open', ms(p50.kept), '', '', ''],
    ['/call-tool, resumed session', ms(p50.resumed), 'kept open', ratio(p50.resumed / p50.kept), '≤ 2.5'],
    ['2025 era: direct SDK connect + call + close', ms(p50.connectCallClose), '', '', ''],
    [
      '/call-tool, session per request',
      ms(p50.perRequest), 'connect + call + close', ratio(p50.perRequest / p50.connectCallClose), '≤ 0.7'
    ],
    ['2026 era: one bare POST', ms(p50.bare), '', '', ''],
    ['/call-tool, 2026 era', ms(p50.modern), 'bare POST', ratio(p50.modern / p50.bare), '≤ 3'],
    ['without an SDK, 2025 era: direct SDK call, kept open', ms(p50.rawKept), '', '', ''],
    ['/call-tool, resumed session', ms(p50.rawResumed), 'kept open', ratio(p50.rawResumed / p50.rawKept), '≤ 2.5'],
    ['without an SDK, 2026 era: one bare POST', ms(p50.rawBare), '', '', ''],
    ['/call-tool, 2026 era', ms(p50.rawModern), 'bare POST', ratio(p50.rawModern / p50.rawBare), '≤ 3'],
    ['/call-tool, 10 tools', ms(p50.few), '', '', ''],
    ['/call-tool, 1,000 tools', ms(p50.many), '10 tools', ratio(p50.many / p50.few), '≤ 1.1']
  ])

  const rates = await Promise.all(Object.entries({
    'SDK, 2025 era, resumed': old,
    'SDK, 2026 era': modern,
    'without an SDK, 2025 era, resumed': raw.old,
    'without an SDK, 2026 era': raw.modern
  }).map(async ([what, url]) => ({ what, call: await callers(await service({ url })), runs: [] })))
  for (let round = 0; round < 4; round++) {
    for (const { call, runs } of rates) {
      const rate = many / await timed(() => concurrently(many, 32, call)) * 1_000
      if (round > 0) runs.push(rate)
    }
  }
  console.log()
  const rateRow = ({ what, runs }) => [what, Math.round(median(runs)).toLocaleString('en'), '≥ 1,500']
  table(['calls/s at 32 concurrent, /call-tool', 'median', 'wanted'], rates.map(rateRow))
})

async function keptOpen (url) {
  const client = new Client({ name: 'kept', version: '1.0.0' })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  atEnd(() => client.close())
  return () => timed(() => client.callTool({ name: 'echo', arguments: echo }))
}

async function connectCallClose (url) {
  const client = new Client({ name: 'fresh', version: '1.0.0' })
  await client.connect(new StreamableHTTPClientTransport(new URL(url)))
  await client.callTool({ name: 'echo', arguments: echo })
  await client.close()
}

/** A call of the 2026 era is one message. Its headers repeat the fields that route it. */
function barePost (url) {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name: 'echo',
      arguments: echo,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
        'io.modelcontextprotocol/clientInfo': { name: 'bare', version: '1.0.0' }
      }
    }
  })
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'echo'
  }
  return () => timed(async () => {
    const response = await request(url, { method: 'POST', headers, body })
    const text = await response.body.text()
    if (!text.includes('hello')) throw new Error(`the bare POST was answered ${response.statusCode}: ${text}`)
  })
}

async function callThrough (service) {
  const body = { session_id: await openSession(service), tool: 'echo', params: echo }
  return () => timed(() => post(`${service.url}/call-tool`, body))
}

/** Calls with one session for each of many callers. */
async function callers (service) {
  const sessions = await Promise.all(Array.from({ length: 32 }, () => openSession(service)))
  let next = 0
  const call = { tool: 'echo', params: echo }
  return () => post(`${service.url}/call-tool`, { session_id: sessions[next++ % sessions.length], ...call })
}
