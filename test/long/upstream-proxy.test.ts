import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { cases } from '../support/cases.ts'
import { startForwardProxy } from '../support/forward-proxy.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { call, callAt, initSession, openSession } from '../support/requests.ts'
import { resultText, startScripted, textResult } from '../support/scripted-server.ts'
import { answerWith } from '../support/session-server.ts'
import { serversFile, variable } from '../support/servers-file.ts'
import { environment, serviceOn, spawnService, startService } from '../support/service.ts'

/** Variables of whoever runs the tests do not count. */
const noProxies = {
  HTTP_PROXY: undefined,
  HTTPS_PROXY: undefined,
  NO_PROXY: undefined,
  http_proxy: undefined,
  https_proxy: undefined,
  no_proxy: undefined
}
const portOf = (url: string) => new URL(url).port

t.test('a server with an http address is asked through the proxy', async t => {
  for (const name of ['HTTP_PROXY', 'http_proxy']) {
    const proxy = await startForwardProxy(t)
    const upstream = await startUpstream(t, 'http-2025')
    const url = `http://up.test:${portOf(upstream.url)}/mcp`
    const proxied = `http://user:pass%20word@127.0.0.1:${proxy.port}`
    const service = await serviceOn(t, { up: { url } }, { ...noProxies, MCP_UPSTREAM_PROXY: 'env', [name]: proxied })
    const id = await initSession(service)
    const long = { text: 'x'.repeat(300_000) }
    for (const n of [1, 2]) t.equal((await call(service, id, 'count', long)).json().n, n)
    t.ok(proxy.asked.length > 3)
    t.ok(proxy.asked.every(asked => asked === `POST ${url}`), proxy.asked.join())
    const basic = `Basic ${Buffer.from('user:pass word').toString('base64')}`
    t.ok(proxy.credentials.every(sent => sent === basic))
    t.ok((await upstream.requests()).every(({ headers }) => headers['proxy-authorization'] === undefined))
  }
})

