/*
 * Kills the worker that makes a call with an `Idempotency-Key`, at each step of the call, sends the same request again
 * until it is answered, and looks whether the call was made twice: `npm run keys-soak`, with KEYS_KILLS (200) and
 * KEYS_WORKERS (3). What was made is counted at the server. It prints figures, and ends with exit code 1 when something
 * is not right. It uses this machine only.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './environment.mjs'
import { openPool } from './worker-pool.mjs'

const { Redis } = createRequire(import.meta.url)('ioredis')
const kills = Number(process.env.KEYS_KILLS || 200)
const faults = []
const giveUp = setTimeout(() => {
  console.log('NOT RIGHT: the run was not done in time')
  process.exit(1)
}, 120_000 + kills * 15_000)

const server = join(root, 'test', 'fixtures', 'acting-server.mjs')
const pool = await openPool({
  name: 'keys',
  count: Number(process.env.KEYS_WORKERS || 3),
  fault: what => faults.push(what),
  servers (folder) {
    writeFileSync(join(folder, 'acts'), '')
    return { acting: { command: process.execPath, args: [server, join(folder, 'acts')], lifecycle: 'shared' } }
  }
})
const redis = new Redis(pool.redis.url.replace('unix://', ''))
await pool.openSession('keys')

const acts = () => readFileSync(join(pool.folder, 'acts'), 'utf8').split('\n')
const count = line => acts().filter(found => found === line).length
/** The states of the session's calls that were not there before. */
async function newStates (before) {
  const fields = Object.entries(await redis.hgetall('mcp_session:keys'))
  return fields.filter(([name]) => name.startsWith('c:') && !before.has(name)).map(([, head]) => head.split(' ')[0])
}

/** When the worker is killed: what must be the case before. */
const steps = {
  'at once': () => true,
  'after some milliseconds': async () => await delay(Math.random() * 12).then(() => true),
  'the call is begun': async ({ before }) => (await newStates(before)).includes('working'),
  'the tool acts': ({ name }) => count(`begin ${name}`) > 0,
  'the tool has acted': ({ name }) => count(`end ${name}`) > 0,
  'the answer is kept': async ({ before }) => (await newStates(before)).includes('completed'),
  'the answer is sent': ({ first }) => first.isAnswered
}
const outcomes = {}
const madeAt = {}
const repeated = []
for (let round = 0; round < kills; round++) {
  const [step, isDue] = Object.entries(steps)[round % Object.keys(steps).length]
  const interrupted = await interrupt(`call-${round}`, isDue)
  repeated.push(repeat({ step, ...interrupted }))
  await pool.start()
}
await Promise.all(repeated)
await report()

/** Sends a call, and kills its worker when that is due. */
async function interrupt (name, isDue) {
  const before = new Set((await redis.hkeys('mcp_session:keys')).filter(field => field.startsWith('c:')))
  const options = {
    headers: { 'idempotency-key': name }, body: { session_id: 'keys', tool: 'act', params: { name, ms: 30 } }
  }
  const worker = pool.workers[0]
  const first = { isAnswered: false }
  const answer = pool.send('POST', '/call-tool', { ...options, worker }).then(answer => {
    first.isAnswered = answer.status !== 0
    return answer
  })
  while (!first.isAnswered && !(await isDue({ name, before, first }))) await delay(1)
  await pool.kill(worker)
  return { name, options, firstAnswer: await answer }
}

/** Sends the call again until it is answered. */
async function repeat ({ step, name, options, firstAnswer }) {
  // The lease of the worker that died lapses after 15 s; until then the call is said to run.
  let again
  do {
    again = await pool.insist('POST', '/call-tool', options)
    if (again.body.includes('MCPC_ERR_CALL_RUNNING')) await delay(200)
  } while (again.body.includes('MCPC_ERR_CALL_RUNNING'))
  const { status = 'success', code } = JSON.parse(again.body)
  const outcome = again.status === 200 ? status : code
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  const begun = count(`begin ${name}`)
  madeAt[step] = (madeAt[step] ?? 0) + begun
  if (begun > 1) faults.push(`${name} was made ${begun} times, killed when ${step}`)
  if (again.status === 200 && count(`end ${name}`) !== 1) faults.push(`${name} is answered and was not made`)
  if (again.status !== 200 && code !== 'MCPC_ERR_OUTCOME_UNKNOWN') faults.push(`${name} is answered ${again.body}`)
  if (firstAnswer.status === 200 && firstAnswer.body !== again.body) faults.push(`${name} has two answers`)
}

async function report () {
  redis.disconnect()
  await pool.close()
  clearTimeout(giveUp)
  console.log(`kills: ${kills}`)
  for (const [step, made] of Object.entries(madeAt)) console.log(`killed when ${step}: the tool acted ${made} times`)
  for (const [outcome, times] of Object.entries(outcomes)) console.log(`sent again: ${outcome}, ${times} times`)
  for (const line of faults.slice(0, 20)) console.log(`NOT RIGHT: ${line}`)
  if (faults.length === 0) console.log('no call was made twice')
  process.exit(faults.length === 0 ? 0 : 1)
}
