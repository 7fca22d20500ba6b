import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { failure } from '../support/requests.ts'
import { build, type Environment } from '../support/service.ts'

const page = 'https://app.example.com'
const origins = { MCP_ALLOWED_ORIGINS: `${page}, http://localhost:5173` }
const originRefusal = failure('ORIGIN', 'Pages of this origin may not call this service')
const hostRefusal = failure('HOST', 'This service does not answer to that host name')

interface Answer { status: number, headers: Record<string, string | string[] | undefined>, body: string }

/** A listening service, and a function that sends requests over real sockets with any headers, also `Host`. */
async function listen (t: Test, env: Environment = {}, host = '127.0.0.1') {
  const app = await build(t, env)
  await app.listen({ host, port: 0 })
  const { port } = app.server.address() as AddressInfo
  const ask = async (
    method: string, path: string, headers: Record<string, string> = {}, body?: object, address = '127.0.0.1'
  ): Promise<Answer> => {
    const request = httpRequest({ method, host: address, port, path, headers, agent: false })
    request.end(body && JSON.stringify(body))
    const [response] = await once(request, 'response')
    return { status: response.statusCode, headers: response.headers, body: await text(response) }
  }
  return { app, port, ask }
}

t.test('a page of an origin that is not listed is refused, whatever it asks for', async t => {
  for (const env of [{}, origins]) {
    const { ask } = await listen(t, env)
    for (const origin of [
      'https://evil.example', 'null', '', '*', `${page}.evil.example`, `${page}:8443`, 'http://app.example.com',
      `${page}, https://evil.example`, 'http://127.0.0.1'
    ]) {
      for (const [method, path] of [
        ['POST', '/init'], ['GET', '/tools-schema'], ['GET', '/health'], ['GET', '/livez'], ['GET', '/nothing'],
        ['PUT', '/init'], ['OPTIONS', '/init'], ['GET', '/docs']
      ] as const) {
        const answer = await ask(
          method, path, { origin, 'access-control-request-method': 'POST' },
          method === 'POST' ? { session_id: 'a', apiUrl, jwtToken } : undefined
        )
        t.equal(answer.status, 403, `${origin} ${method} ${path}`)
        t.strictSame(JSON.parse(answer.body), originRefusal)
        t.equal(answer.headers['access-control-allow-origin'], undefined)
      }
    }
  }
})

t.test('a request without an origin is no web page\'s', async t => {
  const { ask } = await listen(t, origins)
  const answer = await ask('POST', '/init', {}, { session_id: 'a', apiUrl, jwtToken })
  t.equal(answer.status, 200)
  t.equal(answer.headers['access-control-allow-origin'], undefined)
  t.equal(answer.headers.vary, 'Origin', 'no cache may give this answer to a page')
})

t.test('a URL that a page of another site embeds is refused, and a link that a person follows is not', async t => {
  const { ask } = await listen(t, origins)
  const status = async (site: string, mode: string, destination = 'document') =>
    (await ask('GET', '/tools-schema', {
      'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination
    })).status
  t.equal(await status('cross-site', 'no-cors'), 403)
  t.equal(await status('same-site', 'no-cors'), 403)
  for (const frame of ['iframe', 'object', 'embed', 'frame']) {
    t.equal(await status('cross-site', 'navigate', frame), 403)
  }
  t.equal(await status('cross-site', 'navigate'), 200)
  t.equal(await status('same-origin', 'cors'), 200)
  t.equal(await status('none', 'navigate'), 200)
})

t.test('a page of a listed origin may read its answers, failures as well', async t => {
  const { ask } = await listen(t, origins)
  for (const origin of [page, 'http://localhost:5173', 'https://APP.example.com:443']) {
    for (const [session, status] of [['a', 200], ['', 400]] as const) {
      const answer = await ask('POST', '/init', { origin }, { session_id: session, apiUrl, jwtToken })
      t.equal(answer.status, status)
      t.equal(answer.headers['access-control-allow-origin'], origin)
      t.match(answer.headers['access-control-expose-headers'], /X-MCP-Not-Cached, X-MCP-Injected, X-MCP-Result/)
      t.equal(answer.headers['access-control-allow-credentials'], undefined)
    }
  }
})

t.test('a preflight of a listed origin needs no API key', async t => {
  const { ask } = await listen(t, { ...origins, MCP_CLIENT_API_KEYS: `web:${'0'.repeat(64)}` })
  const answer = await ask('OPTIONS', '/call-tool', {
    origin: page, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-api-key,x-session-id'
  })
  t.match(answer, {
    status: 204,
    body: '',
    headers: {
      'access-control-allow-origin': page,
      'access-control-allow-methods': 'GET, POST, PUT, DELETE',
      'access-control-allow-headers': 'Authorization, Content-Type, X-API-Key, X-Session-Id',
      'access-control-max-age': '600'
    }
  })
  const call = await ask('POST', '/call-tool', { origin: page }, {})
  t.equal(call.status, 401)
  t.equal(call.headers['access-control-allow-origin'], page, 'the page learns why')
})

t.test('an OPTIONS that is no preflight is a method like any other', async t => {
  const { app, ask } = await listen(t, origins)
  for (const headers of [{}, { origin: page }] as Array<Record<string, string>>) {
    const known = await ask('OPTIONS', '/init', headers)
    t.equal(known.status, 405)
    t.equal(known.headers.allow, 'POST')
    t.strictSame(JSON.parse(known.body), failure('METHOD_NOT_ALLOWED', '/init takes POST'))
    const unknown = await ask('OPTIONS', '/nothing', headers)
    t.equal(unknown.status, 404)
    t.strictSame(JSON.parse(unknown.body), failure('NOT_FOUND', 'There is no OPTIONS /nothing'))
  }
  t.equal((await ask('GET', '/nothing', { origin: page })).status, 404)
  t.equal((await ask('GET', '/init', { origin: page })).headers.allow, 'POST')
  const { paths } = (await app.inject('/openapi.json')).json<{ paths: object }>()
  t.notOk(Object.keys(paths).some(path => path.includes('*')), 'the description has no such route')
})

