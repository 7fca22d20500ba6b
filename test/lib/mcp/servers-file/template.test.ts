/* eslint-disable no-template-curly-in-string -- placeholders of the servers file look like those of JavaScript */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import {
  literal, parseTemplate, parseUrlTemplate, type TemplateOptions
} from '../../../../lib/mcp/servers-file/template.ts'
import { makeFolder } from '../../../support/folders.ts'

const host = {
  API_KEY: 'k&y=1', HOST: 'mcp.example.com', BASE: 'https://mcp.example.com/v1', EMPTY: '', UNUSED: 'canary'
}
const options: TemplateOptions = {
  server: 'weather',
  field: 'headers.Authorization',
  sensitiveParams: ['jwtToken', 'apiUrl', 'tenant', '__proto__', 'constructor']
}
const argument = (text: string) => parseTemplate(text, host, { ...options, use: 'argument' })
const header = (text: string) => parseTemplate(text, host, { ...options, use: 'header' })
const url = (text: string) => parseUrlTemplate(text, host, { ...options, field: 'url' })

/** The sentence that a start is refused with. */
const config = (field: string, rule: string) => ({
  code: 'MCPC_ERR_CONFIG', message: `MCP_SERVERS_FILE: server "weather": ${field} ${rule}`
})
const missing = (name: string, form = '') => ({
  code: 'MCPC_ERR_MISSING_CREDENTIAL',
  statusCode: 409,
  message: `MCP server weather needs the credential ${name}, which the session does not have${form}. ` +
    'Please run /init with it.'
})

t.test('a text is filled with the session\'s credentials and the operator\'s variables', async t => {
  const template = header('Bearer ${session.jwtToken} of ${session.tenant}, ${session.jwtToken}; ${env.HOST}')
  t.strictSame(template.sessionNames, ['jwtToken', 'tenant'])
  t.equal(template.fill({ jwtToken: 'a.b.c', tenant: 'x' }), 'Bearer a.b.c of x, a.b.c; mcp.example.com')
  t.equal(
    template.fill({ jwtToken: 'd.e.f', tenant: 'y' }),
    'Bearer d.e.f of y, d.e.f; mcp.example.com',
    'each time anew'
  )
})

t.test('a text without placeholders is itself', async t => {
  for (const text of ['', 'plain', '$', '$HOME', 'a$b$', '{session.jwtToken}', '$ {env.HOST}', '}']) {
    t.strictSame([argument(text).sessionNames, argument(text).fill({})], [[], text])
  }
})

t.test('a ${ that is meant as it is is written $${', async t => {
  t.equal(argument('$${session.jwtToken} $${HOME} $$${').fill({}), '${session.jwtToken} ${HOME} $${')
  t.equal(literal('${HOME}').fill({}), '${HOME}', 'and what no operator wrote needs no escape')
})

t.test('what is filled in is not read again', async t => {
  t.equal(
    argument('${session.tenant}').fill({ tenant: '${session.jwtToken}', jwtToken: 'canary' }),
    '${session.jwtToken}'
  )
  t.equal(parseTemplate('${env.A}', { A: '${env.B}', B: 'canary' }, options).fill({}), '${env.B}')
})

t.test('numbers and booleans are taken as their text', async t => {
  t.equal(argument('${session.tenant}').fill({ tenant: 12 }), '12')
  t.equal(argument('${session.tenant}').fill({ tenant: false }), 'false')
})

t.test('a credential that the session lacks is named', async t => {
  const template = argument('${session.tenant}')
  t.throws(() => template.fill({}), missing('tenant'))
  t.throws(() => template.fill({ tenant: null }), missing('tenant'))
  t.throws(() => template.fill({ tenant: { canary: 1 } }), missing('tenant', ' as text'))
  t.throws(() => template.fill({ tenant: ['canary'] }), missing('tenant', ' as text'))
})

t.test('what every object has is no credential', async t => {
  for (const name of ['__proto__', 'constructor']) {
    t.throws(() => argument(`\${session.${name}}`).fill({}), missing(name))
  }
  t.equal(argument('${session.__proto__}').fill(JSON.parse('{"__proto__":"mine"}')), 'mine')
})

