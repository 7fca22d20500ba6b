import t, { type Test } from 'tap'
import { Agent } from 'undici'
import type { CallHead, CallState } from '../../../lib/calls/call.ts'
import { createAwaitCommand } from '../../../lib/redis/command.ts'
import { createDueNotices } from '../../../lib/webhooks/due-notices.ts'
import { createNotifier, type NotTaken } from '../../../lib/webhooks/notifier.ts'
import { sendNotice } from '../../../lib/webhooks/send-notice.ts'
import { secrets, startReceiver, withStatus } from '../../support/receiver.ts'
import { openRepository } from '../../support/session-repository.ts'
import { until } from '../../support/wait.ts'

const watched = (call: string, receiver = 'one') => ({ call, session: 's', client: null, receiver })

/** A notifier of one worker, whose calls have the states of `states`. */
async function start (t: Test, urls: Record<string, string>, states: Map<string, CallState>, workers = 1) {
  const { client, key } = await openRepository(t)
  const set = key('notices')
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  const receivers = new Map(Object.entries(urls).map(([name, url]) =>
    [name, { url: new URL(url), secrets: secrets.map(secret => Buffer.from(secret.slice(6), 'base64')) }]))
  const notTaken: Array<NotTaken & { nextMs: number | null, call: string }> = []
  const notifiers = Array.from({ length: workers }, () => createNotifier({
    due: createDueNotices(client, set, createAwaitCommand(10_000)),
    receiverOf: name => receivers.get(name),
    headOf: async ({ call }) => {
      const state = states.get(call)
      return state === undefined ? null : { state, createdAt: 1_000 } as CallHead
    },
    send: (receiver, notice) => sendNotice(receiver, notice, { dispatcher, userAgent: 'a/1' }),
    onNotTaken: ({ call }, reason, nextMs) => { notTaken.push({ ...reason, nextMs, call }) },
    pauses: { firstMs: 20, maxMs: 100 }
  }))
  const timer = setInterval(() => notifiers.forEach(({ look }) => look()), 10)
  t.teardown(async () => {
    clearInterval(timer)
    for (const { stop, settled } of notifiers) {
      stop()
      await settled()
    }
  })
  const left = () => client.zcard(set)
  return { notifier: notifiers[0] ?? t.fail('none') as never, notTaken, receivers, left, client, set }
}

t.test('a notice is signed by every secret, and says which call and nothing else', async t => {
  const receivers = await Promise.all(secrets.map(secret => startReceiver(t, { secret })))
  const urls = { one: receivers[0]?.url ?? '', two: receivers[1]?.url ?? '' }
  const { notifier, left } = await start(t, urls, new Map([['c_1', 'completed'], ['c_2', 'input_required']]))
  await notifier.watch(watched('c_1'))
  await notifier.hasEnded(watched('c_1'))
  await notifier.watch(watched('c_2', 'two'))
  await notifier.hasEnded(watched('c_2', 'two'))
  await until(async () => await left() === 0, 'all are told')
  const [one, two] = receivers.map(({ notices }) => notices)
  t.strictSame(receivers.map(({ faults }) => faults), [[], []])
  t.match(one, [{ id: /^msg_[\w-]{32}$/, payload: { type: 'call.completed', timestamp: /Z$/ } }])
  const about = { call: 'c_1', status: 'completed', created_at: '1970-01-01T00:00:01.000Z' }
  t.strictSame((one?.[0]?.payload as { data: unknown }).data, about)
  t.match(two, [{ payload: { type: 'call.input_required', data: { call: 'c_2' } } }])
  t.match(receivers[0]?.requests, [{ http: 'POST', path: '/hooks?a=1', headers: { 'user-agent': 'a/1' } }])
})

