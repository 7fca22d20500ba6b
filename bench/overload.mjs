/*
 * Offers four times of what the service can do: `npm run overload [-- --seconds=15 --workers=2 --times=4]`.
 *
 * First it measures the capacity: how much is answered when each of some callers waits for its answer. Then it sends
 * four times as much, whether it is answered or not. Five seconds after that it measures the capacity again. It prints
 * figures and verdicts, and ends with exit code 1 when one is not held. It uses this machine only.
 */
import { parseArgs } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'
import { endFleet, startFleet } from './fleet-behind-nginx.mjs'
import { countBy, during, percentiles, sendInTurn, sendSteadily } from './open-loop.mjs'
import { createClient, createSessions, withEach } from './session-mix.mjs'
import { createVerdicts } from './verdicts.mjs'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '15' },
    workers: { type: 'string', default: '2' },
    times: { type: 'string', default: '4' },
    /** Judges no times, for a machine that does other work as well. */
    'no-times': { type: 'boolean', default: false }
  }
})
const [seconds, workerCount, times] = ['seconds', 'workers', 'times'].map(name => Number(options[name]))
/** When the answer to a request that is sent in an overload is late (ms). */
const inTimeMs = 30_000

const fleet = await startFleet({ name: 'overload', workerCount, environment: { MCP_WARM_SPARES: '0', MCP_MAX_LOOP_DELAY_MS: '200' } })
const client = createClient(fleet.url)
const { verdict, end } = createVerdicts({
  name: 'overload',
  longestSeconds: seconds * 10 + 240,
  cleanUp: verdict => endFleet({ client, fleet, verdict })
})

try {
  const sessions = createSessions(500, 'overload')
  await withEach(sessions, client.open)
  const send = turn => client.use(sessions, turn)
  await measure(send, 3)
  const startMb = await fleet.settledMb()
  const before = await measure(send, Math.max(4, seconds / 3))
  const rate = Math.round(before * times)
  console.log(`capacity: ${Math.round(before)} requests/s; ${rate} requests/s are sent for ${seconds} s`)

  const { outcomes, mostUnderWay } = await sendSteadily({ rate, isOver: during(seconds), send })
  const peakMb = fleet.workersMb()
  await delay(5_000)
  const after = await measure(send, Math.max(4, seconds / 3))
  const endMb = await fleet.settledMb()

  const good = outcomes.filter(({ status }) => status === 200)
  const refused = outcomes.filter(({ status }) => status === 429 || status === 503)
  const kinds = countBy(outcomes, ({ status, code }) => `${status} ${code}`)
  console.log(`answers: ${JSON.stringify(kinds)}; at most ${mostUnderWay} requests under way`)
  const ms = numbers => numbers.map(number => `${Math.round(number)} ms`).join(', ')
  console.log(`good: ${Math.round(good.length / seconds)} a second, p50, p99, longest ${ms(percentiles(good, [0.5, 0.99, 1]))}`)
  console.log(`refused: p50, p99, longest ${ms(percentiles(refused, [0.5, 0.99, 1]))}`)
  console.log(`memory of the workers: ${startMb} MB before, ${peakMb} MB at the end of the overload, ${endMb} MB after`)

  verdict(refused.length + good.length === outcomes.length, 'every answer is good, or 429 or 503')
  verdict(refused.every(({ retryAfter }) => Number(retryAfter) > 0), 'every refusal has Retry-After')
  verdict(good.length > 0 && refused.length > 0, 'some requests are answered, and some refused')
  const longest = Math.max(...outcomes.map(({ ms }) => ms))
  verdict(longest <= inTimeMs, `every answer comes within ${inTimeMs / 1_000} s, ${Math.round(longest)} ms`)
  verdict(endMb.every((mb, index) => mb <= startMb[index] * 1.3 + 24), 'the memory is back')
  await withEach(sessions, client.recall)
  const { body } = await health()
  verdict(body.processes.waiting === 0 && body.upstreams.waiting === 0, 'nothing waits')
  const ratio = after / before
  console.log(`5 s later: ${Math.round(after)} requests/s, ${ratio.toFixed(2)} of the capacity`)
  if (!options['no-times']) verdict(ratio >= 0.8, 'full speed 5 s later')
  await end()
} catch (error) {
  await end(error.stack)
}

/** How many requests a second are answered well. */
async function measure (send, seconds) {
  const { outcomes, perSecond } = await sendInTurn({ atOnce: 32, isOver: during(seconds), send })
  const failed = outcomes.filter(({ status }) => status !== 200)
  if (failed.length > 0) throw new Error(`while the capacity was measured: ${JSON.stringify(failed[0])}`)
  return perSecond
}

async function health () {
  const response = await fetch(`${fleet.workers[0].url}/health`)
  return { body: await response.json() }
}
