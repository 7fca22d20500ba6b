import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createProcessServer, type ProcessServerOptions } from '../../../../lib/mcp/processes/process-server.ts'
import { literal } from '../../../../lib/mcp/servers-file/template.ts'
import type { ProcessClient } from '../../../../lib/mcp/processes/process-client.ts'
import type { StdioSpec } from '../../../../lib/mcp/servers-file/server-spec.ts'
import type { Lease } from '../../../../lib/mcp/server.ts'
import { createSemaphore } from '../../../../lib/semaphore.ts'
import { fixture } from '../../../support/paths.ts'
import { isAlive } from '../../../support/processes.ts'
import { textOf } from '../../../support/requests.ts'
import { until } from '../../../support/wait.ts'

const user = { credentials: {}, slot: null, isWatched: false }
/** The servers here are processes. */
const openProcess = async (lease: Lease) => await lease.open() as ProcessClient
const never = () => new AbortController().signal
const limits = () => ({ timeoutMs: 10_000, signal: never() })

interface PoolOptions extends Partial<ProcessServerOptions> { limit?: number, spec?: Partial<StdioSpec> }

function createPool (t: Test, args: string[], { limit = 10, spec, ...options }: PoolOptions = {}) {
  const queue = { limit, maxQueued: 10, queueTimeoutMs: 5_000, what: 'all are taken' }
  const alive = createSemaphore(queue)
  const starting = createSemaphore({ ...queue, limit: 2 })
  const troubles: string[] = []
  const pool = createProcessServer({
    kind: 'stdio',
    name: 'zoo',
    identity: 'zoo',
    prefix: 'zoo',
    timeouts: {},
    command: process.execPath,
    args: [fixture('zoo-server.mjs'), ...args].map(literal),
    env: { PATH: literal(process.env.PATH ?? '') },
    cwd: process.cwd(),
    lifecycle: 'request',
    ...spec
  }, {
    startTimeoutMs: 10_000,
    stopStepMs: 200,
    maxMessageBytes: 1_000_000,
    alive,
    starting,
    warmSpares: 0,
    spareMaxAgeMs: 60_000,
    sharedIdleMs: 60_000,
    onTrouble: (_, message) => troubles.push(message),
    ...options
  })
  t.teardown(() => pool.close())
  return { pool, alive, starting, troubles }
}

async function use (pool: ReturnType<typeof createPool>['pool']): Promise<number> {
  const lease = pool.lease(user, never())
  const manager = await lease.open()
  const answer = await manager.callTool({ name: 'act', args: {} }, limits())
  await lease.release()
  return JSON.parse(textOf(answer)).pid
}

t.test('each request has a process of its own, which is gone when it is over', async t => {
  const { pool, alive } = createPool(t, ['well-behaved'])
  const pids = await Promise.all([use(pool), use(pool), use(pool)])
  t.equal(new Set(pids).size, 3)
  t.notOk(pids.some(isAlive))
  t.equal(alive.held, 0)
})

t.test('a lease that is never opened starts nothing', async t => {
  const { pool, alive } = createPool(t, ['well-behaved'])
  await pool.lease(user, never()).release()
  t.equal(alive.held, 0)
})

t.test('no more processes live than may, and none is lost when the queue gives up', async t => {
  const { pool, alive } = createPool(t, ['well-behaved'], { limit: 1 })
  const first = pool.lease(user, never())
  await first.open()
  const controller = new AbortController()
  const second = pool.lease(user, controller.signal)
  const opening = second.open()
  t.match(alive, { held: 1, queued: 1 })
  controller.abort()
  await t.rejects(opening, { code: 'MCPC_ERR_CALLER_LEFT' })
  await second.release()
  await first.release()
  t.match(alive, { held: 0, queued: 0 })
})

t.test('a server that fails to start gives its places back', async t => {
  const { pool, alive, starting } = createPool(t, ['dies-at-start'])
  const lease = pool.lease(user, never())
  await t.rejects(lease.open(), { code: 'MCPC_ERR_MCP_START' })
  await lease.release()
  t.match([alive.held, starting.held], [0, 0])
})

t.test('a spare is started ahead, serves one request, ends, and is replaced', async t => {
  const { pool, alive } = createPool(t, ['well-behaved'], { warmSpares: 1 })
  pool.refill()
  await until(() => pool.sparesReady === 1, 'a spare is ready')

  const first = await use(pool)
  t.notOk(isAlive(first), 'it ended')
  await until(() => pool.sparesReady === 1, 'it was replaced')
  t.not(await use(pool), first, 'by another process')
  await until(() => pool.sparesReady === 1, 'it was replaced again')
  t.equal(alive.held, 1)
  await pool.close()
  t.equal(alive.held, 0, 'none is left after close')
})

