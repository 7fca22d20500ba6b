import t from 'tap'
import { operatorSecrets } from '../../../../lib/mcp/servers-file/operator-secrets.ts'
import { literal } from '../../../../lib/mcp/servers-file/template.ts'
import { cases } from '../../../support/cases.ts'

const literals = (texts: Record<string, string>) =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, literal(text)]))

const ofProcess = (args: string[], env: Record<string, string> = {}) =>
  operatorSecrets({ args: args.map(literal), env: literals(env) })
const ofUrl = (url: string, headers: Record<string, string> = {}) =>
  operatorSecrets({ url: literal(url), headers: literals(headers) })

const secret = 'Se/cr+et.1234='

t.test('arguments that sound secret are the operator\'s secrets', async t => {
  for (const args of cases([
    [`--api-key=${secret}`], ['--api-key', secret], ['-token', secret], [`--token=${secret}`], [`--API_KEY=${secret}`],
    ['--password', secret], ['--client-secret', secret], ['--auth', `Bearer ${secret}`], [`api_key=${secret}`],
    ['run', '-e', `GITHUB_TOKEN=${secret}`, 'image'], ['--env=API_TOKEN='.concat(secret)],
    ['mcp-remote', 'https://up.example/sse', '--header', `Authorization: Bearer ${secret}`],
    ['--header', `Authorization:${secret}`], ['--header=X-Api-Key: '.concat(secret)],
    ['-c', `FOO=1 SERVICE_KEY='${secret}' exec node server.js`], ['-c', `npx server --api-key ${secret} --verbose`],
    ['-c', `npx server --api-key "${secret}"`], ['--config', `{"apiKey":"${secret}"}`],
    ['--config', `{ "auth" : { "accessToken" : "${secret}" } }`], [`https://up.example/mcp?api_key=${secret}&x=1`],
    ['postgres://reader:'.concat(encodeURIComponent(secret), '@db.example/main')]
  ], 2)) t.ok(ofProcess(args).includes(secret), args.join(' '))
})

t.test('so are words of the form that well-known keys have, and passwords in addresses, wherever they are', async t => {
  for (const text of [
    ['sk', 'proj', 'abcdefghijklmnop0123456789'].join('-'), 'ghp_abcdefghijklmnop0123456789', 'xoxb-1234567890-abcdefghij',
    'AIzaSyA-1234567890abcdef', 'AKIAIOSFODNN7EXAMPLE', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln'
  ]) {
    t.ok(ofProcess([text]).includes(text), text)
    t.ok(ofProcess([], { SETTING: `[${text}]` }).includes(text), text)
  }
  t.ok(ofProcess([], { DATABASE_URL: 'mysql://me:longpassword@db' }).includes('longpassword'))
  t.ok(ofProcess([], { OPENAPI_MCP_HEADERS: '{"Authorization": "Bearer abcdefgh"}' }).includes('abcdefgh'))
})

t.test('variables that sound secret, headers and queries are secrets', async t => {
  t.strictSame(ofProcess([], { API_TOKEN: 'a token of words', LANG: 'de_DE.UTF-8' }), ['a token of words', 'token of words'])
  t.ok(ofUrl('https://up.example/mcp?k=12345678').includes('12345678'))
  t.ok(ofUrl('https://up.example/mcp', { 'x-any': 'Bearer 12345678' }).includes('12345678'))
})

t.test('plain words are none', async t => {
  for (const args of [
    ['--verbose', 'something'], ['-y', '@scope/server-everything'], ['--key-file', '/etc/ssl/service.pem'],
    ['--token-dir=/var/lib/tokens'], ['--no-auth', 'server.js-main'], ['--auth', '--verbose-mode'], ['--token=short'],
    ['https://up.example/mcp?x=1'], ['http://localhost:8080/key'], ['/srv/keyboard/server.py']
  ]) t.strictSame(ofProcess(args), [], args.join(' '))
})
