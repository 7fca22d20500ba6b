import t, { type Test } from 'tap'
import type { Lookup } from '../../../../lib/mcp/transports/addresses.ts'
import { createUpstreamAgents, type Proxies } from '../../../../lib/mcp/transports/http-agent.ts'
import { exchangeOnce } from '../../../../lib/mcp/transports/http-exchange.ts'
import { NotSentError } from '../../../../lib/mcp/transports/text-transport.ts'
import { serve } from '../../../support/http-server.ts'
import { startForwardProxy } from '../../../support/forward-proxy.ts'
import { until } from '../../../support/wait.ts'

function agentsWith (t: Test, proxies: Partial<Proxies>, lookup?: Lookup) {
  const all = { http: '', https: '', no: '', ...proxies }
  const agents = createUpstreamAgents({ proxies: all, maxRequests: 10, ...(lookup && { lookup }) })
  t.teardown(agents.destroy)
  return {
    proxyOf: (url: string, secrets: string[] = []) => agents.routeTo({ name: 'up', url, headers: {}, secrets }).proxy,
    /** The status of the answer. */
    async send (url: string, own: Record<string, string> = {}) {
      const { dispatcher } = agents.routeTo({ name: 'up', url, headers: own, secrets: [] })
      const headers = new Map(Object.entries(own))
      const { signal } = new AbortController()
      const { status, body } = await exchangeOnce(dispatcher, { method: 'GET', url: new URL(url), headers, signal })
      body.destroy()
      return status
    }
  }
}

const http = 'http://user:pass@one.test:3128'
const https = 'http://two.test'

t.test('each address has its proxy, which is named without its password', async t => {
  const { proxyOf } = agentsWith(t, { http, https, no: 'direct.test, 10.0.0.0/8' })
  t.equal(proxyOf('http://up.test/mcp'), 'one.test:3128')
  t.equal(proxyOf('https://up.test/mcp'), 'two.test')
  t.equal(proxyOf('https://up.test/mcp', ['a secret']), 'two.test')
  t.equal(proxyOf('http://up.test/mcp', ['a secret']), null)
  for (const url of ['http://direct.test', 'https://x.direct.test', 'https://10.9.8.7']) t.equal(proxyOf(url), null, url)
  t.equal(agentsWith(t, { http }).proxyOf('https://up.test'), 'one.test:3128', 'one for http is enough')
  t.equal(agentsWith(t, { https }).proxyOf('http://up.test'), null)
  t.equal(agentsWith(t, {}).proxyOf('https://up.test'), null)
})

t.test('no proxy is asked for the machine itself or its link, however the address is written', async t => {
  const { proxyOf } = agentsWith(t, { http, https })
  for (const host of [
    'localhost', 'LOCALHOST', 'localhost.', 'mcp.localhost', '127.0.0.1', '127.9.9.9', '127.1', '2130706433', '0x7f.1',
    '0.0.0.0', '[::1]', '[0:0:0:0:0:0:0:1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:2]',
    '169.254.169.254', '[fe80::1]', '[::ffff:169.254.169.254]', '2852039166', '100.100.100.200', '[fd00:ec2::254]',
    '[64:ff9b::a9fe:a9fe]', '0xa83f8110'
  ]) {
    for (const scheme of ['http', 'https']) t.equal(proxyOf(`${scheme}://${host}:8080/mcp`), null, host)
  }
  for (const host of ['127.test', '127.0.0.1.test', 'localhost.test', 'notlocalhost', '128.0.0.1', '[::2]', '1.127.0.0']) {
    t.not(proxyOf(`http://${host}/mcp`), null, host)
  }
})

t.test('a proxy gets the name and the password of its address, or the name alone', async t => {
  for (const [user, sent] of [
    ['user:pass%20word@', 'user:pass word'], ['token@', 'token:'], [':pass@', ':pass'], ['', null]
  ] as const) {
    const proxy = await startForwardProxy(t, { refuses: 403 })
    const proxied = `http://${user}127.0.0.1:${proxy.port}`
    const { send } = agentsWith(t, { http: proxied, https: proxied })
    await send('http://up.test/')
    await t.rejects(send('https://up.test/'), NotSentError)
    const expected = sent === null ? undefined : `Basic ${Buffer.from(sent).toString('base64')}`
    t.strictSame(proxy.credentials, [expected, expected], user)
  }
})