t.test('a credential with characters that cannot be there is named and not shown', async t => {
  const unusable = missing('tenant', ' in a form that can be used there')
  for (const tenant of ['canary\r\nX-Admin: 1', 'canary\n', 'canary\0', 'canary\x7f', 'canary\u2028', 'canary€']) {
    t.throws(() => header('${session.tenant}').fill({ tenant }), unusable, encodeURIComponent(tenant))
  }
  t.throws(() => argument('--tenant=${session.tenant}').fill({ tenant: 'canary\0' }), unusable)
  t.throws(() => url('https://mcp.example.com/?t=${session.tenant}').fill({ tenant: 'canary\ud800' }), unusable)
})

t.test('a credential does not become an option of a command', async t => {
  const unusable = missing('tenant', ' in a form that can be used there')
  for (const tenant of ['-e', '--config=canary', '-', '--', -5]) {
    t.throws(() => argument('${session.tenant}').fill({ tenant }), unusable, String(tenant))
    t.throws(() => argument('${session.tenant}/${env.API_KEY}').fill({ tenant }), unusable)
    t.equal(argument('--tenant=${session.tenant}').fill({ tenant }), `--tenant=${tenant}`)
    t.equal(argument('/${session.tenant}').fill({ tenant }), `/${tenant}`)
    t.equal(parseTemplate('${session.tenant}', host, options).fill({ tenant }), String(tenant), 'a variable may have it')
  }
  t.throws(() => argument('${session.tenant}${session.apiUrl}').fill({ tenant: '', apiUrl: '-e' }), unusable)
  t.equal(argument('-v').fill({}), '-v', 'the operator may')
  t.equal(argument('${session.tenant}').fill({ tenant: 'a-e' }), 'a-e')
})

t.test('what can be there is', async t => {
  t.equal(header('${session.tenant}').fill({ tenant: 'Zürich\t1' }), 'Zürich\t1')
  t.equal(argument('${session.tenant}').fill({ tenant: '東京\r\n🙂' }), '東京\r\n🙂')
  t.equal(
    url('https://mcp.example.com/?t=${session.tenant}').fill({ tenant: 'a b&c=d#e/\r\n🙂' }),
    'https://mcp.example.com/?t=a%20b%26c%3Dd%23e%2F%0D%0A%F0%9F%99%82'
  )
})

t.test('a text that cannot be in a header, or in a process, is refused when it is read', async t => {
  t.throws(
    () => header('canary\n'),
    config('headers.Authorization', 'must not hold characters that cannot be sent in a header')
  )
  t.throws(
    () => parseTemplate('${env.TOKEN}', { TOKEN: 'canary\n' }, { ...options, use: 'header' }),
    config('headers.Authorization', 'must not hold characters that cannot be sent in a header')
  )
  t.throws(() => argument('canary\0'), config('headers.Authorization', 'must not hold a NUL character'))
})

t.test('a variable that is not set, or empty, is named', async t => {
  for (const name of ['NOWHERE', 'EMPTY']) {
    t.throws(
      () => header(`canary \${env.${name}}`),
      config('headers.Authorization', `needs the variable ${name}, which is not set`)
    )
  }
})

t.test('a variable that is not set may be in a file, and is masked like any other', async t => {
  const file = join(await makeFolder(t), 'token')
  writeFileSync(file, 'canary&1\n')
  const parse = (text: string, host: Record<string, string>) => parseTemplate(text, host, options)
  for (const TOKEN of [{}, { TOKEN: '' }]) {
    const template = parse('Bearer ${env.TOKEN}', { ...TOKEN, TOKEN_FILE: file })
    t.equal(template.fill({}), 'Bearer canary&1')
    t.ok(template.operatorValues().includes('canary&1'))
  }
  t.equal(parse('${env.TOKEN}', { TOKEN: 'set', TOKEN_FILE: file }).fill({}), 'set', 'a variable that is set counts')
  t.equal(parse('${env.TOKEN}', { TOKEN: 'set', TOKEN_FILE: '/nowhere' }).fill({}), 'set', 'whatever its file is')
  t.equal(parse('${env.TOKEN_FILE}', { TOKEN_FILE: file }).fill({}), file, 'the path is a variable, too')

  const address = parseUrlTemplate('https://h/${env.TOKEN}/mcp?key=${env.TOKEN}', { TOKEN_FILE: file }, options)
  t.equal(address.fill({}), 'https://h/canary&1/mcp?key=canary%261')
  for (const value of ['canary&1', 'canary%261']) t.ok(address.operatorValues().includes(value), 'wherever it is in a url')

  const before = parse('${env.TOKEN}', { TOKEN_FILE: file })
  writeFileSync(file, 'another')
  t.equal(before.fill({}), 'canary&1')
  t.equal(parse('${env.TOKEN}', { TOKEN_FILE: file }).fill({}), 'another', 'the file is read with the servers file')
})

