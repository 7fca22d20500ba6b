import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { serviceOn } from '../support/service.ts'

for (const [what, name, args, type] of [
  ['the 2025 era with sessions and event streams', 'http-2025', [], 'http'],
  ['the 2025 era with sessions and JSON', 'http-2025', ['--json'], 'http'],
  ['the 2025 era without sessions', 'http-2025', ['--stateless'], 'http'],
  ['the 2026 era', 'http-2026', ['--modern-only'], 'http'],
  ['both eras', 'http-2026', [], 'http'],
  ['the first HTTP transport', 'sse', [], 'sse']
] as const) {
  t.test(`a server of ${what} lists and calls`, async t => {
    const upstream = await startUpstream(t, name, [...args])
    const service = await serviceOn(t, {
      up: {
        type,
        url: `${upstream.url}?token=${credential('jwtToken')}`,
        headers: { authorization: `Bearer ${credential('jwtToken')}`, 'x-api-url': credential('apiUrl') }
      }
    })
    const id = await initSession(service)

    const { tools } = (await postTo(service, '/tools', { session_id: id })).json()
    t.ok(tools.some((tool: { name: string }) => tool.name === 'echo'))
    t.notMatch(JSON.stringify(tools.find((tool: { name: string }) => tool.name === 'echo')), /jwtToken/)

    for (let times = 0; times < 3; times++) {
      const echoed = await call(service, id, 'echo', { text: `hello ${times}` })
      t.equal(echoed.statusCode, 200, echoed.body)
      t.match(echoed.json(), { status: 'success', text: `hello ${times}` })
    }
    const { stream, ...seen } = (await call(service, id, 'whoami')).json()
    // Over the first transport, the address with the query is that of the stream.
    t.match({ ...seen, ...stream }, { authorization: `Bearer ${jwtToken}`, 'x-api-url': apiUrl, token: jwtToken })
    t.match((await call(service, id, 'fail', { reason: 'no luck' })).json(), { status: 'error', error: /no luck/ })
    t.equal((await call(service, id, 'none')).statusCode, 404)
  })
}

t.test('a result that does not say what it is, is complete', async t => {
  const upstream = await startUpstream(t, 'raw-http', ['--era=2026', '--mode=no-result-type'])
  const service = await serviceOn(t, { up: { url: upstream.url } })
  const id = await initSession(service)
  t.strictSame((await call(service, id, 'echo', { text: 'hello' })).json(), {
    status: 'success',
    text: 'hello',
    jwtToken
  })
  t.strictSame((await upstream.stats()).calls, { echo: 1 })
})
