import t from 'tap'
import { isGiven } from '../../support/redis.ts'
import { fields, isOwn, load, openRepository, readTexts, ref } from '../../support/session-repository.ts'

t.test('a session that the Flask service wrote is converted at first use', async t => {
  const { client, repository, key } = await openRepository(t)
  const blob = {
    session_id: 'old',
    apiUrl: fields.apiUrl,
    jwtToken: fields.jwtToken,
    created_at: '2025-06-01T10:00:00.000000+00:00',
    last_accessed: '2025-06-01T11:00:00.000000+00:00',
    columnAnalysis: [{ name: 'a "quoted" NaN' }]
  }
  await client.set(key('old'), `${JSON.stringify(blob).slice(0, -1)}, "big": 1915883588174806058}`, 'EX', 7)

  t.equal(await isOwn(repository, 'old'), true, 'the owner is known before')
  t.equal(await client.type(key('old')), 'string', 'and a look at it converts nothing')
  const session = await load(repository, 'old')

  t.match(session, { id: 'old', credentials: { apiUrl: fields.apiUrl, jwtToken: fields.jwtToken } })
  t.equal(await client.type(key('old')), 'hash')
  t.ok(await isGiven(client, key('old'), 100), 'the use restarts the idle TTL')
  const stored = await client.hgetall(key('old'))
  t.equal(JSON.parse(stored.meta ?? '').created_at, blob.created_at)
  t.strictSame(Object.keys(stored).filter(name => name.startsWith('p:')).sort(), ['p:big', 'p:columnAnalysis'])
  const found = await readTexts(repository, session, ['columnAnalysis', 'big'])
  t.strictSame([...found ?? []], [
    ['columnAnalysis', JSON.stringify(blob.columnAnalysis)], ['big', '1915883588174806058']
  ])
})

t.test('numbers that only Python writes do not lose a session', async t => {
  const { client, repository, key } = await openRepository(t)
  const rows = '[NaN, -Infinity, Infinity, "NaN \\" Infinity", 1e400]'
  await client.set(key('old'), `{"apiUrl": "https://a.example", "jwtToken": "a.b.c", "rows": ${rows}}`, 'EX', 7)

  const session = await load(repository, 'old')

  t.equal((await readTexts(repository, session, ['rows']))?.get('rows'),
    '[null, null, null, "NaN \\" Infinity", 1e400]')
})

t.test('two workers that meet a Flask session at once both get it, and it is converted once', async t => {
  const { client, repository, key } = await openRepository(t)
  await client.set(key('old'), JSON.stringify({ apiUrl: 'https://a.example', jwtToken: 'a.b.c', kept: 1 }), 'EX', 7)

  const sessions = await Promise.all(Array.from({ length: 20 }, () => repository.load(ref('old'))))

  t.equal(new Set(sessions.map(session => session?.meta)).size, 1)
  t.equal(await client.hget(key('old'), 'p:kept'), '1')
})

t.test('on the way back, a session that was not used is as it was, and one that was used is no string', async t => {
  const { client, repository, key } = await openRepository(t)
  const blob = JSON.stringify({ apiUrl: 'https://a.example', jwtToken: 'a.b.c', kept: 1 })
  for (const id of ['used', 'unused']) await client.set(key(id), blob, 'EX', 70)
  await load(repository, 'used')

  t.equal(await client.get(key('unused')), blob)
  t.ok(await isGiven(client, key('unused'), 70), 'its idle TTL goes on')
  await t.rejects(client.get(key('used')), /WRONGTYPE/)
  t.equal(await client.type(key('used')), 'hash', 'which the documented command finds')
})
