import t from 'tap'
import { initSession } from '../support/requests.ts'
import { build, listen } from '../support/service.ts'

t.test('every answer has a request id: the caller\'s own where it is sane', async t => {
  const app = await build(t)
  const id = await initSession(app)
  for (const [method, url, payload] of [
    ['GET', '/livez', undefined], ['GET', '/nothing', undefined], ['PUT', '/init', undefined], ['POST', '/init', '{'],
    ['GET', '/%ZZ', undefined], ['POST', '/call-tool', { session_id: id, tool: 'echo' }],
    ['POST', '/call-tool', { session_id: 'nobody', tool: 'echo' }]
  ] as const) {
    const send = async (headers: Record<string, string> = {}) =>
      (await app.inject({ method, url, headers, ...(payload !== undefined && { payload }) })).headers['x-request-id']
    t.equal(await send({ 'x-request-id': 'abc-123/4.5:6' }), 'abc-123/4.5:6', url)
    const given = await send()
    t.match(given, /^[\da-f-]{36}$/, url)
    t.not(await send(), given, 'another request has another one')
    for (const hostile of ['', 'a b', 'x'.repeat(129), '"},{"', 'é', 'a;b', '<script>']) {
      t.match(await send({ 'x-request-id': hostile }), /^[\da-f-]{36}$/, JSON.stringify(hostile))
    }
  }
})

t.test('the lines of a request have its id, the audit line too, and levels have names', async t => {
  const service = await listen(t)
  await fetch(`${service.url}/tools`, {
    method: 'POST', headers: { 'x-request-id': 'mine-7' }, body: JSON.stringify({ session_id: 'nobody' })
  })
  const lines = service.output().trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  const own = lines.filter(({ reqId }) => reqId === 'mine-7').map(({ msg }) => msg)
  t.strictSame(own.sort(), ['audit', 'request answered', 'request refused'])
  for (const { level } of lines) t.match(level, /^(info|warn)$/)
})