t.test('an https server is asked through a tunnel, its credential unread; the operator names its authority', async t => {
  const proxy = await startForwardProxy(t)
  const seen: unknown[] = []
  const server = createServer({
    key: readFileSync(fixture('tls/up-test-key.pem')), cert: readFileSync(fixture('tls/up-test.pem'))
  }, (incoming, response) => {
    seen.push(incoming.headers['x-key'])
    let text = ''
    incoming.on('data', chunk => { text += chunk })
    incoming.on('end', () => {
      const message = JSON.parse(text)
      const results: Record<string, unknown> = {
        'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
        'tools/list': { tools: [{ name: 'hello', inputSchema: { type: 'object' } }] },
        'tools/call': { content: [{ type: 'text', text: '"hi"' }] }
      }
      const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result: results[message.method] })
      const request = { http: 'POST', path: '/mcp', headers: incoming.headers, text, message }
      answerWith(request, response, { status: 200, body })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const file = await serversFile(t, { up: { url: `https://up.test:${port}/mcp`, headers: { 'x-key': 'canary-4711' } } })
  const env = { ...noProxies, MCP_SERVERS_FILE: file, MCP_UPSTREAM_PROXY: 'env', HTTPS_PROXY: proxy.url }

  const trusting = await startService(t, { ...env, NODE_EXTRA_CA_CERTS: fixture('tls/up-test.pem') })
  t.strictSame((await callAt(trusting, await openSession(trusting), 'hello')).body, 'hi')
  t.strictSame(new Set(seen), new Set(['canary-4711']))
  t.ok(proxy.asked.length > 0 && proxy.asked.every(asked => asked === `CONNECT up.test:${port}`), proxy.asked.join())

  const wary = await startService(t, env)
  t.match((await callAt(wary, await openSession(wary), 'hello')).body, {
    code: 'MCPC_ERR_MCP_START',
    error: `MCP server up cannot be reached through the proxy 127.0.0.1:${proxy.port}: self-signed certificate`,
    acted: 'no'
  })
})

t.test('no proxy is asked for the machine itself, for a credential over http, or when it is off', async t => {
  const proxy = await startForwardProxy(t)
  const upstream = await startUpstream(t, 'http-2025')
  const port = portOf(upstream.url)
  const on = { ...noProxies, MCP_UPSTREAM_PROXY: 'env', HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url }
  for (const url of [`http://127.0.0.1:${port}/mcp`, `http://localhost:${port}/mcp`]) {
    const service = await serviceOn(t, { up: { url } }, on)
    t.equal((await call(service, await initSession(service), 'count')).json().n, 1, url)
  }
  const url = `http://up.test:${port}/mcp`
  const unreached = /cannot be reached: (getaddrinfo )?(ENOTFOUND|EAI_AGAIN)/
  for (const [what, entry, env] of cases([
    ['a header', { url, headers: { authorization: 'Bearer canary-4711' } }, {}],
    ['a value of the query', { url: `${url}?key=canary-4711` }, {}],
    ['off', { url }, { MCP_UPSTREAM_PROXY: 'off' }],
    ['not set', { url }, { MCP_UPSTREAM_PROXY: undefined }],
    ['in NO_PROXY', { url }, { NO_PROXY: 'other.test, .up.test' }],
    ['all in NO_PROXY', { url }, { NO_PROXY: '*' }],
    ['the port is in no_proxy', { url }, { no_proxy: `up.test:${port}` }],
    ['no proxy', { url }, { HTTP_PROXY: '' }]
  ] as const, 3)) {
    const service = await serviceOn(t, { up: entry }, { ...on, ...env })
    const response = await call(service, await initSession(service), 'count')
    t.match(response.json().error, unreached, what)
  }
  t.strictSame(proxy.asked, [])
})

t.test('a proxy that refuses or is not there is told, and nothing was sent', async t => {
  const proxy = await startForwardProxy(t)
  const on = { ...noProxies, MCP_UPSTREAM_PROXY: 'env', HTTP_PROXY: proxy.url }
  const service = await serviceOn(t, { up: { url: 'http://up.test:1/mcp' } }, on)
  t.match((await call(service, await initSession(service), 'count')).json(), {
    code: 'MCPC_ERR_MCP_START',
    error: `MCP server up cannot be reached through the proxy 127.0.0.1:${proxy.port}: HTTP 502: the proxy reaches nobody`,
    acted: 'no'
  })
  for (const url of ['http://up.test/mcp', 'https://up.test/mcp']) {
    for (const [refuses, reason] of cases([
      [407, /it answered HTTP 407/], [403, /HTTP 403/], ['silent', /within 1 s/], [503, /HTTP 503/]
    ] as const, 2)) {
      const proxy = await startForwardProxy(t, { refuses })
      const proxied = `http://user:canary-4711@127.0.0.1:${proxy.port}`
      const service = await serviceOn(t, { up: { url, timeouts: { start: 1 } } }, {
        ...on, HTTP_PROXY: proxied, HTTPS_PROXY: proxied
      })
      const { error, acted } = (await call(service, await initSession(service), 'count')).json()
      t.match(error, reason, `${url} ${refuses}`)
      if (refuses !== 'silent') t.match(error, `cannot be reached through the proxy 127.0.0.1:${proxy.port}: `)
      t.notMatch(error, /canary|user/)
      t.equal(acted, 'no')
    }
    const gone = 'http://user:canary-4711@127.0.0.1:1'
    const service = await serviceOn(t, { up: { url } }, { ...on, HTTP_PROXY: gone, HTTPS_PROXY: gone })
    t.match((await call(service, await initSession(service), 'count')).json(), {
      code: 'MCPC_ERR_MCP_START',
      error: 'MCP server up cannot be reached through the proxy 127.0.0.1:1: ECONNREFUSED',
      acted: 'no'
    })
  }
})

t.test('a call whose arguments hold a credential goes past the proxy over http, and all others through it', async t => {
  const proxy = await startForwardProxy(t)
  const upstream = await startScripted(t, 'http', {
    'tools/list': resultText(JSON.stringify({
      tools: ['with', 'without'].map(name => ({
        name, inputSchema: { type: 'object', properties: name === 'with' ? { jwtToken: { type: 'string' } } : {} }
      }))
    })),
    'tools/call': textResult('"done"')
  })
  const url = String(upstream.entry.url).replace('127.0.0.1', 'up.test')
  const service = await serviceOn(t, { up: { url } }, { ...noProxies, MCP_UPSTREAM_PROXY: 'env', HTTP_PROXY: proxy.url })
  const id = await initSession(service)
  t.equal((await call(service, id, 'without')).json(), 'done')
  t.ok(proxy.asked.length > 0)
  const before = proxy.asked.length
  t.match((await call(service, id, 'with')).json(), { error: /ENOTFOUND|EAI_AGAIN/, acted: 'no' })
  t.equal(proxy.asked.length, before, 'up.test is a name that only the proxy knows')
})

t.test('a wrong setting stops the start with one line that shows no proxy', async t => {
  const file = await serversFile(t, { up: { url: 'http://up.test/mcp' } })
  for (const [env, line] of [
    [{ MCP_UPSTREAM_PROXY: 'on' }, 'MCP_UPSTREAM_PROXY must be env or off, but is "on"'],
    [
      { MCP_UPSTREAM_PROXY: 'env', HTTPS_PROXY: 'canary-4711:8080' },
      'HTTPS_PROXY must be an http(s) URL with MCP_UPSTREAM_PROXY=env, but is a value that is not shown'
    ],
    [
      { MCP_UPSTREAM_PROXY: 'env', HTTP_PROXY: 'socks5://canary-4711@127.0.0.1' },
      'HTTP_PROXY must be an http(s) URL with MCP_UPSTREAM_PROXY=env, but is a value that is not shown'
    ]
  ] as const) {
    const all = await environment(t, { ...noProxies, MCP_SERVERS_FILE: file, ...env })
    const { exited, output } = await spawnService(t, all)
    t.not((await exited).code, 0)
    t.ok(output().includes(line), output())
    t.notMatch(output(), /canary/)
  }
})

t.test('a process has a proxy where its entry names it', async t => {
  const printer = ['-e', `
    process.stdin.on('data', chunk => {
      for (const line of chunk.toString().trim().split('\\n')) {
        const { id, method, params } = JSON.parse(line)
        if (id === undefined) continue
        const results = {
          initialize: { protocolVersion: params?.protocolVersion, capabilities: { tools: {} } },
          'tools/list': { tools: [{ name: 'env' }] },
          'tools/call': { content: [{ type: 'text', text: JSON.stringify({ proxy: process.env.HTTPS_PROXY ?? null }) }] }
        }
        const answer = results[method] ? { result: results[method] } : { error: { code: -32601, message: 'no' } }
        console.log(JSON.stringify({ jsonrpc: '2.0', id, ...answer }))
      }
    })`]
  const entry = { command: process.execPath, args: printer }
  const env = { ...noProxies, MCP_UPSTREAM_PROXY: 'env', HTTPS_PROXY: 'http://proxy.test:8080' }
  const service = await serviceOn(t, {
    without: entry, with: { ...entry, env: { HTTPS_PROXY: variable('HTTPS_PROXY') } }
  }, env)
  const id = await initSession(service)
  t.strictSame((await call(service, id, 'without__env')).json(), { proxy: null })
  t.strictSame((await call(service, id, 'with__env')).json(), { proxy: 'http://proxy.test:8080' })
})
