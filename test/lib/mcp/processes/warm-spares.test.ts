import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createStartScheduler } from '../../../../lib/mcp/processes/start-scheduler.ts'
import type { ServerClient } from '../../../../lib/mcp/client/server-client.ts'
import { isAlive } from '../../../support/processes.ts'
import { until } from '../../../support/wait.ts'
import { createZoo, limits, never, pidOf, running, spareIsReady, use, user } from './zoo.ts'

t.test('a spare is started ahead, serves one request, ends, and is replaced', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'], { warmSpares: 1 })
  server.spares?.refill()
  await spareIsReady(server)

  const first = await use(server)
  t.notOk(isAlive(first), 'it ended')
  await spareIsReady(server)
  t.not(await use(server), first, 'it was replaced by another process')
  await spareIsReady(server)
  t.equal(scheduler.alive, 1)
  await server.close()
  t.equal(scheduler.alive, 0, 'none is left after close')
})

t.test('a spare never takes a slot that a request wants', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'], { warmSpares: 3, limit: 2 })
  const leases = [server.lease(user, { signal: never() }), server.lease(user, { signal: never() })]
  await Promise.all(leases.map(lease => lease.open()))
  server.spares?.refill()
  t.match([server.spares?.ready, scheduler.alive], [0, 2])
  for (const lease of leases) await lease.release()
  await until(() => server.spares?.ready === 2, 'spares take the free slots')
  t.equal(scheduler.alive, 2)
})

t.test('a spare that fails is replaced later, each time later; taking one is no failure', async t => {
  const { server, troubles } = createZoo(t, ['well-behaved'], { warmSpares: 1 })
  server.spares?.refill()
  await spareIsReady(server)
  await use(server)
  await spareIsReady(server)
  t.strictSame(troubles, [])

  const broken = createZoo(t, ['dies-at-start'], { warmSpares: 1 })
  broken.server.spares?.refill()
  await until(() => broken.troubles.length >= 2, 'it was tried twice')
  const [first, second] = broken.troubles
  t.strictSame([first, second], [1000, 2000].map(ms => `a warm spare failed, the next is started in ${ms} ms`))
  await broken.server.close()
  t.equal(broken.scheduler.alive, 0)
})

t.test('a spare that dies while it waits is not given to a request', async t => {
  const { server, troubles } = createZoo(t, ['well-behaved'], { warmSpares: 1 })
  server.spares?.refill()
  await spareIsReady(server)
  const [dead = 0] = running()
  process.kill(dead, 'SIGKILL')
  await until(() => troubles.length === 1, 'its end was heard of')
  t.strictSame(troubles, ['a warm spare failed, the next is started in 1000 ms'])
  t.not(await use(server), dead)
})

/** Kills a server. When this returns, its pipes are closed, and this process has not heard of it yet. */
function killUnheard (pid: number): void {
  process.kill(pid, 'SIGKILL')
  const state = () => spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  // A zombie that this process has not reaped. While it still has threads (`l`), one of them may hold the pipes open.
  while (!/^Z[^l]*$/.test(state())) continue
}

/** Whether this process has not reaped a child yet, and so has not heard of its end. */
function isUnheard (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Keeps this process from all other work, as starting many servers does. */
function beBusy (milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end) continue
}

t.test('a spare that dies before the call is written is replaced by a fresh server, once', async t => {
  const { server, scheduler, troubles } = createZoo(t, ['well-behaved'], { warmSpares: 1 })

  /** `call` kills the spare, calls it, and gives the process id of the server that answered. */
  async function callDead (t: Test, call: (spare: ServerClient, pid: number) => Promise<number>) {
    server.spares?.refill()
    await spareIsReady(server)
    const [deadPid = 0] = running()
    troubles.length = 0
    const ofRequest: string[] = []
    const lease = server.lease({ ...user, onTrouble: (_, message) => ofRequest.push(message) }, { signal: never() })
    const spare = await lease.open()
    const pid = await call(spare, deadPid)
    t.not(pid, deadPid)
    t.strictSame(ofRequest, ['a warm spare ended as it was taken, its request gets a fresh server'])
    t.strictSame(troubles, [], 'it is in the log of its request')
    t.equal(await pidOf(spare), pid, 'it stays the server of its request')
    await lease.release()
    t.notOk(isAlive(pid), 'it ends with its request')
  }

  await t.test('its end was heard of before the call', t => callDead(t, async (spare, pid) => {
    process.kill(pid, 'SIGKILL')
    await until(() => !isUnheard(pid), 'its end was heard of')
    return await pidOf(spare)
  }))
  await t.test('its end is heard of before the call is written', t => callDead(t, async (spare, pid) => {
    killUnheard(pid)
    return await pidOf(spare)
  }))
  await t.test('its end is heard of long after the write, by a busy worker', t => callDead(t, async (spare, pid) => {
    // A message is written at the end of a turn. The kill goes before it, the work after it.
    setImmediate(() => killUnheard(pid))
    const calling = pidOf(spare)
    // The client takes some steps until its message waits for the end of the turn.
    for (let step = 0; step < 50; step++) await null
    setImmediate(() => beBusy(600))
    return await calling
  }))
  await t.test('two calls at once go to one fresh server', t => callDead(t, async (spare, pid) => {
    killUnheard(pid)
    const [one = 0, other] = await Promise.all([pidOf(spare), pidOf(spare)])
    t.equal(other, one)
    return one
  }))
  await server.close()
  t.equal(scheduler.alive, 0)
  t.strictSame(running(), [], 'no process is left')
})

