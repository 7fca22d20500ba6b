/*
 * A user keeps five hostile servers busy while another one uses a good server: `npm run siege [seconds]`, 600 when left
 * out. First the good server is used alone. It prints figures and verdicts, and ends with exit code 1 when one is not
 * held. It uses this machine only, and ends by itself. Further arguments are options of Node for the service, as in
 * `npm run siege -- 60 --v8-pool-size=4`.
 */
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { countProcesses, prepareRun } from '../scripts/private-service.mjs'
import {
  askSteadily, attack, callGood, callGoodDirectly, closeClient, hostileKinds, openSession, quantile, startBesieged
} from './besieged.mjs'
import { createVerdicts } from './verdicts.mjs'

const [secondsGiven = '600', ...nodeOptions] = process.argv.slice(2)
const seconds = Number(secondsGiven)
const rate = 20
const atOnce = 16
/** How long the good server is used alone (s), and how long before that, so that the code is compiled. */
const aloneSeconds = Math.max(3, Math.min(60, Math.round(seconds / 5)))
const warmSeconds = Math.max(2, Math.round(aloneSeconds / 3))

const { folder, redis } = await prepareRun('siege')
let service = null

const { verdict, end } = createVerdicts({
  name: 'siege',
  longestSeconds: seconds + 300,
  async cleanUp (verdict) {
    const code = await service?.stop()
    if (service !== null) verdict(code === 0, `the service ends well, exit code ${code}`)
    await delay(500) // a reaper needs milliseconds
    const left = countProcesses(`\0${folder}\0`)
    verdict(left === 0, `no MCP server is left, ${left}`)
    await closeClient()
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})

try {
  console.log(`the good server alone for ${aloneSeconds} s, then ${seconds} s of siege: ${hostileKinds.join(', ')}`)
  // A service of its own: the processes of hostile servers are started ahead of demand.
  let good = await start([])
  const alone = await part(() => askBoth(good, during(aloneSeconds)))
  await service.stop()

  good = await start(hostileKinds)
  const hostile = await openSession(service, 'siege-hostile')
  const startMb = await service.settledMb()
  const isOver = during(seconds)
  let outcomes
  const siege = await part(async () => {
    const attacked = attack(service, { session: hostile, kinds: hostileKinds, atOnce, isOver })
    const figures = await askBoth(good, isOver)
    outcomes = await attacked
    return figures
  })
  const peakMb = service.peakMb()
  const endMb = await service.settledMb()
  report({ alone, siege, outcomes, startMb, peakMb, endMb })
  await end()
} catch (error) {
  await end(error.stack)
}

/** Starts a service, and gives the use of its good server. */
async function start (kinds) {
  service = await startBesieged({ folder, redis, kinds, nodeOptions })
  const good = callGood(service, await openSession(service, `siege-${kinds.length}`))
  await askSteadily({ rate, isOver: during(warmSeconds), ask: good })
  return good
}

/** The figures of calls through the service, and the times of calls without it. */
async function askBoth (ask, isOver) {
  const asks = [ask, callGoodDirectly(service)]
  const [through, directly] = await Promise.all(asks.map(ask => askSteadily({ rate, isOver, ask })))
  return { ...through, direct: directly.times }
}

function during (seconds) {
  const endsAt = Date.now() + seconds * 1_000
  return () => Date.now() >= endsAt || !service.isAlive()
}

async function part (work) {
  const since = Date.now()
  const figures = await work()
  await delay(1_100) // the last reading of the event loop
  return { ...figures, longestMs: service.longestDelay(since) }
}

function report ({ alone, siege, outcomes, startMb, peakMb, endMb }) {
  const ms = value => `${value.toFixed(1)} ms`
  const line = (what, { times, failures, longestMs }) => {
    const failed = Object.values(failures).reduce((sum, count) => sum + count, 0)
    console.log(`${what}: ${times.length} calls of the good server, ${failed} failed ${JSON.stringify(failures)}, ` +
      `p50 ${ms(quantile(times, 0.5))}, p99 ${ms(quantile(times, 0.99))}; event loop held up for ${longestMs} ms at most`)
    return failed
  }
  line('alone', alone)
  const failed = line('siege', siege)
  const ratios = [0.5, 0.99].map(share => quantile(siege.times, share) / quantile(alone.times, share))
  const direct = [alone, siege].map(({ direct }) => quantile(direct, 0.99))
  console.log(`without the service: p99 ${ms(direct[0])} alone and ${ms(direct[1])} in the siege, ` +
    `ratio ${(direct[1] / direct[0]).toFixed(2)}`)
  console.log(`ratio: p50 ${ratios[0].toFixed(2)}, p99 ${ratios[1].toFixed(2)}`)
  console.log(`hostile requests: ${JSON.stringify(outcomes, null, 2)}`)
  console.log(`memory of the service: ${startMb} MB at the start, ${peakMb} MB at the peak, ${endMb} MB at the end`)

  const isWell = /^\w+ [45]\d\d MCPC_ERR_/
  const odd = Object.keys(outcomes).filter(outcome => !isWell.test(outcome))
  verdict(service.isAlive(), 'the service lives')
  verdict(failed === 0, 'every call of the good server succeeds')
  verdict(ratios[1] <= 3, 'its p99 is at most three times that of the good server alone')
  verdict(endMb <= startMb * 1.5, 'the memory is back within 50 % of the start')
  verdict(odd.length === 0, `every hostile request fails with a code of the service${odd.map(name => `; ${name}`)}`)
}
