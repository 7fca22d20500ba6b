/*
 * What the phases and the traces of a call cost where no SDK of OpenTelemetry is registered and nothing subscribes:
 * each piece by itself, against the processor time of a call in the same run. Two whole services cannot show it: the
 * same build differs from itself by more than this costs. `node bench/traces.mjs [calls]`
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  bench, echoServer, machine, openSession, root, startRedis, startService, table, temporaryFolder
} from './bench.mjs'
import { makeCalls, processorTimeOfCall } from './call-blocks.mjs'

const calls = Number(process.argv[2] ?? 6_000)
const rounds = 2_000_000
const { inPhase } = await import(join(root, 'dist', 'lib', 'telemetry', 'channels.js'))
const { outgoingTrace } = await import(join(root, 'dist', 'lib', 'telemetry', 'trace-propagation.js'))

/** How often a call of a shared server does each piece. */
const pieces = [
  { what: 'the hook that looks for a traceparent', times: 1, work: lookForTrace },
  { what: 'a phase that nobody subscribes to', times: 7, work: () => inPhase('write', context, done) },
  { what: 'what the server is told of the trace', times: 1, work: () => outgoingTrace(undefined) }
]
const context = { server: 'echo' }
const answer = Promise.resolve()
const done = () => answer
const request = { headers: { host: 'a', 'content-type': 'application/json', 'content-length': '2' } }
const next = () => {}

function lookForTrace () {
  if (request.headers.traceparent !== undefined) throw new Error('there is none')
  next()
}

await bench(async () => {
  const redis = await startRedis()
  const file = join(await temporaryFolder(), 'servers.json')
  const entry = { command: process.execPath, args: [echoServer], lifecycle: 'shared' }
  await writeFile(file, JSON.stringify({ mcpServers: { echo: entry } }))
  const service = await startService({ REDIS_URL: redis.url, MCP_SERVERS_FILE: file, MCP_SESSION_MAX_CONCURRENCY: '100' })
  const sessions = [await openSession(service)]
  const block = { calls, callers: 32, body: { tool: 'echo', params: { text: 'a' } } }
  await makeCalls({ ...service, sessions }, { ...block, calls: calls / 2 })
  const callUs = await processorTimeOfCall({ ...service, sessions }, block) * 1_000

  const nothingNs = nanoseconds(() => answer)
  const rows = pieces.map(({ what, times, work }) => {
    const ns = Math.max(0, nanoseconds(work) - nothingNs) * times
    return { ns, row: [what, String(times), `${ns.toFixed(0)} ns`, share(ns, callUs)] }
  })
  const sum = rows.reduce((sum, { ns }) => sum + ns, 0)
  console.log(`${machine()}; a call takes ${callUs.toFixed(0)} µs of the processor\n`)
  table(['piece', 'times', 'in a call', 'share'], [
    ...rows.map(({ row }) => row), ['all of it', '', `${sum.toFixed(0)} ns`, share(sum, callUs)]
  ])
})

function nanoseconds (work) {
  for (let round = 0; round < rounds / 10; round++) work()
  const startedAt = process.hrtime.bigint()
  for (let round = 0; round < rounds; round++) work()
  return Number(process.hrtime.bigint() - startedAt) / rounds
}

function share (ns, callUs) {
  return `${(ns / callUs / 10).toFixed(2)} %`
}
