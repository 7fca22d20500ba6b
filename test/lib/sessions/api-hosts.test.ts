import t from 'tap'
import { checkApiUrl, parseApiHosts } from '../../../lib/sessions/api-hosts.ts'

function verdict (url: string, { hosts, requiresHttps = false }: { hosts?: string, requiresHttps?: boolean }): string {
  try {
    checkApiUrl(url, { allowed: hosts === undefined ? null : parseApiHosts(hosts), requiresHttps })
    return 'allowed'
  } catch (error) {
    return (error as Error).message
  }
}
const elsewhere = 'apiUrl is not allowed: its host must be one that is allowed here'
const notHttps = 'apiUrl is not allowed: it must be https'

t.test('without a list a session may point anywhere', async t => {
  const urls = ['https://api.example.com', 'http://10.0.0.1:8080/x', 'http://user@localhost', 'http://[::1]']
  for (const url of urls) t.equal(verdict(url, {}), 'allowed', url)
})

t.test('a host is the same however it is written', async t => {
  const allowed: Array<[hosts: string, url: string]> = [
    ['api.example.com', 'https://api.example.com/v1?a=@b#c@d'], ['API.Example.com', 'HTTPS://API.EXAMPLE.COM:443'],
    ['api.example.com', 'http://api.example.com:8080'],
    ['other.example.com, api.example.com', 'https://api.example.com'],
    ['bücher.example', 'https://xn--bcher-kva.example'],
    ['*.bücher.example', 'https://a.xn--bcher-kva.example'], ['127.0.0.1', 'http://127.0.0.1'],
    ['[::1]', 'http://[::1]:80'], ['[::1]:8080', 'http://[::1]:8080'],
    ['*.example.com', 'https://a.example.com'], ['*.example.com', 'https://a.b.c.example.com'],
    ['api.example.com:443', 'https://api.example.com'], ['api.example.com:80', 'http://api.example.com'],
    ['https://api.example.com', 'https://api.example.com:8443'],
    ['http://api.example.com:8080', 'http://api.example.com:8080/'],
    ['HTTPS://*.example.com', 'https://a.example.com']
  ]
  for (const [hosts, url] of allowed) t.equal(verdict(url, { hosts }), 'allowed', `${hosts}: ${url}`)
})

t.test('any other host is refused', async t => {
  const refused: Array<[hosts: string, url: string]> = [
    ['api.example.com', 'https://evil.example'], ['api.example.com', 'https://example.com'],
    ['api.example.com', 'https://x.api.example.com'], ['api.example.com', 'https://api.example.com.evil.example'],
    ['api.example.com', 'https://evilapi.example.com'], ['*.example.com', 'https://example.com'],
    ['*.example.com', 'https://evilexample.com'], ['*.example.com', 'https://.example.com'],
    ['api.example.com', 'https://api.example.com.'], ['*.example.com', 'https://a.example.com.'],
    ['api.example.com:8443', 'https://api.example.com'], ['api.example.com:443', 'https://api.example.com:8443'],
    ['api.example.com:443', 'http://api.example.com'], ['https://api.example.com', 'http://api.example.com'],
    ['http://api.example.com', 'https://api.example.com'],
    ['127.0.0.1', 'http://127.0.0.2'], ['127.0.0.1', 'http://[::ffff:127.0.0.1]'], ['localhost', 'http://127.0.0.1']
  ]
  for (const [hosts, url] of refused) t.equal(verdict(url, { hosts }), elsewhere, `${hosts}: ${url}`)
})

t.test('a URL that another reader could take for another host is refused, be the host allowed or not', async t => {
  const urls = [
    'https://api.example.com@evil.example', 'https://api.example.com:x@evil.example/',
    'https://evil.example@api.example.com', 'https://user:pass@api.example.com', 'https://@api.example.com',
    'https://api.example.com\\@evil.example', 'https://evil.example\\@api.example.com', 'https:\\\\api.example.com',
    'https:api.example.com', 'https:/api.example.com', 'https:///api.example.com',
    'https://api.exa\tmple.com', 'https://api.example.com\n', ' https://api.example.com',
    'https://api.example.com/a b', 'https://api.example.com/\\x', 'https://api.example.com\u0000/x',
    '\u0001https://api.example.com'
  ]
  const written: Array<[hosts: string, url: string]> = [
    ['127.0.0.1', 'http://127.1'], ['127.0.0.1', 'http://0x7f000001/'], ['10.0.0.8', 'http://10.0.0.010/'],
    ['[::1]', 'http://[0:0:0:0:0:0:0:1]/'], ['xn--bcher-kva.example', 'https://BÜCHER.example/'],
    ['api.example.com', 'https://api%2eexample.com/'], ['api.example.com', 'https://api.exam\u00ADple.com/'],
    ['api.example.com', 'https://api.example。com/'], ['fass.de', 'https://fa%73s.de']
  ]
  for (const [hosts, url] of written) t.equal(verdict(url, { hosts }), elsewhere, url)
  for (const url of urls) {
    if (URL.canParse(url)) t.equal(verdict(url, { hosts: 'api.example.com' }), elsewhere, JSON.stringify(url))
  }
})

t.test('where https is required, http needs a host that is listed with it', async t => {
  const requiresHttps = true
  t.equal(verdict('https://anywhere.example', { requiresHttps }), 'allowed')
  t.equal(verdict('http://anywhere.example', { requiresHttps }), notHttps)
  const url = 'http://api.example.com'
  t.equal(verdict(url, { requiresHttps, hosts: 'api.example.com, http://b.example.com' }), notHttps)
  t.equal(verdict(url, { requiresHttps, hosts: '*.example.com, http://api.example.com' }), 'allowed')
  t.equal(verdict('http://b.example.com', { requiresHttps, hosts: 'https://b.example.com' }), elsewhere)
})

t.test('a list with an entry that is no host is none', async t => {
  const texts = [
    '', ',', 'api.example.com,', '*', '*.', '*example.com', 'a.*.example.com', '*.*.example.com',
    'ftp://api.example.com', 'https://', 'https://api.example.com/', 'https://api.example.com/x',
    'user@api.example.com', 'api.example.com:', 'api.example.com:x', 'api.example.com:99999', 'a b', 'a\\b', '::1',
    '*.127.0.0.1', '*.[::1]', 'http://a:80:80', 'a.example.com;b.example.com?'
  ]
  for (const text of texts) t.equal(parseApiHosts(text), null, text)
})
