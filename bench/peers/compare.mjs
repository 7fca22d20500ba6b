/*
 * Compares this service with programs that do a part of its work: in one run, on one machine, in alternating rounds,
 * before the same servers. None of them keeps sessions. What a peer cannot do has no figure. `least with sessions` is
 * no product: it shows what a call costs that reads and writes a session in Redis, before anything is done for it.
 *
 *     npm run bench:peers               # 400 rounds; 2,000 calls by 32 callers
 *     npm run bench:peers -- 100 1000
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  alternate, atEnd, bench, concurrently, echoServer, machine, median, ms, ratio, startRedis, startUpstream, table, timed
} from '../bench.mjs'
import { residentBytes } from '../processor.mjs'
import { installPeers } from './installed.mjs'
import { barePost } from './bare-post.mjs'
import { leastWithSessions, mcpHub, mcpProxy, ours, stdioEntry, supergateway } from './programs.mjs'

const rounds = Number(process.argv[2] ?? 400)
const many = Number(process.argv[3] ?? 2_000)
const echo = { name: 'echo', arguments: { text: 'hello' } }

await bench(async () => {
  const peers = installPeers()
  const redis = await startRedis()
  const rows = []

  // A peer that could not be installed, or does not start here, is left out of each row.
  const start = async (name, run) => peers[name] === null
    ? null
    : await run(peers[name]).catch(error => {
      console.error(`${name}: ${error.message}`)
      return null
    })

  {
    const programs = {
      ours: await ours(redis, { ...stdioEntry, lifecycle: 'shared' }),
      least: await leastWithSessions(redis, echoServer),
      hub: await start('mcp-hub', peer => mcpHub(peer, stdioEntry)),
      proxy: await start('mcp-proxy', peer => mcpProxy(peer, 2025))
    }
    const kept = await keptOpen(new StdioClientTransport({ ...stdioEntry, stderr: 'ignore' }))
    rows.push(...await compare('shared stdio server', 'a kept-open SDK client', kept, programs, 'below mcp-hub'))
    const idleMs = Number(process.env.BENCH_IDLE_S ?? 60) * 1_000
    await delay(idleMs)
    rows.push([
      `memory of the process, ${idleMs / 1_000} s idle`, '',
      ...each(programs, ({ pid }) => `${Math.round(residentBytes(pid) / 2 ** 20)} MB`, ''), '≤ 110 MB'
    ])
    rows.push(['from start to ready', '', ...each(programs, ({ readyMs }) => ms(readyMs), ''), '≤ 1,500 ms'])
  }
  {
    const url = await startUpstream('raw-http', '--era=2025')
    const programs = {
      ours: await ours(redis, { url }),
      least: await leastWithSessions(redis, url, 2025),
      hub: await start('mcp-hub', peer => mcpHub(peer, { url })),
      client: { call: await keptOpen(new StreamableHTTPClientTransport(new URL(url))) }
    }
    const bare = await barePost(url, 2025)
    rows.push(...await compare('HTTP upstream, resumed', 'a bare POST on an open session', bare, programs, '≤ 2.0'))
  }
  {
    const url = await startUpstream('raw-http', '--era=2026')
    const programs = {
      ours: await ours(redis, { url }),
      least: await leastWithSessions(redis, url, 2026),
      proxy: await start('mcp-proxy', peer => mcpProxy(peer, 2026))
    }
    rows.push(...await compare('2026 era', 'one bare POST', await barePost(url, 2026), programs, '≤ 1.7'))
  }
  {
    const spares = { MCP_WARM_SPARES: '1' }
    const programs = {
      ours: await ours(redis, stdioEntry, { MCP_WARM_SPARES: '0' }),
      gateway: await start('supergateway', supergateway)
    }
    const warm = await ours(redis, stdioEntry, spares)
    const runs = { base: callDirectly, ...callsOf(programs), warm: () => spareReady(warm).then(() => timed(warm.call)) }
    const p50 = mediansOf(await alternate(runs, { rounds: Math.max(10, rounds / 10) }))
    rows.push(
      ratioRow('fresh process, cold', 'SDK spawn + connect + call', p50, programs, '≤ 1.0'),
      ratioRow('warm spare', 'SDK spawn + connect + call', { ...p50, ours: p50.warm }, { ours: warm }, '≤ 0.02')
    )
  }

  const versions = Object.entries(peers).map(([name, peer]) => `${name} ${peer?.version ?? 'is missing'}`).join(', ')
  console.log(`${machine()} · ${rounds} rounds, alternating · ${versions}\n`)
  table(['work', 'against', 'ours', 'least with sessions', 'mcp-hub', 'mcp-proxy', 'supergateway', 'SDK client', 'wanted'], rows)
})

/** Two rows: one caller's median against `base`, and calls per second of 32 callers. */
async function compare (work, against, base, programs, wanted) {
  // Each of them runs for weeks, so its code is compiled. That takes some thousand calls.
  for (const program of Object.values(programs)) if (program !== null) await concurrently(4_000, 32, program.call)
  const runs = { base: () => timed(base), ...callsOf(programs) }
  const p50 = mediansOf(await alternate(runs, { rounds, warmUp: 400 }))
  const rates = Object.fromEntries(Object.keys(programs).map(name => [name, []]))
  for (let round = 0; round < 4; round++) {
    for (const [name, program] of Object.entries(programs)) {
      if (program === null) continue
      const took = await timed(() => concurrently(many, 32, program.call))
      if (round > 0) rates[name].push(many / took * 1_000)
    }
  }
  const rateOf = (_, name) => `${Math.round(median(rates[name])).toLocaleString('en')}/s`
  return [
    ratioRow(`${work}, 1 caller`, against, p50, programs, wanted),
    [`${work}, 32 callers`, '', ...each(programs, rateOf, ''), 'above the others']
  ]
}

function callsOf (programs) {
  const running = Object.entries(programs).filter(([, program]) => program !== null)
  return Object.fromEntries(running.map(([name, { call }]) => [name, () => timed(call)]))
}

function mediansOf (times) {
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]))
}

function ratioRow (work, against, p50, programs, wanted) {
  return [work, `${against}: ${ms(p50.base)}`, ...each(programs, (_, name) => ratio(p50[name] / p50.base), ''), wanted]
}

/** One cell for each column, `none` where a program has no part in the row. */
function each (programs, cell, none) {
  return ['ours', 'least', 'hub', 'proxy', 'gateway', 'client'].map(name => {
    const program = programs[name]
    if (program === null) return 'missing'
    return program === undefined || (program.pid === undefined && name !== 'client') ? none : cell(program, name)
  })
}

async function keptOpen (transport) {
  const client = new Client({ name: 'kept', version: '1.0.0' })
  await client.connect(transport)
  atEnd(() => client.close())
  return () => client.callTool(echo)
}

async function callDirectly () {
  const client = new Client({ name: 'direct', version: '1.0.0' })
  const transport = new StdioClientTransport({ command: process.execPath, args: [echoServer], stderr: 'ignore' })
  const time = await timed(async () => {
    await client.connect(transport)
    await client.callTool(echo)
  })
  await client.close()
  return time
}

async function spareReady ({ url }) {
  for (;;) {
    const { processes } = await (await fetch(`${url}/health`)).json()
    if (processes.spares_ready > 0) return
    await delay(20)
  }
}
