/*
 * Measures what each kind of hostile server costs others: how long the event loop is held up, and how long /livez and
 * another user's call of a good server take. Each kind has a service of its own, first in peace, which is the control,
 * then under attack by four calls at once. `node bench/hostile.mjs [seconds of each part] [kind …]`
 */
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { prepareRun } from '../scripts/private-service.mjs'
import { machine, ms, ratio, table } from './bench.mjs'
import {
  askAlive, askSteadily, attack, callGood, closeClient, hostileKinds, openSession, quantile, startBesieged
} from './besieged.mjs'

const [seconds = '10', ...chosen] = process.argv.slice(2)
const rate = 20
const atOnce = 4
const warmMs = 3_000

const { folder, redis } = await prepareRun('hostile')
const rows = []
try {
  for (const kind of chosen.length > 0 ? chosen : hostileKinds) rows.push(...await measure(kind))
} finally {
  await closeClient()
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
}
console.log(`${machine()} · ${seconds} s in peace and under attack, ${rate} requests a second, ${atOnce} hostile\n`)
table(['server', 'what', 'in peace', 'under attack', 'ratio'], rows)

async function measure (kind) {
  // A spare of a hostile server would be an attack before the attack.
  const service = await startBesieged({ folder, redis, kinds: [kind], environment: { MCP_WARM_SPARES: '0' } })
  try {
    const good = callGood(service, await openSession(service, `good-${kind}`))
    const session = await openSession(service, `hostile-${kind}`)
    await askSteadily({ rate, isOver: during(service, warmMs), ask: good })
    const peace = await part(service, good)
    const isOver = during(service, Number(seconds) * 1_000)
    const attacked = attack(service, { session, kinds: [kind], atOnce, isOver })
    const war = await part(service, good, isOver)
    const outcomes = Object.entries(await attacked).map(([name, count]) => `${count} × ${name}`).join(', ')
    const rowOf = (what, valueIn) =>
      [kind, what, ms(valueIn(peace)), ms(valueIn(war)), ratio(valueIn(war) / valueIn(peace))]
    const failed = Object.entries(war.failures).map(([name, count]) => `, ${count} × ${name}`).join('')
    return [
      rowOf('event loop held up at most', ({ longestMs }) => Math.max(1, longestMs)),
      ...[0.5, 0.99].flatMap(share => [
        rowOf(`/livez p${share * 100}`, ({ alive }) => quantile(alive, share)),
        rowOf(`call of the good server p${share * 100}${failed}`, ({ calls }) => quantile(calls, share))
      ]),
      [kind, outcomes, '', service.isAlive() ? '' : 'the service has ended', '']
    ]
  } finally {
    await service.stop()
  }
}

async function part (service, good, isOver = during(service, Number(seconds) * 1_000)) {
  const since = Date.now()
  const [calls, alive] = await Promise.all([good, askAlive(service)].map(ask => askSteadily({ rate, isOver, ask })))
  await delay(1_100) // the last reading of the event loop
  const failures = { ...calls.failures, ...alive.failures }
  return { calls: calls.times, alive: alive.times, failures, longestMs: service.longestDelay(since) }
}

function during (service, milliseconds) {
  const endsAt = Date.now() + milliseconds
  return () => Date.now() >= endsAt || !service.isAlive()
}
