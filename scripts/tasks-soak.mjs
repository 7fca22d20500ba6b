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
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './environment.mjs'
import { prepareRun, startService } from './private-service.mjs'

const number = (name, usual) => Number(process.env[name] || usual)
const taskCount = number('TASKS', 200)
const seconds = number('TASKS_SECONDS', 60)
const killEverySeconds = number('TASKS_KILL_EVERY', 5)
const workerCount = number('TASKS_WORKERS', 3)

const { folder, redis } = await prepareRun('tasks')
const workers = []
const faults = []
let [kills, turn] = [0, 0]

const giveUp = setTimeout(() => end('the run was not done in time'), (seconds + 300) * 1_000)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end(`the run was stopped by ${signal}`))

const upstream = spawn(process.execPath, [join(root, 'test', 'fixtures', 'sdk-task-server.mjs'), '--http'], {
  stdio: ['pipe', 'pipe', 'inherit']
})
const [line] = await once(createInterface({ input: upstream.stdout }), 'line')
const { url } = JSON.parse(line)
writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: { tasks: { url } } }))

try {
  await Promise.all(Array.from({ length: workerCount }, startWorker))
  const sessions = Array.from({ length: 20 }, (_, index) => `tasks-${index}`)
  for (const id of sessions) {
    await insist('POST', '/init', { session_id: id, apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' })
  }
  const endsAt = Date.now() + seconds * 1_000
  const [calls] = await Promise.all([
    Promise.all(Array.from({ length: taskCount }, (_, index) => accept(index, sessions[index % sessions.length]))),
    killWorkers(endsAt)
  ])
  await report(await Promise.all(calls.map(follow)))
} catch (error) {
  await end(error.stack)
}

async function startWorker () {
  const { child, exited, listening } = startService({
    cwd: folder,
    environment: { REDIS_URL: redis.url, MCP_SERVERS_FILE: join(folder, 'servers.json'), MCP_ASYNC_CALLS: 'on' }
  })
  workers.push({ child, exited, url: await listening })
}

async function killWorkers (endsAt) {
  for (let at = Date.now() + killEverySeconds * 1_000; at < endsAt; at += killEverySeconds * 1_000) {
    await delay(Math.max(0, at - Date.now()))
    const worker = workers.splice(kills++ % workers.length, 1)[0]
    worker.child.kill('SIGKILL')
    await worker.exited
    await startWorker()
  }
}

/** Sends a request until a worker answers it. Each may be sent again: a call has a key. */
async function insist (method, path, body, headers = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      const { url } = workers[turn++ % workers.length]
      const response = await fetch(`${url}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
      return { status: response.status, body: await response.json() }
    } catch (error) {
      if (attempt === 50) throw error
      await delay(100)
    }
  }
}

/** Evenly over the time, and each for longer than a worker lives. */
async function accept (index, session) {
  await delay(index * seconds * 1_000 * 0.8 / taskCount)
  const name = `task-${index}`
  const body = { session_id: session, tool: index % 2 ? 'may' : 'must', params: { name, delay: 500 + index * 97 % 12_000 } }
  const headers = { prefer: 'respond-async', 'idempotency-key': name }
  const answer = await insist('POST', '/call-tool', body, headers)
  if (answer.body.call === undefined) faults.push(`${name} was answered ${answer.status} ${JSON.stringify(answer.body)}`)
  return { name, session, call: answer.body.call }
}

async function follow ({ name, session, call }) {
  for (const patience = Date.now() + 120_000; ;) {
    const { body } = await insist('GET', `/calls/${call}?wait=20`, null, { 'x-session-id': session })
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
  for (const { child } of workers) child.kill('SIGKILL')
  upstream.kill()
  await redis.stop?.()
  rmSync(folder, { recursive: true, force: true })
  for (const text of faults.slice(0, 20)) console.log(`NOT RIGHT: ${text}`)
  if (faults.length === 0) console.log('no task was lost, and none was begun twice')
  process.exit(faults.length === 0 ? 0 : 1)
}
