/*
 * Kills workers while they make calls that nobody waits for, and looks whether each was made once at most and ends in a
 * state that is true: `npm run calls-soak`, with CALLS (200), CALLS_SECONDS (60), CALLS_KILL_EVERY (5 s) and
 * CALLS_WORKERS (3). What was made is counted at the server. It prints figures, and ends with exit code 1 when
 * something is not right. It uses this machine only.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './environment.mjs'
import { countProcesses } from './private-service.mjs'
import { openPool } from './worker-pool.mjs'

const number = (name, usual) => Number(process.env[name] || usual)
const calls = number('CALLS', 200)
const seconds = number('CALLS_SECONDS', 60)
const killEverySeconds = number('CALLS_KILL_EVERY', 5)

const faults = []
const giveUp = setTimeout(() => {
  console.log('NOT RIGHT: the run was not done in time')
  process.exit(1)
}, (seconds + 300) * 1_000)

const server = join(root, 'test', 'fixtures', 'acting-server.mjs')
const pool = await openPool({
  name: 'calls',
  count: number('CALLS_WORKERS', 3),
  fault: what => faults.push(what),
  servers (folder) {
    writeFileSync(join(folder, 'acts'), '')
    return { acting: { command: process.execPath, args: [server, join(folder, 'acts')], lifecycle: 'shared' } }
  }
})
const sessions = Array.from({ length: 20 }, (_, index) => `calls-${index}`)
for (const session of sessions) await pool.openSession(session)

let kills = 0
const endsAt = Date.now() + seconds * 1_000
const made = await Promise.all([make(), killWorkers()])
const ended = await Promise.all(made[0].map(follow))
await report()

/** Sends the calls, evenly over the time, each with a key of its own: sent again, it is the same call. */
async function make () {
  return await Promise.all(Array.from({ length: calls }, async (_, index) => {
    await delay(index * seconds * 1_000 / calls)
    const session = sessions[index % sessions.length]
    const { status, body } = await pool.insist('POST', '/call-tool', {
      headers: { prefer: 'respond-async', 'idempotency-key': `key-${index}` },
      body: { session_id: session, tool: 'act', params: { name: `call-${index}`, ms: 200 + index * 37 % 2_500 } }
    })
    if (status !== 202 && status !== 200) faults.push(`call ${index} was answered ${status} ${body}`)
    // One that was over when it was sent again is answered with its result: its id is in the list.
    const { call } = JSON.parse(body)
    return { name: `call-${index}`, session, call }
  }))
}

async function killWorkers () {
  for (let at = Date.now() + killEverySeconds * 1_000; at < endsAt; at += killEverySeconds * 1_000) {
    await delay(Math.max(0, at - Date.now()))
    kills++
    await pool.kill(pool.workers[kills % pool.workers.length])
    await pool.start()
  }
}

/** Waits for the end of a call, and reads what its followers get. */
async function follow ({ name, session, call }) {
  if (call === undefined) return { name, status: 'answered at once' }
  const headers = { 'x-session-id': session }
  const patience = Date.now() + 120_000
  for (;;) {
    const { body } = await pool.insist('GET', `/calls/${call}?wait=20`, { headers })
    const { status, result, failure } = JSON.parse(body)
    const isOver = !['queued', 'working'].includes(status)
    if (!isOver && Date.now() < patience) continue
    const { body: events } = isOver ? await pool.insist('GET', `/calls/${call}/events`, { headers }) : { body: '' }
    const last = /^event: (\w+)$/m.exec(events.slice(events.lastIndexOf('event: ')))?.[1]
    return { name, status, result, failure, last }
  }
}

function isResultOf (name, result) {
  return JSON.parse(result?.result ?? '{}').acted === name
}

async function report () {
  const lines = readFileSync(join(pool.folder, 'acts'), 'utf8').split('\n')
  const count = line => lines.filter(found => found === line).length
  const states = {}
  for (const { name, status, result, failure, last } of ended) {
    states[status] = (states[status] ?? 0) + 1
    const [begun, done] = [count(`begin ${name}`), count(`end ${name}`)]
    if (begun > 1) faults.push(`${name} was made ${begun} times`)
    const isTrue = {
      completed: begun === 1 && done === 1 && isResultOf(name, result) && last === 'result',
      unknown: last === 'error',
      failed: last === 'error' && (failure?.acted === 'unknown' || begun === 0),
      'answered at once': begun === 1 && done === 1
    }[status] ?? false
    if (!isTrue) faults.push(`${name} is ${status}, and was begun ${begun} times, ended ${done} times, last event ${last}`)
  }
  await pool.close()
  const left = countProcesses(`acting-server.mjs\0${pool.folder}`)
  if (left > 0) faults.push(`${left} MCP servers are left`)
  clearTimeout(giveUp)
  console.log(`calls: ${ended.length}, kills: ${kills}`)
  console.log(Object.entries(states).map(([state, count]) => `${state}: ${count}`).join('\n'))
  for (const line of faults.slice(0, 20)) console.log(`NOT RIGHT: ${line}`)
  if (faults.length === 0) console.log('no call was made twice, and each ended in a state that is true')
  process.exit(faults.length === 0 ? 0 : 1)
}
