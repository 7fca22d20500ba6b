/*
 * Uses thousands of live sessions at a steady rate through nginx: `npm run load [-- options]`.
 *
 *   --sessions=10000  --seconds=300  --rate=200  --workers=2
 *   --errors-only     judges only errors, for a machine that does other work as well
 *   --write           writes the table into README.md and bench/README.md
 *
 * The same load with 10 sessions comes before it and after it, and is what its times are compared with. It prints a
 * table and verdicts, and ends with exit code 1 when one is not held. It uses this machine only.
 */
import { parseArgs } from 'node:util'
import { machine } from './bench.mjs'
import { endFleet, startFleet } from './fleet-behind-nginx.mjs'
import { during, percentiles, sendSteadily } from './open-loop.mjs'
import { createClient, createSessions, failuresOf, kinds, streamMs, withEach } from './session-mix.mjs'
import { createVerdicts } from './verdicts.mjs'
import { loadTable } from './load-table.mjs'
import { writeTable } from './write-table.mjs'

const { values: options } = parseArgs({
  options: {
    sessions: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '300' },
    rate: { type: 'string', default: '200' },
    workers: { type: 'string', default: '2' },
    'errors-only': { type: 'boolean', default: false },
    write: { type: 'boolean', default: false }
  }
})
const [sessionCount, seconds, rate, workerCount] =
  ['sessions', 'seconds', 'rate', 'workers'].map(name => Number(options[name]))
/** How long the 10 sessions are used before, and again after (s). */
const controlSeconds = Math.max(3, Math.round(seconds / 5))
const warmSeconds = Math.max(2, Math.min(15, Math.round(seconds / 5)))

const fleet = await startFleet({
  name: 'load',
  workerCount,
  // Ten sessions have as many calls at once as thousands have.
  environment: { MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_LOG_LEVEL: 'info' }
})
const client = createClient(fleet.url)
const { verdict, end } = createVerdicts({
  name: 'load',
  longestSeconds: seconds * 2 + 300,
  cleanUp: verdict => endFleet({ client, fleet, verdict })
})

try {
  console.log(`${sessionCount} sessions, ${rate} requests/s, ${workerCount} workers behind nginx, ${seconds} s`)
  const few = createSessions(10, 'few')
  await withEach(few, client.open)
  await use(few, warmSeconds)
  const before = await use(few, controlSeconds)

  const emptyBytes = await fleet.redisInfo('used_memory')
  const many = createSessions(sessionCount, 'many')
  await withEach(many, client.open)
  const openedBytes = await fleet.redisInfo('used_memory')
  await use(many, warmSeconds)
  const startMb = await fleet.settledMb()
  const load = await use(many, seconds)
  const endMb = await fleet.settledMb()
  const usedBytes = await fleet.redisInfo('used_memory')
  const live = await fleet.redisClient.zcard('mcp_index:mcp_session')
  // Each session still has what it was given, at the end of it all.
  await withEach(many, client.recall)
  await withEach(many, client.shutdown)

  await use(few, Math.min(3, warmSeconds))
  const after = await use(few, controlSeconds)
  const control = [...before, ...after]
  const bytes = [openedBytes, usedBytes].map(sum => Math.round((sum - emptyBytes) / sessionCount))
  const settings = { machine: machine(), kinds, sessionCount, rate, seconds, workerCount }
  const table = loadTable({ ...settings, load, control, bytes, startMb, endMb })
  console.log(table)
  if (options.write) for (const file of ['README.md', 'bench/README.md']) writeTable(file, 'load', 'load', table)
  judge({ load, control, startMb, endMb, live })
  await end()
} catch (error) {
  await end(error.stack)
}

async function use (sessions, seconds) {
  const { outcomes } = await sendSteadily({ rate, isOver: during(seconds), send: turn => client.use(sessions, turn) })
  // How long the tool itself takes says nothing of the service.
  return outcomes.map(outcome => outcome.kind === 'stream' ? { ...outcome, ms: outcome.ms - streamMs } : outcome)
}

function judge ({ load, control, startMb, endMb, live }) {
  const all = [...load, ...control]
  const failures = failuresOf(all)
  verdict(Object.keys(failures).length === 0, `no request of ${all.length} fails ${JSON.stringify(failures)}`)
  verdict(live >= sessionCount, `${sessionCount} sessions are open to the end, ${live}`)
  if (options['errors-only']) return
  const [p99, controlP99] = [load, control].map(outcomes => percentiles(outcomes, [0.99])[0])
  const ratio = p99 / controlP99
  verdict(ratio <= 2, `the p99 is at most twice that of 10 sessions, ${ratio.toFixed(2)} times`)
  // A heap grows to its size in the first minutes.
  const slackMb = seconds < 300 ? 24 : 12
  const grown = endMb.map((mb, index) => mb - startMb[index] * 1.1 - slackMb)
  verdict(grown.every(mb => mb <= 0), `the memory of the workers is flat: ${startMb} MB, then ${endMb} MB`)
}
