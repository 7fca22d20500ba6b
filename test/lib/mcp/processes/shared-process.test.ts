import t from 'tap'
import { isAlive } from '../../../support/processes.ts'
import { until } from '../../../support/wait.ts'
import { createZoo, limits, never, pidOf, running, use, user } from './zoo.ts'

const shared = { lifecycle: 'shared' as const }

t.test('a shared server serves all requests with one process, and ends when none used it for a while', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'], { spec: shared, sharedIdleMs: 100 })
  const pids = await Promise.all(Array.from({ length: 20 }, () => use(server)))
  t.equal(new Set(pids).size, 1)
  t.equal(scheduler.alive, 1)
  await until(() => scheduler.alive === 0, 'it ended')
  t.notOk(isAlive(pids[0] ?? 0))
  t.not(await use(server), pids[0], 'the next request starts it again')
})

t.test('a shared server that dies fails its running calls and is started again', async t => {
  const { server, troubles } = createZoo(t, ['dies-on-call'], { spec: shared })
  const attempt = async () => {
    const lease = server.lease(user, { signal: never() })
    try {
      const client = await lease.open()
      await client.callTool({ name: 'act', args: '{"jwtToken":"not-a-real-secret"}' }, limits())
    } finally {
      await lease.release()
    }
  }
  const fails = { code: 'MCPC_ERR_MCP_CALL', message: 'MCP server zoo ended during tool act (exit code 3)' }
  await t.rejects(attempt(), fails, 'without its stderr, which may be about another session')
  await until(() => troubles.length === 1, 'its end was heard of')
  await t.rejects(attempt(), fails, 'the next one runs')
  await until(() => troubles.length === 2, 'its end was heard of')
  t.strictSame(troubles, [0, 100].map(ms => `a shared server ended by itself, it may start again in ${ms} ms`))
})

t.test('a caller who leaves does not end the shared server that others use', async t => {
  const { server } = createZoo(t, ['slow-start', '500'], { spec: shared })
  const controller = new AbortController()
  const leaving = server.lease(user, controller)
  const opening = leaving.open()
  const staying = use(server)
  controller.abort()
  await t.rejects(opening, { code: 'MCPC_ERR_CALLER_LEFT' })
  await leaving.release()
  t.type(await staying, 'number')
})

t.test('a shared server that takes its time to end is not taken for the one that followed it', async t => {
  // It ignores the end of its input and SIGTERM: once it was let go, it runs until this test kills it.
  const { server, scheduler, troubles } = createZoo(t, ['ignores-sigterm'], {
    spec: shared, sharedIdleMs: 1, stopStepMs: 60_000
  })
  t.teardown(() => running().forEach(kill))
  const first = await use(server)
  await until(async () => await use(server) !== first, 'the first one was let go, and another one was started')

  const lease = server.lease(user, { signal: never() })
  const client = await lease.open()
  const second = await pidOf(client)
  t.not(second, first)
  t.ok(isAlive(first), 'the first one still ends')
  const { alive } = scheduler
  kill(first)
  await until(() => scheduler.alive === alive - 1, 'its end was heard of')

  t.equal(await pidOf(client), second, 'the other one is still in use')
  t.strictSame(troubles, [])

  await lease.release()
  const closing = server.close()
  running().forEach(kill)
  await closing
  await until(() => scheduler.alive === 0, 'all have ended')
  t.strictSame(troubles, [])
})

t.test('closing ends a shared server', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'], { spec: shared })
  const pid = await use(server)
  await server.close()
  t.notOk(isAlive(pid))
  t.equal(scheduler.alive, 0)
})

function kill (pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it is gone already
  }
}

t.test('a shared server that ends with the service is handed to nobody', async t => {
  const { server } = createZoo(t, ['well-behaved'], { spec: shared })
  const first = server.lease(user, { signal: never() })
  await first.open()
  const closing = server.close()
  const second = server.lease(user, { signal: never() })
  await t.rejects(second.open(), { code: 'MCPC_ERR_MCP_START' })
  await Promise.all([first.release(), second.release(), closing])
})
