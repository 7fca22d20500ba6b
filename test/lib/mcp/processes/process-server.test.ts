import t from 'tap'
import { isAlive } from '../../../support/processes.ts'
import { createZoo, never, use, user } from './zoo.ts'

t.test('each request has a process of its own, which is gone when it is over', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'])
  const pids = await Promise.all([use(server), use(server), use(server)])
  t.equal(new Set(pids).size, 3)
  t.notOk(pids.some(isAlive))
  t.equal(scheduler.alive, 0)
})

t.test('a lease that is never opened starts nothing', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'])
  await server.lease(user, { signal: never() }).release()
  t.equal(scheduler.alive, 0)
})

t.test('no more processes live than may, and none is lost when the queue gives up', async t => {
  const { server, scheduler } = createZoo(t, ['well-behaved'], { limit: 1 })
  const first = server.lease(user, { signal: never() })
  await first.open()
  const controller = new AbortController()
  const second = server.lease(user, controller)
  const opening = second.open()
  t.match(scheduler, { alive: 1, waiting: 1 })
  controller.abort()
  await t.rejects(opening, { code: 'MCPC_ERR_CALLER_LEFT' })
  await second.release()
  await first.release()
  t.match(scheduler, { alive: 0, waiting: 0 })
})

t.test('a server that fails to start releases its slots', async t => {
  const { server, scheduler } = createZoo(t, ['dies-at-start'])
  const lease = server.lease(user, { signal: never() })
  await t.rejects(lease.open(), { code: 'MCPC_ERR_MCP_START' })
  await lease.release()
  t.match(scheduler, { alive: 0, starting: 0 })
})

t.test('only a server that can have spares says so', async t => {
  t.ok(createZoo(t, [], { warmSpares: 1 }).server.spares)
  t.notOk(createZoo(t, [], { warmSpares: 0 }).server.spares)
  t.notOk(createZoo(t, [], { warmSpares: 1, spec: { warmSpares: 0 } }).server.spares)
  t.notOk(createZoo(t, [], { warmSpares: 1, spec: { lifecycle: 'shared' } }).server.spares)
})
