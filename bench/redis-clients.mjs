/*
 * Compares clients of Redis at what a tool call needs of one: the service's own two scripts, load and write, with the
 * arguments of a call that keeps three values and fills three. The clients take turns on one Redis and on sessions of
 * the same form. Those that the service does not use are installed in a folder that the end removes.
 *
 *   node bench/redis-clients.mjs 10 2000    # rounds, calls in each
 */
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createSessionRedis } from '../dist/lib/sessions/scripts.js'
import { watchConnection } from '../dist/lib/redis/watchdog.js'
import {
  atEnd, bench, concurrently, machine, median, ratio, root, startRedis, table, temporaryFolder, timed
} from './bench.mjs'

const rounds = Number(process.argv[2] ?? 10)
const calls = Number(process.argv[3] ?? 2_000)
const timeoutMs = 10_000

const text = 'a value of some length, as tools give them to each other '.repeat(4)
const valueNames = ['one', 'two', 'three']
const origin = JSON.stringify({ server: 'charts', tool: 'analyze', as: 'result', at: new Date(0).toISOString() })
const limits = { ttlSeconds: 3_600, mostBytes: 16_777_216, mostFields: 10_000 }

await bench(async () => {
  const folder = await temporaryFolder()
  installClients(folder)
  const requireFrom = createRequire(join(folder, 'package.json'))
  const { socket } = await startRedis()
  const [{ Redis: Ioredis }, { Redis: Iovalkey }] = [createRequire(import.meta.url)('ioredis'), requireFrom('iovalkey')]
  const [ioredis, iovalkey, redis] = [named(root, 'ioredis'), named(folder, 'iovalkey'), named(folder, 'redis')]
  const clients = [
    { name: `${ioredis}, as the service has it`, client: await ofIoredis(Ioredis, socket, true) },
    { name: `${ioredis}, each command written alone`, client: await ofIoredis(Ioredis, socket, false) },
    { name: `${iovalkey}, as the service has ioredis`, client: await ofIoredis(Iovalkey, socket, true) },
    { name: `${redis} (node-redis)`, client: await ofNodeRedis(requireFrom('redis'), socket) }
  ]
  for (const each of clients) each.call = await prepareCalls(createSessionRedis(each.client, timeoutMs))
  const rows = [...await compare(clients, 1, Math.ceil(calls / 2)), ...await compare(clients, 32, calls)]
  console.log(`${machine()} · ${rounds} rounds of ${calls} calls, alternating\n`)
  table(['two scripts a call', 'callers', 'calls/s', 'ratio', 'processor time of a call', 'ratio'], rows)
})

/** Their scripts of installation are not run. */
function installClients (folder) {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', 'redis', 'iovalkey']
  const { status } = spawnSync('npm', install, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`npm could not install the clients into ${folder}`)
}

/** A client's name with its version. */
function named (folder, name) {
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
  return `${name} ${version}`
}

/** A client of ioredis, or of its fork, with the service's settings. `corked`: commands of one turn leave together. */
async function ofIoredis (Redis, path, corked) {
  const client = new Redis({ path, lazyConnect: true, enableOfflineQueue: false, maxRetriesPerRequest: 0 })
  client.on('error', error => console.error(error.message))
  if (corked) watchConnection(client, timeoutMs)
  await client.connect()
  atEnd(() => client.disconnect())
  return client
}

/** node-redis behind the one method by which the service runs scripts. It joins the commands of a turn by itself. */
async function ofNodeRedis ({ createClient }, path) {
  const client = createClient({ socket: { path }, disableOfflineQueue: true })
  client.on('error', error => console.error(error.message))
  await client.connect()
  atEnd(() => client.destroy())
  // What the service makes of a script is a command of ioredis.
  return { sendCommand: ({ name, args }) => client.sendCommand([name, ...args]) }
}

/** Opens 32 sessions, and gives what one call of a caller asks of Redis. */
async function prepareCalls ({ scripts, inTime }) {
  const meta = JSON.stringify({ version: 1, created_at: new Date().toISOString(), generation: randomUUID() })
  const credentials = JSON.stringify({ apiUrl: 'https://api.example.com', jwtToken: `not.a-real.${'t'.repeat(600)}` })
  const values = valueNames.map(name => ({ field: `p:${name}`, text: JSON.stringify(text), origin }))
  const keys = Array.from({ length: 32 }, () => `bench_session:${randomUUID()}`)
  for (const key of keys) {
    const created = { ...limits, seen: '', now: new Date(), endsAt: null, fields: { meta, credentials }, values }
    if (await inTime(scripts.createSession(key, created)) === null) throw new Error('a session could not be opened')
  }
  const fields = ['meta', 'credentials', 'ends', ...valueNames.flatMap(name => [`p:${name}`, `o:p:${name}`])]
  return async caller => {
    const key = keys[caller]
    const slot = { id: randomUUID(), holdMs: 60_000, mostSlots: 10 }
    const read = await inTime(scripts.loadSession(key, {
      ttlSeconds: limits.ttlSeconds, now: new Date(), tokenHash: null, slot, claim: null, fields
    }))
    if (read.is !== 'session' || read.fields.get('p:three') === null) throw new Error(`a session is ${read.is}`)
    const record = { tool: 'analyze', outcome: 'ok', duration_ms: 12.5, at: new Date().toISOString() }
    const leftOut = await inTime(scripts.writeSession(key, {
      ...limits,
      meta,
      now: new Date(),
      slotId: slot.id,
      calls: 1,
      endedCall: null,
      dropped: [],
      fields: { last_call: JSON.stringify(record) },
      values
    }))
    if (leftOut?.length !== 0) throw new Error('a session was not written')
  }
}

/** A row for each client. All are in this process, so its processor time is that of whoever has its turn. */
async function compare (clients, callers, count) {
  const rates = clients.map(() => [])
  const processor = clients.map(() => [])
  for (let round = -3; round < rounds; round++) {
    // Nobody is always the first of a round.
    for (let turn = 0; turn < clients.length; turn++) {
      const index = (turn + round + clients.length) % clients.length
      const { call } = clients[index]
      const before = process.cpuUsage()
      const took = await timed(() => concurrently(count, callers, call))
      const { user, system } = process.cpuUsage(before)
      if (round < 0) continue
      rates[index].push(count / took * 1_000)
      processor[index].push((user + system) / count)
    }
  }
  const [rate, time] = [rates, processor].map(([first]) => median(first))
  return clients.map(({ name }, index) => [
    name, callers, Math.round(median(rates[index])).toLocaleString('en'), ratio(median(rates[index]) / rate),
    `${median(processor[index]).toFixed(0)} µs`, ratio(median(processor[index]) / time)
  ])
}
