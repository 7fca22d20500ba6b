import t from 'tap'
import { parseNoProxy } from '../../../../lib/mcp/transports/no-proxy.ts'

const cases: Array<[entries: string, direct: string[], proxied: string[]]> = [
  ['', [], ['http://a.test', 'https://10.0.0.1']],
  ['*', ['http://a.test', 'https://10.0.0.1:8080', 'http://[2001:db8::1]'], []],
  ['b.test, *', ['http://a.test'], []],
  ['a.test', ['http://a.test', 'https://A.TEST:99', 'http://x.a.test', 'http://a.test.'], ['http://ba.test', 'http://a.test.b']],
  ['.a.test', ['http://a.test', 'http://x.a.test'], ['http://xa.test']],
  ['*.A.test.', ['http://x.y.a.test'], ['http://atest']],
  ['a.test:8080', ['http://a.test:8080', 'https://x.a.test:8080'], ['http://a.test', 'http://a.test:80']],
  ['a.test:80 b.test:443', ['http://a.test', 'https://b.test'], ['https://a.test', 'http://b.test']],
  ['10.1.2.3', ['http://10.1.2.3', 'http://10.1.515', 'http://[::ffff:10.1.2.3]'], ['http://10.1.2.30', 'http://x.10.1.2.3.test']],
  ['10.1.2.3:81', ['http://10.1.2.3:81'], ['http://10.1.2.3']],
  ['10.0.0.0/8,192.168.1.0/24', ['http://10.255.0.1', 'http://192.168.1.9:1'], ['http://11.0.0.1', 'http://192.168.2.1', 'http://ten.test']],
  ['2001:db8::/32', ['http://[2001:db8:1::2]'], ['http://[2001:db9::1]', 'http://a.test']],
  ['2001:db8:0:0::1', ['http://[2001:db8::1]:8080'], ['http://[2001:db8::2]']],
  ['[2001:db8::1]:81', ['http://[2001:db8::1]:81'], ['http://[2001:db8::1]']],
  ['10.0.0.0/99 :: a.test/8', [], ['http://10.0.0.0', 'http://a.test', 'http://10.0.0.1']]
]

t.test('NO_PROXY names hosts in the ways that operators write', async t => {
  for (const [entries, direct, proxied] of cases) {
    const bypasses = parseNoProxy(entries)
    for (const url of direct) t.equal(bypasses(new URL(url)), true, `${entries}: ${url}`)
    for (const url of proxied) t.equal(bypasses(new URL(url)), false, `${entries}: ${url}`)
  }
})
