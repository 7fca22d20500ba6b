import t, { type Test } from 'tap'
import { createCalls } from '../../../lib/calls/call-store.ts'
import type { CallKind } from '../../../lib/calls/call.ts'
import { createPendingCalls, type PendingRequests } from '../../../lib/calls/pending-calls.ts'
import { load, openRepository } from '../../support/session-repository.ts'

async function open (t: Test, maxCalls = 100) {
  const { client, repository, create, key } = await openRepository(t)
  await create('one')
  const session = await load(repository, 'one')
  const limits = { ttlMs: 60_000, idempotencyTtlMs: 60_000, maxCalls, maxBytes: 10_000 }
  const calls = createCalls(client, { ...limits, keyPrefix: 'test', commandTimeoutMs: 10_000 })
  const pending = createPendingCalls(client, calls, 10_000)
  const keep = async <Kind extends CallKind>(kind: Kind, request: PendingRequests[Kind]) => {
    let token = ''
    const kept = await pending.keep(session, kind, request, given => (token = given))
    return 'refused' in kept ? kept.refused : token
  }
  return { client, session, key: key('one'), calls, pending, keep }
}

const call = { tool: 'up__act', name: 'act', args: '{ "n": 1e400 }', secretNames: ['jwtToken'], state: '"s\\u00e9"' }
const reading = { server: 'up', uri: 'x:1', state: '{"n":1.0}' }
const prompt = { prompt: 'up__p', args: '{"a":"1"}' }

t.test('a request that waits comes back once, as it was', async t => {
  const { session, pending, keep, calls } = await open(t)
  const tokens = {
    tool: await keep('tool', call), resource: await keep('resource', reading), prompt: await keep('prompt', prompt)
  }
  t.match(await pending.take(session, 'tool', tokens.tool), { request: call, held: { id: /^c_/ } })
  t.strictSame(await pending.take(session, 'resource', tokens.resource), { request: reading, held: null })
  t.strictSame(await pending.take(session, 'prompt', tokens.prompt), { request: prompt, held: null })
  for (const kind of ['tool', 'resource', 'prompt'] as const) {
    t.equal(await pending.take(session, kind, tokens[kind]), null, kind)
  }
  t.match(await calls.list(session), [{ state: 'working', kind: 'tool' }], 'only the call is kept on')
})

t.test('a token means nothing to another route, and stays good for its own', async t => {
  const { session, pending, keep } = await open(t)
  const [tool, resource] = [await keep('tool', call), await keep('resource', reading)]
  t.equal(await pending.take(session, 'resource', tool), null)
  t.equal(await pending.take(session, 'prompt', resource), null)
  t.equal(await pending.take(session, 'tool', resource), null)
  for (const token of ['', 'c_', tool.slice(0, -1), `${tool}1`, tool.replace(/-1$/, '-2'), `${tool} `, `x${tool}`]) {
    t.equal(await pending.take(session, 'tool', token), null, token)
  }
  t.match(await pending.take(session, 'tool', tool), { request: call })
  t.match(await pending.take(session, 'resource', resource), { request: reading })
})

t.test('of a hundred that take a call at once, one gets it', async t => {
  const { session, pending, keep } = await open(t)
  const token = await keep('tool', call)
  const taken = await Promise.all(Array.from({ length: 100 }, () => pending.take(session, 'tool', token)))
  t.equal(taken.filter(got => got !== null).length, 1)
})

t.test('a call that nobody answers makes room for a newer one, and one with a key never does', async t => {
  const { session, keep, calls, pending } = await open(t, 5)
  const claim = { keyHash: 'k', digest: 'd' }
  t.match(await calls.open(session, { state: 'input_required', kind: 'tool', data: '{}', claim }), { opened: {} })
  const tokens = []
  for (let index = 0; index < 8; index++) tokens.push(await keep('tool', call))
  t.equal(await pending.take(session, 'tool', tokens[3] ?? ''), null)
  t.match(await pending.take(session, 'tool', tokens[4] ?? ''), { request: call })
  t.match(await calls.open(session, { state: 'queued', kind: 'tool', data: '{}', claim }), { earlier: { digest: 'd' } })
})

t.test('a session whose calls all have keys keeps no question, and says why', async t => {
  const { session, keep, calls } = await open(t, 1)
  await calls.open(session, { state: 'queued', kind: 'tool', data: '{}', claim: { keyHash: 'k', digest: 'd' } })
  t.equal(await keep('tool', call), 'full')
  const other = await open(t)
  t.equal(await other.keep('tool', { ...call, args: `{"n":"${'x'.repeat(10_000)}"}` }), 'too large')
})

t.test('a call that an older version kept goes on', async t => {
  const { client, session, pending, key } = await open(t)
  await client.hset(key, 'q:old', JSON.stringify({
    tool: 'act', name: 'act', args: { n: 1 }, secretNames: [], state: 'opaque'
  }))
  t.strictSame(await pending.take(session, 'tool', 'old'), {
    request: { tool: 'act', name: 'act', args: '{"n":1}', secretNames: [], state: '"opaque"' },
    held: null
  })
})