t.test('what a proxy refuses was not sent', async t => {
  const proxy = await startForwardProxy(t, { refuses: 407 })
  const { send } = agentsWith(t, { http: proxy.url, https: proxy.url })
  for (const url of ['http://up.test/', 'https://up.test/']) {
    await t.rejects(send(url), { name: 'NotSentError', cause: { message: 'it answered HTTP 407' } }, url)
  }
  t.strictSame(proxy.asked, ['GET http://up.test/', 'CONNECT up.test:443'])
  await t.rejects(send('https://up.test/', { 'proxy-authorization': 'Basic eA==' }), NotSentError, 'undici takes none')
})

/** A network's names; those of others it does not know. */
function namesOf (addresses: Record<string, string[]>): Lookup {
  return (host, { all }, callback) => {
    const found = addresses[host]?.map(address => ({ address, family: address.includes(':') ? 6 : 4 })) ?? []
    const [first] = found
    if (first === undefined) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), '')
    else callback(null, all ? found : first.address, first.family)
  }
}

t.test('a name that leads to a link-local address is refused, with a proxy and without one', async t => {
  const proxy = await startForwardProxy(t)
  const names = namesOf({
    'one.test': ['169.254.169.254'],
    'two.test': ['10.0.0.1', 'fe80::1'],
    'three.test': ['::ffff:169.254.0.1'],
    'four.test': ['100.100.100.200'],
    'five.test': ['fd00:ec2::254'],
    'six.test': ['10.0.0.1', '64:ff9b::a9fe:a9fe']
  })
  for (const proxies of [{ http: proxy.url, https: proxy.url }, {}]) {
    const { send } = agentsWith(t, proxies, names)
    for (const url of [
      'http://one.test/', 'https://two.test/', 'http://two.test/', 'https://three.test:1/', 'http://four.test/',
      'https://five.test/', 'http://six.test/'
    ]) {
      await t.rejects(send(url), { name: 'NotSentError', cause: { code: 'EACCES' } }, url)
    }
  }
  t.strictSame(proxy.asked, [])
})

t.test('a name of the machine itself is reached directly, and one that only the proxy knows through it', async t => {
  const proxy = await startForwardProxy(t)
  const { port } = new URL((await serve(t, (_, response) => { response.writeHead(204).end() })).origin)
  const { send } = agentsWith(t, { http: proxy.url }, namesOf({ 'here.test': ['127.0.0.1'], 'there.test': ['10.0.0.1'] }))
  t.equal(await send(`http://here.test:${port}/`), 204)
  t.strictSame(proxy.asked, [])
  for (const name of ['there.test', 'unknown.test']) t.equal(await send(`http://${name}:${port}/`), 204)
  t.strictSame(proxy.asked, [`GET http://there.test:${port}/`, `GET http://unknown.test:${port}/`])
})

t.test('a name server that is silent holds no request up', async t => {
  const proxy = await startForwardProxy(t, { refuses: 403 })
  const { send } = agentsWith(t, { http: proxy.url }, () => {})
  t.equal(await send('http://up.test/'), 403)
})

t.test('a server has a bounded number of connections, its own ones, directly and through a proxy', async t => {
  const server = await serve(t, () => {})
  for (const [url, proxies] of [
    [server.url, null],
    ['http://up.test/', { http: server.origin, https: '', no: '' }]
  ] as const) {
    const agents = createUpstreamAgents({ proxies, maxRequests: 2, lookup: namesOf({ 'up.test': ['10.0.0.1'] }) })
    t.teardown(agents.destroy)
    const controllers: AbortController[] = []
    const send = (name: string) => {
      const controller = new AbortController()
      controllers.push(controller)
      const { dispatcher } = agents.routeTo({ name, url, headers: {}, secrets: [] })
      return exchangeOnce(dispatcher, { method: 'GET', url: new URL(url), headers: new Map(), signal: controller.signal })
    }
    const before = server.requests.length
    const sent = ['one', 'two'].flatMap(name => Array.from({ length: 50 }, () => send(name)))
    const refused = Promise.all(sent.map(request => t.rejects(request)))
    await until(() => server.requests.length === before + 12, 'each has its six')
    // The server may see the end of an earlier one later.
    await until(() => server.sockets.open === 12, 'over as many connections')
    for (const controller of controllers) controller.abort(new Error('the caller left'))
    await refused
    await until(() => server.sockets.open === 0, 'no connection is left')
    t.equal(server.requests.length, before + 12, 'what waited for a connection is never sent')
  }
})
