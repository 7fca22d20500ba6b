import t, { type Test } from 'tap'
import type { Server } from '../../../lib/mcp/server.ts'
import { createServerRegistry } from '../../../lib/mcp/servers.ts'
import { isAlive } from '../../support/processes.ts'
import { until } from '../../support/wait.ts'
import { createZoo, never, pidOf, user } from './processes/zoo.ts'

/** A registry whose servers are shared processes, so that the end of a server is the end of its process. */
function createRegistry (t: Test) {
  const troubles: unknown[] = []
  const registry = createServerRegistry(spec => {
    return createZoo(t, ['well-behaved'], {
      spec: { name: spec.name, identity: spec.identity, lifecycle: 'shared' }
    }).server
  }, error => troubles.push(error))
  t.teardown(() => registry.close())
  const { spec } = createZoo(t, []).server
  const specFor = (name: string, identity = name) => ({ ...spec, name, identity })
  const server = (name: string): Server => {
    const found = registry.servers.find(({ spec }) => spec.name === name)
    if (found === undefined) throw new Error(`there is no server ${name}`)
    return found
  }
  return { registry, specFor, server, troubles }
}

t.test('a server whose spec is unchanged stays, also at another position', async t => {
  const { registry, specFor, server } = createRegistry(t)
  registry.replace([specFor('a'), specFor('b')])
  const [a, b] = [server('a'), server('b')]
  registry.replace([specFor('b'), specFor('a'), specFor('c')])
  t.strictSame(registry.servers.map(({ spec }) => spec.name), ['b', 'a', 'c'])
  t.equal(server('a'), a)
  t.equal(server('b'), b)
})

t.test('a server that was replaced ends after its last request', async t => {
  const { registry, specFor, server, troubles } = createRegistry(t)
  registry.replace([specFor('a')])
  const old = server('a')
  const leases = [registry.lease(old, user, { signal: never() }), registry.lease(old, user, { signal: never() })]
  const [first, second] = await Promise.all(leases.map(lease => lease.open()))
  const pid = first === undefined ? 0 : await pidOf(first)

  registry.replace([specFor('a', 'changed')])
  t.not(server('a'), old)
  await leases[0]?.release()
  t.equal(second === undefined ? 0 : await pidOf(second), pid, 'the other request goes on with it')

  await leases[1]?.release()
  await until(() => !isAlive(pid), 'its process has ended')
  t.strictSame(troubles, [])
})

t.test('a server that no request uses ends when it is replaced', async t => {
  const { registry, specFor, server } = createRegistry(t)
  registry.replace([specFor('a')])
  const lease = registry.lease(server('a'), user, { signal: never() })
  const pid = await pidOf(await lease.open())
  await lease.release()
  t.ok(isAlive(pid), 'it is shared, and runs on')
  registry.replace([specFor('b')])
  await until(() => !isAlive(pid), 'its process has ended')
})

t.test('closing ends all servers, those included that were replaced', async t => {
  const { registry, specFor, server } = createRegistry(t)
  registry.replace([specFor('a'), specFor('b')])
  const leases = ['a', 'b'].map(name => registry.lease(server(name), user, { signal: never() }))
  const clients = await Promise.all(leases.map(({ open }) => open()))
  const pids = await Promise.all(clients.map(pidOf))
  registry.replace([specFor('b')])
  t.ok(pids.every(isAlive))
  await registry.close()
  t.notOk(pids.some(isAlive))
})