t.test('a file of a variable that holds no value is named with the variable', async t => {
  const folder = await makeFolder(t)
  for (const [content, reason] of [['', 'is empty'], ['canary\0', 'holds a NUL character'], [null, 'does not exist']]) {
    const file = join(folder, `token-${reason}`)
    if (content !== null) writeFileSync(file, content ?? '')
    t.throws(() => parseTemplate('${env.TOKEN}', { TOKEN_FILE: file }, options), config(
      'headers.Authorization',
      `needs the variable TOKEN, and TOKEN_FILE must be a text file that holds the value, but "${file}" ${reason}`
    ))
  }
})

t.test('a field of the session that is no credential cannot be used', async t => {
  t.throws(
    () => header('${session.question}'),
    config('headers.Authorization', 'needs the credential question, which is not among MCP_SENSITIVE_PARAMS')
  )
})

t.test('in a url credentials are values of the query', async t => {
  const template = url(
    'https://mcp.example.com/mcp?a=1&token=${session.jwtToken}&who=u-${session.tenant}-${session.tenant}'
  )
  t.equal(
    template.fill({ jwtToken: 'a.b+c', tenant: 'ü' }),
    'https://mcp.example.com/mcp?a=1&token=a.b%2Bc&who=u-%C3%BC-%C3%BC'
  )
})

t.test('anywhere else in a url a credential is refused', async t => {
  const rule = 'may hold ${session.apiUrl} only as a value of its query, behind ? and ='
  for (const text of [
    '${session.apiUrl}', 'https://${session.apiUrl}/mcp', 'https://mcp.example.com/${session.apiUrl}/mcp',
    'https://mcp.example.com/mcp?${session.apiUrl}', 'https://mcp.example.com/mcp?${session.apiUrl}=1',
    'https://mcp.example.com/mcp?a=1&${session.apiUrl}', 'https://mcp.example.com/mcp?a=1#b=${session.apiUrl}',
    'https://mcp.example.com/a=${session.apiUrl}', 'https://mcp.example.com/#?a=${session.apiUrl}',
    'https://user:${session.apiUrl}@mcp.example.com/?a=1'
  ]) {
    t.throws(() => url(text), config('url', rule), text)
  }
})

t.test('a variable may be any part of a url, and is encoded where it is a value of the query', async t => {
  t.equal(
    url('https://${env.HOST}/mcp?key=${env.API_KEY}&t=${session.tenant}').fill({ tenant: 'x' }),
    'https://mcp.example.com/mcp?key=k%26y%3D1&t=x'
  )
  t.equal(url('${env.BASE}/mcp').fill({}), 'https://mcp.example.com/v1/mcp')
})

t.test('where a value of the query is, is seen with the variables filled in', async t => {
  const parse = (text: string, URL: string) => parseUrlTemplate(text, { URL }, { ...options, field: 'url' })
  const template = parse('${env.URL}&t=${session.tenant}', 'https://mcp.example.com/?a=1')
  t.equal(template.fill({ tenant: 'x' }), 'https://mcp.example.com/?a=1&t=x')
  t.throws(() => parse('${env.URL}?t=${session.tenant}', 'https://mcp.example.com/#canary'), {
    code: 'MCPC_ERR_CONFIG'
  })
})

t.test('a template that ends up in a log tells nothing', async t => {
  const template = header('Bearer canary ${env.API_KEY} ${session.jwtToken}')
  for (const text of [JSON.stringify(template), inspect(template, { depth: 5 }), String(template)]) {
    t.notMatch(text, /canary|k&y/)
  }
})
