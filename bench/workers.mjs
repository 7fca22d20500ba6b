/*
 * Calls per second of 1, 2 and 4 workers behind nginx, and what limits them: the processor time of everybody who takes
 * part, in the same run.
 *
 *   npm run bench:workers [-- options]
 *
 *   --seconds=9     how long each row is measured, in parts that take turns
 *   --callers=64    how many calls are under way at once
 *   --write         writes the tables into bench/README.md
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { machine, ms, ratio, tableText } from './bench.mjs'
import { endFleet, startFleet } from './fleet-behind-nginx.mjs'
import { during, percentiles, sendInTurn } from './open-loop.mjs'
import { limitOf, startReading, sumReadings } from './parties.mjs'
import { createClient, createSessions, failuresOf, withEach } from './session-mix.mjs'
import { createVerdicts } from './verdicts.mjs'
import { writeTable } from './write-table.mjs'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '9' },
    callers: { type: 'string', default: '64' },
    write: { type: 'boolean', default: false }
  }
})
const [seconds, callers] = ['seconds', 'callers'].map(name => Number(options[name]))
const parts = 3
/** Both kinds keep what a call leaves, which costs most. */
const remote = { remoteServer: ['raw-http-server.mjs', '--era=2025'], remoteValues: 'chain' }
const kinds = [
  { name: 'shared server over stdio', tool: 'kept__count', params: { n: 1 } },
  { name: 'HTTP, 2025 era, resumed', tool: 'remote__echo', params: { text: 'hello' } }
]

const started = []
const { verdict, end } = createVerdicts({
  name: 'comparison',
  longestSeconds: seconds * 20 + 300,
  cleanUp: async verdict => { for (const { client, fleet } of started) await endFleet({ client, fleet, verdict }) }
})

try {
  for (const workerCount of [1, 2, 4]) started.push(await start(workerCount))
  const rows = kinds.flatMap(kind => started.map(one => ({ ...one, kind, outcomes: [], readings: [] })))
  for (const row of rows) await use(row, compiled(row))
  for (let part = 0; part < parts; part++) {
    for (const row of rows) {
      const { outcomes, reading } = await use(row, during(seconds / parts))
      row.outcomes.push(...outcomes)
      row.readings.push(reading)
    }
  }
  for (const row of rows) row.used = sumReadings(row.readings)

  const head = `${machine()} · ${callers} calls under way at once; the rows take turns`
  const text = [head, ratesTable(rows), partiesTable(rows)].join('\n\n')
  console.log(text)
  if (options.write) writeTable('bench/README.md', 'workers', 'bench:workers', text)
  const outcomes = rows.flatMap(row => row.outcomes)
  const failures = failuresOf(outcomes)
  verdict(Object.keys(failures).length === 0, `no call of ${outcomes.length} fails ${JSON.stringify(failures)}`)
  await end()
} catch (error) {
  await end(error.stack)
}

async function start (workerCount) {
  const environment = { MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_WARM_SPARES: '0' }
  const fleet = await startFleet({ name: `workers-${workerCount}`, workerCount, environment, ...remote })
  const client = createClient(fleet.url)
  const sessions = createSessions(callers, 'workers')
  await withEach(sessions, client.open)
  return { workerCount, fleet, client, sessions }
}

/** Says when each worker has made so many calls that its code is compiled: a service runs for weeks. */
function compiled ({ workerCount }) {
  let left = workerCount * 2_000
  return () => left-- <= 0
}

/** Each caller waits for its answer before it sends the next call. */
async function use ({ fleet, client, sessions, kind: { name, tool, params } }, isOver) {
  const read = startReading(fleet)
  const { outcomes } = await sendInTurn({
    atOnce: callers,
    isOver,
    send: async turn => ({ kind: name, ...await client.call(sessions[turn % sessions.length], tool, params) })
  })
  return { outcomes, reading: read() }
}

function ratesTable (rows) {
  const rateOf = ({ outcomes, used }) => outcomes.length * 1_000 / used.wallMs
  return tableText(['calls', 'workers', 'calls/s', 'against 1 worker', 'p50', 'p99'], rows.map(row => {
    const one = rows.find(({ kind, workerCount }) => kind === row.kind && workerCount === 1)
    return [
      row.kind.name, row.workerCount, rateOf(row).toFixed(0), ratio(rateOf(row) / rateOf(one)),
      ...percentiles(row.outcomes, [0.5, 0.99]).map(ms)
    ]
  }))
}

/** Who computes how long for a call, and what is busy. */
function partiesTable (rows) {
  const head = [
    'processor time of a call', 'workers', 'client', 'nginx', 'the workers', 'Redis', 'MCP servers', 'sum',
    'calls/s if all cores did this', 'busiest worker', 'other programs', 'what limits'
  ]
  return tableText(head, rows.map(({ kind, workerCount, outcomes, used }) => {
    const { client, nginx, workers, redis, servers } = used.parties
    const times = [client, nginx, workers, redis, servers].map(time => time / outcomes.length)
    const sum = times.reduce((sum, time) => sum + time, 0)
    return [
      kind.name, workerCount, ...[...times, sum].map(ms), Math.floor(cpus().length * 1_000 / sum),
      `${(used.busiestWorker * 100).toFixed(0)} % of a core`, `${used.otherCores.toFixed(1)} cores`, limitOf(used)
    ]
  }))
}