t.test('a spare never takes a place that a request wants', async t => {
  const { pool, alive } = createPool(t, ['well-behaved'], { warmSpares: 3, limit: 2 })
  const leases = [pool.lease(user, never()), pool.lease(user, never())]
  await Promise.all(leases.map(lease => lease.open()))
  pool.refill()
  t.match([pool.sparesReady, alive.held], [0, 2])
  for (const lease of leases) await lease.release()
  await until(() => pool.sparesReady === 2, 'spares take what is free')
  t.equal(alive.held, 2)
})

t.test('a spare that ends by itself is replaced later, each time later', async t => {
  const { pool, troubles } = createPool(t, ['well-behaved'], { warmSpares: 1 })
  const killSpare = async () => {
    await until(() => pool.sparesReady === 1, 'a spare is ready')
    const lease = pool.lease(user, never())
    const { pid } = await openProcess(lease)
    await lease.release()
    return pid
  }
  pool.refill()
  await killSpare()
  await until(() => pool.sparesReady === 1, 'a spare is ready')
  t.strictSame(troubles, [], 'taking one is no trouble')

  const broken = createPool(t, ['dies-at-start'], { warmSpares: 1 })
  broken.pool.refill()
  await until(() => broken.troubles.length === 2, 'it was tried twice')
  t.strictSame(broken.troubles, ['a warm spare failed, the next is started in 1000 ms', 'a warm spare failed, the next is started in 2000 ms'])
  t.equal(broken.alive.held, 0)
})

t.test('a spare that dies while it waits is not given to a request', async t => {
  const { pool, troubles } = createPool(t, ['dies-later', '300'], { warmSpares: 1 })
  pool.refill()
  await until(() => pool.sparesReady === 1, 'a spare is ready')
  await until(() => troubles.length === 1, 'its end was seen')
  t.equal(pool.sparesReady, 0)
})

/** Ends a server; when this returns, its pipes are closed, and nothing of it was heard here yet. */
function killUnheard (pid: number | null): void {
  process.kill(pid ?? 0, 'SIGKILL')
  const state = () => spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout
  while (/^[^Z]/.test(state())) continue // a zombie, which we have not reaped, or nothing
}

t.test('a spare that dies before the call is written is replaced by a fresh server, once', async t => {
  const { pool, alive, troubles } = createPool(t, ['well-behaved'], { warmSpares: 1 })
  const callOn = async (end: (spare: ProcessClient) => unknown) => {
    pool.refill()
    await until(() => pool.sparesReady === 1, 'a spare is ready')
    troubles.length = 0
    const lease = pool.lease(user, never())
    const spare = await openProcess(lease)
    await end(spare)
    const { pid } = JSON.parse(textOf(await spare.callTool({ name: 'act', args: {} }, limits())))
    t.not(pid, spare.pid)
    t.strictSame(troubles, ['a warm spare ended as it was taken, its request gets a fresh server'])
    t.ok(isAlive(pid))
    await lease.release()
    t.notOk(isAlive(pid), 'it ends with its request')
  }

  await t.test('its end was not heard of', () => callOn(({ pid }) => killUnheard(pid)))
  await t.test('its end was heard of', () => callOn(async spare => {
    killUnheard(spare.pid)
    await spare.ended
  }))
  await pool.close()
  t.equal(alive.held, 0)
})

t.test('a spare that dies of the call is not: the call may have acted', async t => {
  const { pool, troubles } = createPool(t, ['dies-on-call'], { warmSpares: 1 })
  pool.refill()
  await until(() => pool.sparesReady === 1, 'a spare is ready')
  const lease = pool.lease(user, never())
  const manager = await lease.open()
  await t.rejects(manager.callTool({ name: 'act', args: {} }, limits()), { code: 'MCPC_ERR_MCP_CALL' })
  t.strictSame(troubles, [])
  await lease.release()
})

t.test('a caller who has left gets no fresh server for a spare that died', async t => {
  const { pool, alive, troubles } = createPool(t, ['well-behaved'], { warmSpares: 1 })
  pool.refill()
  await until(() => pool.sparesReady === 1, 'a spare is ready')
  const controller = new AbortController()
  const lease = pool.lease(user, controller.signal)
  const spare = await openProcess(lease)
  killUnheard(spare.pid)
  const calling = spare.callTool({ name: 'act', args: {} }, { timeoutMs: 10_000, signal: controller.signal })
  controller.abort()
  await t.rejects(calling, { code: 'MCPC_ERR_CALLER_LEFT' })
  await lease.release()
  t.strictSame(troubles, [])
  await pool.close()
  t.equal(alive.held, 0)
})

