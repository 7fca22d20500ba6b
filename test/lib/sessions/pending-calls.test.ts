import t, { type Test } from 'tap'
import { createPendingCalls } from '../../../lib/sessions/pending-calls.ts'
import { load, openRepository } from '../../support/session-repository.ts'

async function open (t: Test) {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  const pending = createPendingCalls(client, { commandTimeoutMs: 10_000, maxBytes: 10_000 })
  return { client, session, key: key('one'), pending }
}

const call = { tool: 'up__act', name: 'act', args: '{ "n": 1e400 }', secretNames: ['jwtToken'], state: '"s\\u00e9"' }
const reading = { server: 'up', uri: 'x:1', state: '{"n":1.0}' }
const prompt = { prompt: 'up__p', args: '{"a":"1"}' }

const tokenOf = (kept: { token: string } | { refused: string }) => 'token' in kept ? kept.token : kept.refused

t.test('a request that waits comes back once, as it was', async t => {
  const { session, pending } = await open(t)
  const tokens = {
    tool: tokenOf(await pending.keep(session, 'tool', call)),
    resource: tokenOf(await pending.keep(session, 'resource', reading)),
    prompt: tokenOf(await pending.keep(session, 'prompt', prompt))
  }
  t.strictSame(await pending.take(session, 'tool', tokens.tool), call)
  t.strictSame(await pending.take(session, 'resource', tokens.resource), reading)
  t.strictSame(await pending.take(session, 'prompt', tokens.prompt), prompt)
  t.equal(await pending.take(session, 'tool', tokens.tool), null)
})

t.test('a token means nothing to another route, and stays good for its own', async t => {
  const { session, pending } = await open(t)
  const [tool, resource] = [
    tokenOf(await pending.keep(session, 'tool', call)), tokenOf(await pending.keep(session, 'resource', reading))
  ]
  t.equal(await pending.take(session, 'resource', tool), null)
  t.equal(await pending.take(session, 'resource', `resource.${tool}`), null)
  t.equal(await pending.take(session, 'prompt', resource), null)
  t.equal(await pending.take(session, 'tool', resource), null)
  t.equal(await pending.take(session, 'tool', resource.replace('resource.', '')), null)
  t.strictSame(await pending.take(session, 'tool', tool), call)
  t.strictSame(await pending.take(session, 'resource', resource), reading)
})

t.test('a call that an older version kept goes on', async t => {
  const { client, session, pending, key } = await open(t)
  await client.hset(key, 'q:old', JSON.stringify({
    tool: 'act', name: 'act', args: { n: 1 }, secretNames: [], state: 'opaque'
  }))
  t.strictSame(await pending.take(session, 'tool', 'old'), {
    tool: 'act', name: 'act', args: '{"n":1}', secretNames: [], state: '"opaque"'
  })
})