t.test('a spare that dies of the call is not replaced: the call may have acted', async t => {
  const { server, troubles } = createZoo(t, ['dies-on-call'], { warmSpares: 1 })
  server.spares?.refill()
  await spareIsReady(server)
  const lease = server.lease(user, { signal: never() })
  const client = await lease.open()
  await t.rejects(client.callTool({ name: 'act', args: '{}' }, limits()), { code: 'MCPC_ERR_MCP_CALL' })
  t.strictSame(troubles, [])
  await lease.release()
})

t.test('a caller who has left gets no fresh server for a spare that died', async t => {
  const { server, scheduler, troubles } = createZoo(t, ['well-behaved'], { warmSpares: 1 })
  server.spares?.refill()
  await spareIsReady(server)
  const [pid = 0] = running()
  const controller = new AbortController()
  const { signal } = controller
  const lease = server.lease(user, controller)
  const spare = await lease.open()
  killUnheard(pid)
  const calling = spare.callTool({ name: 'act', args: '{}' }, { ...limits(), signal })
  controller.abort()
  await t.rejects(calling, { code: 'MCPC_ERR_CALLER_LEFT' })
  await lease.release()
  t.strictSame(troubles, [])
  await server.close()
  t.equal(scheduler.alive, 0)
})

/** A file that servers write their process ids to. */
async function pidFile (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-test-pids-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'pids')
  await writeFile(file, '')
  return file
}

/** The process ids in such a file, oldest first. */
const pidsIn = async (file: string) => (await readFile(file, 'utf8')).split('\n').filter(Boolean).map(Number)

t.test('a spare that is too old is replaced', async t => {
  const file = await pidFile(t)
  const { server, troubles } = createZoo(t, ['writes-its-pid', file], { warmSpares: 1, spareMaxAgeMs: 50 })
  server.spares?.refill()
  await until(async () => (await pidsIn(file)).length >= 2, 'another one was started')
  const [first = 0] = await pidsIn(file)
  await until(() => !isAlive(first), 'the old one ended')
  t.strictSame(troubles, [])
})

t.test('a request that queues while a spare starts is not kept waiting by it', async t => {
  const { server } = createZoo(t, ['slow-start', '300'], { warmSpares: 1, limit: 1 })
  server.spares?.refill()
  t.type(await use(server), 'number')
})

t.test('closing ends a spare that is starting', async t => {
  const file = await pidFile(t)
  const { server, scheduler } = createZoo(t, ['writes-its-pid', file], { warmSpares: 2 })
  server.spares?.refill()
  await until(async () => (await pidsIn(file)).length > 0, 'a process runs')

  await server.close()

  t.notOk((await pidsIn(file)).some(isAlive))
  t.equal(scheduler.alive, 0)
})

t.test('a spare that hangs at its start gives way to a request that needs its room, and to the end', async t => {
  const scheduler = createStartScheduler({ maxAlive: 1, maxStarting: 2, maxQueued: 10 })
  const hanging = createZoo(t, ['slow-start', '600000'], { warmSpares: 1, scheduler })
  const good = createZoo(t, ['well-behaved'], { scheduler })
  hanging.server.spares?.refill()
  await until(() => scheduler.starting === 1, 'it starts')
  t.type(await use(good.server), 'number')
  await until(() => scheduler.starting === 1, 'it has another turn')
  await hanging.server.close()
  t.equal(scheduler.alive, 0)
  t.strictSame(hanging.troubles, [], 'neither was a failure')
})