t.test('without listed origins there are no CORS headers', async t => {
  const { ask } = await listen(t)
  const { headers } = await ask('GET', '/livez')
  t.strictSame(Object.keys(headers).filter(name => /^(access-control|vary)/.test(name)), [])
})

t.test('a service on loopback answers to names of loopback only', async t => {
  for (const host of ['127.0.0.1', 'localhost', '::1']) {
    const { port, ask } = await listen(t, {}, host)
    const get = (name: string, path = '/livez') => ask('GET', path, { host: name }, undefined, host)
    for (const name of [
      'localhost', `localhost:${port}`, 'LOCALHOST:1', '127.0.0.1', `127.0.0.1:${port}`, '127.9.9.9', '[::1]',
      `[::1]:${port}`
    ]) {
      t.equal((await get(name)).status, 200, `${host}: ${name}`)
    }
    for (const name of [
      'evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', '0.0.0.0',
      'evil@localhost', 'localhost:x', '10.0.0.1', '[::]'
    ]) {
      const answer = await get(name, '/health')
      t.equal(answer.status, 403, `${host}: ${name}`)
      t.strictSame(JSON.parse(answer.body), hostRefusal)
    }
  }
})

t.test('an empty Host is refused, and a request of HTTP/1.0 without Host is not', async t => {
  const { port } = await listen(t)
  const ask = async (head: string) => {
    const socket = connect(port, '127.0.0.1')
    socket.end(`${head}\r\n\r\n`)
    return (await text(socket)).split('\r\n')[0]
  }
  t.equal(await ask('GET /livez HTTP/1.0'), 'HTTP/1.1 200 OK')
  t.equal(await ask('GET /livez HTTP/1.0\r\nHost: evil.example'), 'HTTP/1.1 403 Forbidden')
  t.equal(await ask('GET /livez HTTP/1.1\r\nHost:\r\nConnection: close'), 'HTTP/1.1 403 Forbidden')
  t.equal(await ask('GET /livez HTTP/1.1\r\nConnection: close'), 'HTTP/1.1 400 Bad Request')
})

t.test('a proxy on the same machine may pass on its own name when that is listed', async t => {
  const { ask } = await listen(t, { MCP_ALLOWED_HOSTS: 'mcp.example.com, other.example.com:8080' })
  for (const [host, status] of [
    ['mcp.example.com', 200], ['MCP.example.com:443', 200], ['other.example.com:8080', 200], ['other.example.com', 403],
    ['evil.example', 403], ['localhost', 200]
  ] as const) {
    t.equal((await ask('GET', '/livez', { host })).status, status, host)
  }
})

t.test('a service that other machines can reach takes any Host', async t => {
  const { ask } = await listen(t, {}, '0.0.0.0')
  t.equal((await ask('GET', '/livez', { host: 'mcp.internal' })).status, 200)
})

t.test("the service's own page may call, and no page that only looks like it", async t => {
  const { port, ask } = await listen(t, { MCP_ALLOWED_HOSTS: 'mcp.example.com', ...origins })
  const proxied = await listen(t, { MCP_ALLOWED_HOSTS: 'mcp.example.com', MCP_TRUSTED_PROXIES: 'loopback' })
  const open = await listen(t, {}, '0.0.0.0')
  const site = { 'sec-fetch-site': 'same-origin' }
  const forwarded = { host: '127.0.0.1:80', 'x-forwarded-host': 'mcp.example.com:8080', 'x-forwarded-proto': 'http' }
  for (const [at, headers, status] of [
    [ask, { host: `localhost:${port}`, origin: `http://localhost:${port}`, ...site }, 200],
    [ask, { host: 'mcp.example.com', origin: 'https://mcp.example.com' }, 200],
    [ask, { host: `localhost:${port}`, origin: `http://localhost:${port}`, 'sec-fetch-site': 'cross-site' }, 403],
    [ask, { host: `localhost:${port}`, origin: 'null', ...site }, 403],
    [ask, { host: `localhost:${port}`, origin: `http://127.0.0.1:${port}`, ...site }, 403],
    [ask, { host: 'evil.example', origin: 'http://evil.example', ...site }, 403],
    [ask, { ...forwarded, origin: 'http://mcp.example.com:8080' }, 403],
    [proxied.ask, { ...forwarded, origin: 'http://mcp.example.com:8080', ...site }, 200],
    [proxied.ask, { ...forwarded, origin: 'http://127.0.0.1', ...site }, 403],
    [proxied.ask, { ...forwarded, origin: 'http://evil.example', 'x-forwarded-host': 'evil.example', ...site }, 403],
    [proxied.ask, {
      ...forwarded, origin: 'http://mcp.example.com', 'x-forwarded-host': 'mcp.example.com', 'x-forwarded-proto': 'https'
    }, 403],
    [open.ask, { host: `127.0.0.1:${open.port}`, origin: `http://127.0.0.1:${open.port}`, ...site }, 200],
    [open.ask, { host: 'evil.example', origin: 'http://evil.example', ...site }, 403]
  ] as const) {
    const answer = await at('POST', '/init', headers, { session_id: 'a', apiUrl, jwtToken })
    t.equal(answer.status, status, JSON.stringify(headers))
    t.equal(answer.headers['access-control-allow-origin'], undefined)
    if (status === 403) t.match(answer.body, /MCPC_ERR_(ORIGIN|HOST)/)
  }
})
