import t from 'tap'
import { type Cookie, createCookieJar, haveChanged } from '../../../../lib/mcp/transports/cookie-jar.ts'

const url = new URL('https://up.example/mcp/one')

function jarWith (...texts: string[]) {
  const jar = createCookieJar(url)
  jar.store({ 'set-cookie': texts }, url)
  return jar
}

t.test('cookies go back to the origin that set them, and to no other', async t => {
  const jar = jarWith('a=1; Path=/', 'b="two words"; HttpOnly; SameSite=None; Path=/')
  t.equal(jar.header(url), 'a=1; b="two words"')
  for (const other of ['http://up.example/mcp', 'https://up.example:444/mcp', 'https://www.up.example/mcp', 'https://x.example']) {
    t.equal(jar.header(new URL(other)), null, other)
    jar.store({ 'set-cookie': 'c=3; Path=/' }, new URL(other))
  }
  t.equal(jar.header(url), 'a=1; b="two words"', 'and no other sets one')
  t.equal(jarWith('a=1; Domain=example; Path=/').header(new URL('https://www.example/mcp')), null)
  t.equal(createCookieJar(url).header(url), null)
})

t.test('a cookie goes to its path, the longer one first', async t => {
  const jar = jarWith('root=1; Path=/', 'own=2', 'mcp=3; Path=/mcp', 'one=4; Path=/mcp/one', 'bad=5; Path=x')
  for (const [path, header] of [
    ['/mcp/one', 'one=4; own=2; mcp=3; bad=5; root=1'],
    ['/mcp/two', 'own=2; mcp=3; bad=5; root=1'],
    ['/mcp', 'own=2; mcp=3; bad=5; root=1'],
    ['/mcpx', 'root=1'],
    ['/', 'root=1']
  ]) t.equal(jar.header(new URL(String(path), url)), header, String(path))
})

t.test('a cookie that is secure stays on https', async t => {
  const plain = new URL('http://up.example/mcp')
  const jar = createCookieJar(plain)
  jar.store({ 'set-cookie': ['a=1; Secure', 'b=2', 'c=3;secure;Path=/'] }, plain)
  t.equal(jar.header(plain), 'b=2')
  t.equal(jarWith('a=1; Secure').header(url), 'a=1')
})

t.test('a cookie ends when its server says so', async t => {
  for (const end of ['Max-Age=0', 'Max-Age=-1', 'Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'max-age=0; Expires=Fri, 01 Jan 2100 00:00:00 GMT']) {
    const jar = jarWith('a=1', `b=2; ${end}`)
    t.equal(jar.header(url), 'a=1', end)
    jar.store({ 'set-cookie': `a=x; ${end}` }, url)
    t.equal(jar.header(url), null, `${end} takes it back`)
  }
  for (const end of ['Max-Age=60', 'Expires=Fri, 01 Jan 2100 00:00:00 GMT', 'Expires=soon', 'Max-Age=soon']) {
    t.equal(jarWith(`a=1; ${end}`).header(url), 'a=1', end)
  }
  const [kept] = jarWith('a=1; Max-Age=60').cookies()
  t.equal(createCookieJar(url, [{ ...kept as Cookie, expires: Date.now() - 1 }]).header(url), null)
})

t.test('the newest value counts, and what is no cookie is passed over', async t => {
  const jar = jarWith('a=1', 'b=2', 'a=3', 'nothing', '=4', '', 'c=x\u0007y', `d=${'x'.repeat(5_000)}`, 'e=', 'f=1=2')
  t.equal(jar.header(url), 'b=2; a=3; e=; f=1=2')
  t.equal(createCookieJar(url, jar.cookies()).header(url), jar.header(url), 'another jar goes on with them')
})

t.test('the oldest cookies go when there are too many', async t => {
  const jar = jarWith(...Array.from({ length: 50 }, (_, index) => `n${index}=1`))
  t.equal(jar.cookies().length, 20)
  t.equal(jar.cookies()[0]?.name, 'n30')
})

t.test('cookies have changed when a value, a name or much of their time has', async t => {
  const cookie = { name: 'a', value: '1', path: '/', expires: Date.now() + 60_000 }
  for (const [now, changed] of [
    [[cookie], false],
    [[{ ...cookie, expires: cookie.expires + 10_000 }], false],
    [[{ ...cookie, expires: cookie.expires + 600_000 }], true],
    [[{ ...cookie, value: '2' }], true],
    [[{ ...cookie, path: '/mcp' }], true],
    [[cookie, { ...cookie, name: 'b' }], true],
    [[], true]
  ] as const) t.equal(haveChanged([cookie], now), changed, JSON.stringify(now))
})