t.test('a notice that is refused in any way is sent again until it is taken, with the same id and text', async t => {
  const answers = [
    withStatus(500), withStatus(404), withStatus(302, { location: 'http://127.0.0.1:1/' }),
    withStatus(429, { 'retry-after': '0' }), withStatus(503, { 'retry-after': 'soon' }), withStatus(400)
  ]
  const receiver = await startReceiver(t, { answers })
  const { notifier, notTaken, left } = await start(t, { one: receiver.url }, new Map([['c_1', 'failed']]), 3)
  await notifier.watch(watched('c_1'))
  await notifier.hasEnded(watched('c_1'))
  await until(async () => await left() === 0, 'it is taken')
  t.equal(receiver.notices.length, 7)
  t.equal(new Set(receiver.notices.map(({ id, text }) => `${id} ${text}`)).size, 1)
  t.strictSame(notTaken.map(({ outcome, nextMs }) => [outcome, nextMs]), [20, 40, 80, 100, 100, 100]
    .map(ms => ['refused', ms]))
})

t.test('a receiver that breaks off gets it again, maybe twice, and 410 ends it', async t => {
  const receiver = await startReceiver(t, { answers: [response => response.destroy(), withStatus(410)] })
  const { notifier, notTaken, left } = await start(t, { one: receiver.url }, new Map([['c_1', 'unknown']]))
  await notifier.watch(watched('c_1'))
  await notifier.hasEnded(watched('c_1'))
  await until(async () => await left() === 0 && notTaken.length === 2, 'it is over')
  t.match(notTaken.map(({ outcome, nextMs }) => [outcome, nextMs]), [['unreachable', 20], ['gone', null]])
  t.equal(new Set(receiver.notices.map(({ id }) => id)).size, 1)
})

t.test('a receiver that delays or is away holds up no other', async t => {
  let release = () => {}
  const slow = await startReceiver(t, { answers: [response => { release = () => response.writeHead(200).end() }] })
  const good = await startReceiver(t)
  const urls = { slow: slow.url, away: 'http://127.0.0.1:1/', good: good.url }
  const calls = Array.from({ length: 40 }, (_, index) => `c_${index}`)
  const { notifier, left, notTaken } = await start(t, urls, new Map(calls.map(call => [call, 'completed'])))
  for (const call of calls) {
    const receiver = call === 'c_0' ? 'slow' : Number(call.slice(2)) % 2 === 1 ? 'away' : 'good'
    await notifier.watch(watched(call, receiver))
    await notifier.hasEnded(watched(call, receiver))
  }
  await until(() => good.notices.length === 19, 'the good one is told of all')
  t.equal(slow.requests.length, 1, 'the slow one has not answered')
  t.ok(notTaken.every(({ outcome, nextMs }) => outcome === 'unreachable' && nextMs !== null))
  release()
  await until(async () => await left() === 20, 'the slow one has taken its own')
})

t.test('a call that runs is looked at again, and one that is gone is given up', async t => {
  const receiver = await startReceiver(t)
  const states = new Map<string, CallState>([['c_1', 'working']])
  const { notifier, notTaken, receivers, left, client, set } = await start(t, { one: receiver.url }, states, 2)
  await notifier.watch(watched('c_1'))
  await notifier.watch(watched('c_2'))
  await notifier.watch(watched('c_3', 'nobody'))
  await notifier.watch(watched('c_3', 'nobody')) // asked for twice, it is one
  t.equal(await left(), 3)
  for (const call of ['c_1', 'c_2']) await notifier.hasEnded(watched(call))
  await notifier.hasEnded(watched('c_3', 'nobody'))
  // Redis may have answered the test before it has answered the notifier.
  await until(async () => await left() === 1 && notTaken.length === 2, 'one is left')
  t.match(notTaken.sort((a, b) => a.call < b.call ? -1 : 1), [
    { call: 'c_2', outcome: 'call gone', nextMs: null }, { call: 'c_3', outcome: 'no receiver', nextMs: null }
  ])
  t.equal(receiver.requests.length, 0)
  states.set('c_1', 'cancelled')
  await notifier.hasEnded(watched('c_1'))
  await until(() => receiver.notices.length === 1, 'it is told')
  await until(async () => await left() === 0, 'nothing is left')
  t.equal(await client.exists(set), 0)
  t.ok(receivers.has('one'))
})