t.test('a spare that is too old is replaced', async t => {
  const { pool } = createPool(t, ['well-behaved'], { warmSpares: 1, spareMaxAgeMs: 300 })
  pool.refill()
  const pids = new Set<number>()
  await until(() => pool.sparesReady === 1, 'a spare is ready')
  await until(() => pool.sparesReady === 0, 'it was too old')
  await until(() => pool.sparesReady === 1, 'it was replaced')
  pids.add(await use(pool))
  t.equal(pids.size, 1)
})

t.test('a shared server serves all requests with one process, and ends when nobody used it for a while', async t => {
  const { pool, alive } = createPool(t, ['well-behaved'], { spec: { lifecycle: 'shared' }, sharedIdleMs: 100 })
  const pids = await Promise.all(Array.from({ length: 20 }, () => use(pool)))
  t.equal(new Set(pids).size, 1)
  t.equal(alive.held, 1)
  await until(() => alive.held === 0, 'it ended')
  t.notOk(isAlive(pids[0] ?? 0))
  t.not(await use(pool), pids[0], 'the next request starts it again')
})

t.test('a shared server that dies fails its running calls and is started again', async t => {
  const { pool, troubles } = createPool(t, ['dies-on-call'], { spec: { lifecycle: 'shared' } })
  const attempt = async () => {
    const lease = pool.lease(user, never())
    try {
      const manager = await lease.open()
      await manager.callTool({ name: 'act', args: { jwtToken: 'not-a-real-secret' } }, limits())
    } finally {
      await lease.release()
    }
  }
  const fails = { code: 'MCPC_ERR_MCP_CALL', message: 'MCP server zoo ended during tool act (exit code 3)' }
  await t.rejects(attempt(), fails, 'without what it wrote, which may be about another session')
  await until(() => troubles.length === 1, 'its end was seen')
  await t.rejects(attempt(), fails, 'the next one runs')
  await until(() => troubles.length === 2, 'its end was seen')
  t.strictSame(troubles, ['a shared server ended by itself, it may start again in 0 ms', 'a shared server ended by itself, it may start again in 100 ms'])
})

t.test('a caller who leaves does not end the shared server that others use', async t => {
  const { pool } = createPool(t, ['slow-start', '500'], { spec: { lifecycle: 'shared' } })
  const controller = new AbortController()
  const leaving = pool.lease(user, controller.signal)
  const opening = leaving.open()
  const staying = use(pool)
  controller.abort()
  await t.rejects(opening, { code: 'MCPC_ERR_CALLER_LEFT' })
  await leaving.release()
  t.type(await staying, 'number')
})

t.test('a shared server that takes its time to end is not taken for the one that followed it', async t => {
  const { pool, alive, troubles } = createPool(t, ['ignores-sigterm'], { spec: { lifecycle: 'shared' }, sharedIdleMs: 50, stopStepMs: 400 })
  const first = await use(pool)
  // Its end has begun, and takes two steps.
  await new Promise(resolve => setTimeout(resolve, 200))
  const second = await use(pool)
  t.not(second, first)
  t.ok(isAlive(first), 'the first one still ends')

  await until(() => alive.held === 0, 'both ended, the second one because nobody used it')

  t.notOk(isAlive(first) || isAlive(second))
  t.strictSame(troubles, [])
})

t.test('a request that queues while a spare starts is not kept waiting by it', async t => {
  const { pool } = createPool(t, ['slow-start', '300'], { warmSpares: 1, limit: 1 })
  pool.refill()
  const lease = pool.lease(user, never())
  t.equal((await openProcess(lease)).isRunning, true)
  await lease.release()
})

t.test('closing ends a shared server and what is starting', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-test-pool-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'pids'), '')
  const shared = createPool(t, ['well-behaved'], { spec: { lifecycle: 'shared' } })
  const pid = await use(shared.pool)
  const spares = createPool(t, ['writes-its-pid', join(folder, 'pids')], { warmSpares: 2 })
  spares.pool.refill()

  await Promise.all([shared.pool.close(), spares.pool.close()])

  t.notOk(isAlive(pid))
  const started = (await readFile(join(folder, 'pids'), 'utf8')).trim().split('\n').filter(Boolean).map(Number)
  t.notOk(started.some(isAlive))
  t.match([shared.alive.held, spares.alive.held], [0, 0])
})
