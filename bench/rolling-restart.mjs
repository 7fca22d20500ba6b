/*
 * Restarts each of four workers behind nginx while sessions are used and streams of events are open:
 * `npm run rolling-restart [-- --rounds=1 --sessions=1000 --rate=100 --workers=4 --streams=40]`.
 *
 * It prints figures and verdicts: no request fails, no session is lost, no process is left. It ends with exit code 1
 * when one is not held. It uses this machine only.
 */
import { parseArgs } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'
import { endFleet, startFleet } from './fleet-behind-nginx.mjs'
import { sendSteadily } from './open-loop.mjs'
import { createClient, createSessions, failuresOf, withEach } from './session-mix.mjs'
import { createVerdicts } from './verdicts.mjs'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    sessions: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '100' },
    workers: { type: 'string', default: '4' },
    streams: { type: 'string', default: '40' }
  }
})
const [rounds, sessionCount, rate, workerCount, streamCount] =
  ['rounds', 'sessions', 'rate', 'workers', 'streams'].map(name => Number(options[name]))
/** How long each stream is open (ms): less than MCP_CLOSE_GRACE, which is 30 s. */
const streamMs = 4_000

const state = { isOver: false }
const fleet = await startFleet({
  name: 'rolling',
  workerCount,
  // Streams are more than a session may have at once where there are few.
  environment: { MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_QUEUE_TIMEOUT: '60' }
})
const client = createClient(fleet.url)
const { verdict, end, isFaulty } = createVerdicts({
  name: 'rolling restart',
  longestSeconds: rounds * workerCount * 60 + 120,
  cleanUp: async verdict => {
    state.isOver = true
    await endFleet({ client, fleet, verdict })
  }
})

try {
  const sessions = createSessions(sessionCount, 'rolling')
  await withEach(sessions, client.open)
  console.log(`${sessionCount} sessions, ${rate} requests/s and ${streamCount} streams, ${workerCount} workers behind nginx`)
  const send = turn => client.use(sessions, turn)
  const load = sendSteadily({ rate, isOver: () => state.isOver, send })
  const streams = Promise.all(sessions.slice(0, streamCount).map(keepStreaming))
  await delay(3_000)
  for (let restart = 0; restart < rounds * workerCount; restart++) {
    const pid = fleet.workers[restart % workerCount].child.pid
    const startedAt = performance.now()
    const code = await fleet.restart(restart % workerCount)
    console.log(`worker ${pid} was restarted in ${Math.round(performance.now() - startedAt)} ms, exit code ${code}`)
    if (code !== 0) verdict(false, `a worker ends with exit code 0, ${code}`)
  }
  state.isOver = true
  const { outcomes } = await load
  const all = [...outcomes, ...(await streams).flat()]
  const failures = failuresOf(all)
  verdict(Object.keys(failures).length === 0, `no request of ${all.length} fails ${JSON.stringify(failures)}`)
  await withEach(sessions, client.recall).then(
    () => verdict(true, `no session of ${sessionCount} is lost`),
    error => verdict(false, `no session is lost: ${error.message}`)
  )
  if (isFaulty()) console.log(fleet.nginx.errorLog().split('\n').slice(-20).join('\n'))
  await end()
} catch (error) {
  await end(error.stack)
}

async function keepStreaming (session, index) {
  const outcomes = []
  await delay(index * streamMs / streamCount)
  while (!state.isOver) outcomes.push({ kind: 'long stream', ...await client.stream(session, streamMs) })
  return outcomes
}
