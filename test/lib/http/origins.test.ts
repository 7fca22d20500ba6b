import t from 'tap'
import {
  isListed, isLoopback, isOwnOrigin, normalizeOrigin, parseHost, parseHosts, parseOrigins
} from '../../../lib/http/origins.ts'

t.test('an origin is normalized to the form that browsers write', async t => {
  for (const [given, origin] of [
    ['https://app.example.com', 'https://app.example.com'], ['HTTPS://App.Example.com:443', 'https://app.example.com'],
    ['http://app.example.com:80', 'http://app.example.com'],
    ['http://app.example.com:443', 'http://app.example.com:443'], ['http://[::1]:5173', 'http://[::1]:5173'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['chrome-extension://abcdef', 'chrome-extension://abcdef']
  ] as const) t.equal(normalizeOrigin(given), origin, given)
})

t.test('other text is not an origin', async t => {
  const texts = [
    '', 'null', '*', 'app.example.com', 'https://', 'https:app.example.com', 'https://a.example.com/',
    'https://a.example.com/x', 'https://a@b.example.com',
    'https://a.example.com?', 'https://a.example.com#', 'https://a.example.com\\', 'https://a example.com',
    ' https://a.example.com', 'https://a.example.com, https://b.example.com',
    'https://a.example.com:99999', 'https://*.example.com:x', '//a.example.com', 'file:///'
  ]
  for (const text of texts) t.equal(normalizeOrigin(text), null, text)
})

t.test('a list with a wrong entry gives no origins and no hosts', async t => {
  t.strictSame(
    parseOrigins(' https://a.example.com/ ,http://localhost:3000'), ['https://a.example.com', 'http://localhost:3000']
  )
  for (const text of [
    '', 'https://a.example.com,', 'null', 'https://a.example.com,*', 'https://a.example.com/x',
    'https://a.example.com https://b.example.com'
  ]) t.equal(parseOrigins(text), null, text)
  for (const text of ['', 'a.example.com,', 'http://a.example.com', '*.example.com', 'a.example.com/x', 'a b']) {
    t.equal(parseHosts(text), null, text)
  }
})

t.test('a host is a name and a port', async t => {
  for (const [given, name, port] of [
    ['localhost:33000', 'localhost', '33000'], ['LocalHost', 'localhost', null], ['127.0.0.1:1', '127.0.0.1', '1'],
    ['127.1', '127.0.0.1', null], ['[::1]:33000', '[::1]', '33000'],
    ['[0:0:0:0:0:0:0:1]', '[::1]', null], ['a_b.example.com.', 'a_b.example.com.', null]
  ] as const) t.strictSame(parseHost(given), { name, port }, given)
  for (const text of [
    '', ':80', '::1', '[::1', 'a@localhost', 'localhost/', 'localhost?', 'localhost#', 'localhost\\', 'localhost:80:80',
    'localhost:', 'localhost:x', '127.0.0.1, evil.example', '1.2.3.4.5', '[localhost]'
  ]) {
    t.equal(parseHost(text), null, text)
  }
})

t.test('loopback names are those that no DNS server can give to another machine', async t => {
  for (const name of ['localhost', '127.0.0.1', '127.255.1.2', '[::1]']) t.ok(isLoopback(name), name)
  for (const name of [
    'localhost.evil.example', '127.0.0.1.evil.example', 'evil.example', '0.0.0.0', '[::]', '128.0.0.1', '10.0.0.1',
    'localhost.', 'xlocalhost', ''
  ]) t.notOk(isLoopback(name), name)
})

t.test('a host that is listed without a port matches any port', async t => {
  const hosts = parseHosts('a.example.com, b.example.com:8080') ?? []
  const listed = (text: string) => isListed(hosts, parseHost(text) ?? { name: '', port: null })
  for (const text of ['a.example.com', 'A.example.com:1', 'b.example.com:8080']) t.ok(listed(text), text)
  for (const text of ['b.example.com', 'b.example.com:80', 'c.a.example.com', 'example.com']) {
    t.notOk(listed(text), text)
  }
})

t.test("an origin is the service's own when it is the host, under a name that nobody else can take", async t => {
  const listed = parseHosts('mcp.example.com, other.example.com:8443, xn--bcher-kva.example') ?? []
  const own = (origin: string, host: string | undefined, more: { scheme?: string, site?: string } = {}) =>
    isOwnOrigin(origin, { host, scheme: more.scheme, site: more.site }, listed)
  for (const [origin, host, more] of [
    ['http://localhost:33000', 'localhost:33000', { site: 'same-origin' }],
    ['http://LOCALHOST:33000', 'LocalHost:33000'], ['http://127.0.0.1:33000', '127.0.0.1:33000'],
    ['http://[::1]:33000', '[0:0::1]:33000'], ['http://localhost', 'localhost'], ['http://localhost', 'localhost:80'],
    ['http://localhost:80', 'localhost'], ['https://mcp.example.com', 'mcp.example.com'],
    ['https://mcp.example.com', 'mcp.example.com:443', { scheme: 'https', site: 'same-origin' }],
    ['http://mcp.example.com:8080', 'mcp.example.com:8080'], ['http://mcp.example.com', 'mcp.example.com'],
    ['https://other.example.com:8443', 'other.example.com:8443'], ['http://10.1.2.3:33000', '10.1.2.3:33000'],
    ['http://[fd00::7]:33000', '[fd00::7]:33000'], ['http://xn--bcher-kva.example', 'xn--bcher-kva.example']
  ] as Array<[string, string, { scheme?: string, site?: string }?]>) {
    t.equal(own(origin, host, more), true, `${origin} at ${host}`)
  }
  for (const [origin, host, more] of [
    // A name that somebody let point here.
    ['http://evil.example:33000', 'evil.example:33000', { site: 'same-origin' }], ['http://evil.example', 'evil.example'],
    ['http://localhost.evil.example', 'localhost.evil.example'], ['http://127.0.0.1.nip.io', '127.0.0.1.nip.io'],
    ['http://localhost.', 'localhost.'], ['http://a.localhost', 'a.localhost'],
    ['http://mcp.example.com.', 'mcp.example.com.'], ['http://a.mcp.example.com', 'a.mcp.example.com'],
    // Another origin, whatever the page says of itself.
    ['http://localhost:33000', '127.0.0.1:33000', { site: 'same-origin' }], ['http://localhost:33001', 'localhost:33000'],
    ['http://localhost', 'localhost:33000'], ['https://localhost', 'localhost:80'],
    ['https://other.example.com', 'other.example.com'], ['http://evil.example', 'mcp.example.com', { site: 'same-origin' }],
    ['http://mcp.example.com', 'mcp.example.com', { scheme: 'https' }],
    ...['same-site', 'cross-site', 'none', '', 'SAME-ORIGIN', 'same-origin, same-origin', 'x'].map(
      site => ['http://localhost:33000', 'localhost:33000', { site }]
    ),
    // No origin, or no host.
    ['null', 'null'], ['', ''], ['*', '*'], ['localhost:33000', 'localhost:33000'], ['ftp://localhost', 'localhost'],
    ['chrome-extension://localhost', 'localhost'], ['file://localhost', 'localhost'],
    ['http://localhost, http://localhost', 'localhost'], ['http://localhost/', 'localhost'],
    ['http://a@localhost', 'localhost'], ['http://localhost', 'a@localhost'], ['http://localhost', 'localhost, localhost'],
    ['http://localhost', 'localhost/'], ['http://localhost', undefined], ['http://localhost', '']
  ] as Array<[string, string | undefined, { scheme?: string, site?: string }?]>) {
    t.equal(own(origin, host, more), false, `${origin} at ${host}, ${JSON.stringify(more)}`)
  }
})
