/*
 * Kills workers while the calls that they have accepted run as tasks of an MCP server, and looks whether any task is
 * lost or begun twice: `npm run tasks-soak`, with TASKS (200), TASKS_SECONDS (60), TASKS_KILL_EVERY (5 s) and
 * TASKS_WORKERS (3). What was begun is counted at the server. It prints figures, and ends with exit code 1 when
 * something is not right. It uses this machine only.
 *
 * A worker may be killed as it calls the tool: after the call is its, and before the id of the task is recorded. Nobody
 * can ask for such a task, if there is one. The call is `unknown`, and is counted apart. These are few.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './environment.mjs'
import { openPool } from './worker-pool.mjs'

const number = (name, usual) => Number(process.env[name] || usual)
const taskCount = number('TASKS', 200)
const seconds = number('TASKS_SECONDS', 60)
const killEverySeconds = number('TASKS_KILL_EVERY', 5)

const faults = []
const giveUp = setTimeout(() => end('the run was not done in time'), (seconds + 300) * 1_000)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end(`the run was stopped by ${signal}`))

const upstream = spawn(process.execPath, [join(root, 'test', 'fixtures', 'sdk-task-server.mjs'), '--http'], {
  stdio: ['pipe', 'pipe', 'inherit']
})
const [line] = await once(createInterface({ input: upstream.stdout }), 'line')
const { url } = JSON.parse(line)
let kills = 0
let pool = null

try {
  pool = await openPool({
    name: 'tasks',
    count: number('TASKS_WORKERS', 3),
    fault: what => faults.push(what),
    servers: () => ({ tasks: { url } })
  })
  const sessions = Array.from({ length: 20 }, (_, index) => `tasks-${index}`)
  for (const session of sessions) await pool.openSession(session)
  const endsAt = Date.now() + seconds * 1_000
  const [calls] = await Promise.all([
    Promise.all(Array.from({ length: taskCount }, (_, index) => accept(index, sessions[index % sessions.length]))),
    killWorkers(endsAt)
  ])
  await report(await Promise.all(calls.map(follow)))
} catch (error) {
  await end(error.stack)
}

async function killWorkers (endsAt) {
  for (let at = Date.now() + killEverySeconds * 1_000; at < endsAt; at += killEverySeconds * 1_000) {
    await delay(Math.max(0, at - Date.now()))
    await pool.kill(pool.workers[kills++ % pool.workers.length])
    await pool.start()
  }
}

/** Evenly over the time, and each for longer than a worker lives. Sent again, a call with a key is the same call. */
async function accept (index, session) {
  await delay(index * seconds * 1_000 * 0.8 / taskCount)
  const name = `task-${index}`
  const { status, body } = await pool.insist('POST', '/call-tool', {
    headers: { prefer: 'respond-async', 'idempotency-key': name },
    body: { session_id: session, tool: index % 2 ? 'may' : 'must', params: { name, delay: 500 + index * 97 % 12_000 } }
  })
  const { call } = JSON.parse(body)
  if (call === undefined) faults.push(`${name} was answered ${status} ${body}`)
  return { name, session, call }
}

async function follow ({ name, session, call }) {
  for (const patience = Date.now() + 120_000; ;) {
    const answer = await pool.insist('GET', `/calls/${call}?wait=20`, { headers: { 'x-session-id': session } })
    const body = JSON.parse(answer.body)
    const isOver = body.status !== 'queued' && body.status !== 'working'
    if (isOver || Date.now() > patience) return { name, ...body }
  }
}

async function report (ended) {
  const { begun, asked, methods } = await (await fetch(new URL('/stats', url))).json()
  const states = {}
  for (const { name, status, result, failure } of ended) {
    const [times, wasAsked] = [begun[name] ?? 0, asked[name] ?? 0]
    const isEarly = status === 'unknown' && times <= 1 && wasAsked === 0
    const word = isEarly ? `unknown, their worker died as it called; begun ${times} times` : status
    states[word] = (states[word] ?? 0) + 1
    if (times === 0 && status === 'completed') faults.push(`${name} is completed and was never begun`)
    if (times > 1) faults.push(`${name} was begun ${times} times`)
    const isOwn = JSON.parse(result?.result ?? '{}').name === name
    if (status === 'completed' && !(times === 1 && isOwn)) faults.push(`${name} ended with ${JSON.stringify(result)}`)
    if (status !== 'completed' && !isEarly) {
      faults.push(`${name} is ${status}, was begun ${times} times, and asked for ${wasAsked} times ${JSON.stringify(failure ?? {})}`)
    }
  }
  console.log(`tasks: ${ended.length}, kills: ${kills}, tools/call: ${methods['tools/call']}, tasks/get: ${methods['tasks/get']}`)
  if ((states.completed ?? 0) < ended.length * 0.9) faults.push('fewer than 90 % of the tasks were completed')
  for (const [state, count] of Object.entries(states)) console.log(`${state}: ${count}`)
  await end()
}

async function end (fault) {
  clearTimeout(giveUp)
  if (fault !== undefined) faults.push(fault)
  await pool?.close()
  upstream.kill()
  for (const text of faults.slice(0, 20)) console.log(`NOT RIGHT: ${text}`)
  if (faults.length === 0) console.log('no task was lost, and none was begun twice')
  process.exit(faults.length === 0 ? 0 : 1)
}
