import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { initSession } from '../support/requests.ts'
import { listen } from '../support/service.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { credential, serversFile } from '../support/servers-file.ts'
import { startValuesServers, taking } from '../support/values-servers.ts'

const given = { status: 'success', rows: [1], title: 'given', n: 1 }
const output = { type: 'object', properties: { rows: {}, title: {} } }

t.test('an entry that says nothing keeps nothing, fills nothing, and gets no credential', async t => {
  const { app, received, post } = await startValuesServers(t, {
    plain: { tools: [taking('make', ['title'], { gives: given }), taking('use', ['title', 'rows', 'jwtToken2'])] }
  })
  const session = await initSession(app, { rows: 'of /init' })
  t.strictSame(await received(session, 'make', { title: 'sent' }), { title: 'sent' })
  t.strictSame(await received(session, 'use'), {})
  const { headers } = await post(session, 'use')
  t.equal(headers['x-mcp-injected'], undefined)
  const described = await app.inject({ url: '/session', headers: { 'x-session-id': session } })
  t.match(described.json().values, [{ name: 'rows', server: 'caller', as: 'init' }])
})

t.test('MCP_VALUES=chain is what entries mean that say nothing', async t => {
  const { app, received, post } = await startValuesServers(t, {
    plain: { tools: [taking('make', [], { gives: given }), taking('use', ['title', 'rows'])] }
  }, { MCP_VALUES: 'chain' })
  const session = await initSession(app, { rows: 'of /init' })
  t.strictSame(await received(session, 'use'), { rows: 'of /init' })
  await post(session, 'make')
  t.strictSame(await received(session, 'use'), { title: 'given', rows: [1] })
})

t.test('three tools of two servers with a parameter of one name: no value crosses without a word', async t => {
  const both = { keep: 'both', fill: 'declared' }
  const tools = [taking('make', ['title'], { gives: { title: 'made' } }), taking('use', ['title'])]
  const { app, received } = await startValuesServers(t, {
    a: { entry: { values: 'chain' }, tools },
    b: { entry: { values: both }, tools },
    c: { entry: { values: { ...both, from: ['a', 'c', 'caller'] } }, tools }
  })
  const session = await initSession(app)
  await received(session, 'a__use', { title: 'of a' })
  t.strictSame(await received(session, 'b__use'), {})
  t.strictSame(await received(session, 'c__use'), { title: 'of a' }, 'c says that it takes values of a')
  await received(session, 'b__make')
  t.strictSame(await received(session, 'a__use'), { title: 'of a' })
  t.strictSame(await received(session, 'b__use'), { title: 'made' })
  await received(session, 'c__use', { title: 'of c' })
  t.strictSame(await received(session, 'c__use'), { title: 'of c' }, 'the latest counts')
  t.strictSame(await received(session, 'a__use'), { title: 'of a' })
})

t.test('what is kept, and what is filled, is said for a server and for a tool', async t => {
  const wants = { type: 'object', properties: { title: {}, rows: {} }, required: ['rows'] }
  const tools = [
    taking('make', ['title'], { gives: given }), taking('secret', ['title'], { gives: { rows: 'secret' } }),
    taking('use', ['title', 'rows', 'n']), { name: 'must', inputSchema: wants }
  ]
  const { app, received } = await startValuesServers(t, {
    results: {
      entry: { values: { keep: 'results', fill: 'declared' }, tools: { secret: { keep: 'neither' }, must: { fill: 'required' } } },
      tools
    },
    parameters: { entry: { values: { keep: 'parameters', fill: 'declared' } }, tools }
  })
  const session = await initSession(app)
  for (const server of ['results', 'parameters']) await received(session, `${server}__make`, { title: 'sent' })
  t.strictSame(await received(session, 'results__use'), { title: 'given', rows: [1], n: 1 })
  await received(session, 'results__secret')
  t.strictSame(await received(session, 'results__must'), { rows: [1] })
  t.strictSame(await received(session, 'parameters__use'), { title: 'sent' })
})

t.test('a caller may have nothing filled in, or only some', async t => {
  const { app, received, post } = await startValuesServers(t, {
    one: { entry: { values: 'chain' }, tools: [taking('use', ['a', 'b', 'jwtToken'])] }
  })
  const session = await initSession(app, { a: 1, b: 2 })
  t.strictSame(await received(session, 'use'), { a: 1, b: 2, jwtToken })
  t.strictSame(await received(session, 'use', {}, { inject: false }), { jwtToken }, 'credentials are sent in any case')
  t.strictSame(await received(session, 'use', {}, { inject: [] }), { jwtToken })
  t.strictSame(await received(session, 'use', {}, { inject: ['b', 'x'] }), { b: 2, jwtToken })
  t.strictSame(await received(session, 'use', { a: null }, { inject: true }), { a: null, b: 2, jwtToken })
  for (const inject of ['a', 1, [1], { a: true }]) {
    const response = await post(session, 'use', {}, { inject })
    t.equal(response.statusCode, 400)
    t.match(response.json(), { code: 'MCPC_ERR_INVALID_FIELD', error: /^inject/ })
  }
})

t.test('an answer names what was filled in, also when the call fails', async t => {
  const names = Array.from({ length: 300 }, (_, index) => `name ${index}`)
  const { app, post } = await startValuesServers(t, {
    one: {
      entry: { values: 'chain' },
      tools: [taking('use', ['a', 'é', 'jwtToken']), taking('many', names), taking('fails', ['a'], { fails: true }),
        taking('breaks', ['a'], { breaks: true })]
    }
  })
  const session = await initSession(app, { a: 1, é: 2, ...Object.fromEntries(names.map(name => [name, 0])) })
  const injected = async (tool: string, params = {}) => (await post(session, tool, params)).headers['x-mcp-injected']
  t.equal(await injected('use'), 'a, %C3%A9')
  t.equal(await injected('use', { a: 1, é: 1 }), undefined)
  t.equal(await injected('fails'), 'a')
  t.equal(await injected('breaks'), 'a')
  t.equal((await post(session, 'breaks')).statusCode, 502)
  const many = String(await injected('many'))
  t.ok(many.length <= 1_024)
  const [list = '', more] = many.split(';more=')
  t.equal(list.split(', ').length + Number(more), 300)
  const events = await app.inject({
    method: 'POST', url: '/call-tool', payload: { session_id: session, tool: 'use' }, headers: { accept: 'text/event-stream' }
  })
  t.match(events.body, /\n\nx-mcp-injected: a, %C3%A9\nx-mcp-result: json\nevent: result\ndata: \{\}\n\n$/)
})

t.test('a dry run says what would be sent, calls nothing, and shows no value', async t => {
  const { app, post, upstream } = await startValuesServers(t, {
    one: {
      entry: { values: 'chain', tools: { use: { arguments: { region: 'eu-secret' } } } },
      tools: [taking('make', [], { gives: given }), taking('use', ['title', 'rows', 'jwtToken', 'region', 'own'])]
    }
  })
  const session = await initSession(app, { title: 'a secret title' })
  await post(session, 'make')
  const calls = async () => (await upstream.stats()).methods['tools/call']
  const before = await calls()
  const response = await post(session, 'use', { own: 12, jwtToken: 'mine', region: 'mine' }, { dry_run: true })
  t.equal(response.statusCode, 200)
  t.match(response.json(), {
    status: 'dry_run',
    tool: 'use',
    arguments: { own: 12 },
    filled: [
      { name: 'title', source: { server: 'one', tool: 'make', as: 'result', at: String }, type: 'string', bytes: 7 },
      { name: 'rows', source: { server: 'one', tool: 'make', as: 'result' }, type: 'array', bytes: 3 }
    ],
    hidden: 2
  })
  t.strictSame(Object.keys(response.json().arguments), ['own'])
  for (const secret of [jwtToken, apiUrl, 'eu-secret', 'given']) t.notOk(response.body.includes(secret), secret)
  t.equal(await calls(), before)
  const refused = await app.inject({
    method: 'POST', url: '/call-tool', payload: { session_id: session, continue: 'token', dry_run: true }
  })
  t.match(refused.json(), { code: 'MCPC_ERR_INVALID_FIELD', error: /^dry_run/ })
})

t.test('an argument of the operator is hidden, and nobody sends another one', async t => {
  const inputSchema = {
    type: 'object',
    allOf: [{ $ref: '#/$defs/scope' }],
    properties: { q: {}, inner: { properties: { tenant: {} } } },
    required: ['q', 'tenant'],
    $defs: { scope: { properties: { tenant: {}, region: {}, who: {}, token: {} }, required: ['region'] } }
  }
  const { app, received, post, edit } = await startValuesServers(t, {
    notes: { entry: { values: { keep: 'results' } }, tools: [taking('open', ['id'], { gives: { note: { id: [7, 8] } } })] },
    search: {
      entry: {
        tools: {
          find: {
            arguments: {
              tenant: { value: 'tenant', from: 'caller' },
              region: { constant: { size: 0 } },
              who: `user of ${credential('apiUrl')}`,
              token: credential('jwtToken'),
              note: { value: 'note', from: 'notes', pointer: '/id/1', optional: true }
            }
          }
        }
      },
      tools: [{ name: 'find', inputSchema }]
    }
  })
  await edit(text => text.replace('"size":0', '"size": 12345678901234567890'))
  const session = await initSession(app, { tenant: 'north' })
  const listed = await app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })
  const { tools } = listed.json<{ tools: Array<{ name: string, inputSchema: unknown }> }>()
  const shown = JSON.stringify(tools.find(({ name }) => name === 'search__find')?.inputSchema)
  t.equal(shown.match(/tenant/g)?.length, 1, 'only the property of the value within')
  for (const name of ['region', 'who', 'token"']) t.notOk(shown.includes(name), name)

  const mine = { q: 1, tenant: 'south', region: 'us', who: 'me', token: 'mine', note: 'mine' }
  const response = await post(session, 'search__find', mine, { result: 'mcp' })
  t.match(response.body, /"size":\s*12345678901234567/)
  t.strictSame(response.json()._meta.received, {
    q: 1, tenant: 'north', region: { size: Number('12345678901234567890') }, who: `user of ${apiUrl}`, token: jwtToken
  })
  await post(session, 'notes__open')
  t.equal((await received(session, 'search__find', mine)).note, 8)

  const other = await initSession(app)
  const missing = await post(other, 'search__find', mine)
  t.equal(missing.statusCode, 409)
  t.match(missing.json(), { code: 'MCPC_ERR_MISSING_VALUE', error: /tenant of caller/, acted: 'no' })
})

t.test('a tool that declares a credential that its server may not have is left out and refused', async t => {
  const { app, post, received } = await startValuesServers(t, {
    none: { tools: [taking('needs', ['q', 'jwtToken']), taking('free', ['q'])] },
    some: { entry: { credentials: ['jwtToken'] }, tools: [taking('needs', ['jwtToken']), taking('more', ['apiUrl'])] },
    placed: { entry: { headers: { 'x-token': credential('jwtToken') } }, tools: [taking('needs', ['jwtToken'])] }
  })
  const session = await initSession(app)
  const listed = (await app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })).json()
  t.strictSame(listed.tools.map(({ name }: { name: string }) => name), ['none__free', 'some__needs', 'placed__needs'])
  t.match(listed.warnings, { none: [/needs the credential jwtToken/], some: [/needs the credential apiUrl/] })
  const refused = await post(session, 'none__needs', { jwtToken: 'mine' })
  t.equal(refused.statusCode, 409)
  t.match(refused.json(), { code: 'MCPC_ERR_MISSING_CREDENTIAL', acted: 'no', error: /credential jwtToken/ })
  t.strictSame(await received(session, 'some__needs'), { jwtToken })
  t.strictSame(await received(session, 'placed__needs'), { jwtToken })
})

t.test('an argument that does not fit is not kept when the call fails', async t => {
  const inputSchema = { type: 'object', properties: { limit: { type: 'integer' }, page: { type: 'integer' } } }
  const { app, received, post } = await startValuesServers(t, {
    one: {
      entry: { values: 'chain' },
      tools: [{ name: 'takes', inputSchema }, { name: 'fails', inputSchema, fails: true }]
    }
  })
  const session = await initSession(app)
  await received(session, 'takes', { limit: 5 })
  await post(session, 'fails', { limit: 'x', page: 2 })
  t.strictSame(await received(session, 'takes'), { limit: 5, page: 2 }, 'what fits is kept, as ever')
  await received(session, 'takes', { limit: '7' })
  t.strictSame(await received(session, 'takes'), { limit: '7', page: 2 }, 'what the tool took is kept')
})

t.test('arguments are checked as the entry says, before its server is called', async t => {
  const inputSchema = {
    type: 'object',
    // A caller cannot mend a credential that does not fit.
    properties: { limit: { type: 'integer' }, jwtToken: { type: 'integer' } },
    required: ['limit', 'jwtToken', 'tenant']
  }
  const mail = { type: 'object', properties: { mail: { type: 'string', format: 'email' } } }
  const tools = [{ name: 'use', inputSchema }, { name: 'mail', inputSchema: mail }]
  const tenant = { value: 'tenant', from: 'caller', optional: true }
  const fields = { credentials: ['jwtToken'], tools: { use: { arguments: { tenant } } } }
  const { app, post, upstream } = await startValuesServers(t, {
    warns: { entry: fields, tools },
    checks: { entry: { validateArguments: 'on', ...fields }, tools },
    off: { entry: { validateArguments: 'off', ...fields }, tools }
  })
  const session = await initSession(app)
  const calls = async () => (await upstream.stats()).methods['tools/call'] ?? 0
  for (const [tool, status, faults] of [
    ['warns__use', 200, '%2Flimit'], ['off__use', 200, undefined], ['checks__use', 422, undefined]
  ] as const) {
    const before = await calls()
    const response = await post(session, tool, { limit: 'a secret' })
    t.equal(response.statusCode, status, tool)
    t.equal(response.headers['x-mcp-unfit-arguments'], faults, tool)
    t.equal(await calls(), before + (status === 200 ? 1 : 0), tool)
    t.notOk(response.body.includes('a secret'), tool)
    if (status !== 422) continue
    t.match(response.json(), {
      code: 'MCPC_ERR_TOOL_ARGUMENTS', acted: 'no', arguments: [{ pointer: '/limit', message: 'must be integer' }]
    })
  }
  const missing = await post(session, 'checks__use')
  t.match(missing.json(), { arguments: [{ pointer: '/limit' }] }, 'a missing one is named')
  t.notMatch(missing.body, /tenant|jwtToken/, 'but for one that callers do not see')
  t.equal((await post(session, 'checks__use', { limit: 1 })).statusCode, 200)
  const format = await post(session, 'checks__mail', { mail: 'nobody' })
  t.equal(format.statusCode, 200, 'a format only warns')
  t.equal(format.headers['x-mcp-unfit-arguments'], '%2Fmail')
  t.match((await post(session, 'warns__use', { limit: 'x' }, { dry_run: true })).json(), { faults: [{ pointer: '/limit' }] })
})

t.test('MCP_VALIDATE_ARGUMENTS holds where an entry says nothing', async t => {
  const inputSchema = { type: 'object', properties: { limit: { type: 'integer' } } }
  const { app, post } = await startValuesServers(t, { one: { tools: [{ name: 'use', inputSchema }] } }, {
    MCP_VALIDATE_ARGUMENTS: 'on'
  })
  t.equal((await post(await initSession(app), 'use', { limit: 'x' })).statusCode, 422)
})

t.test('the form of a reply is what the entry says, or the call', async t => {
  const data = '{"status":"success","path":"/b","intermediate":{"a":1},"n":12345678901234567890}'
  const tools = [taking('use', [], { gives: JSON.parse(data) as Record<string, unknown> })]
  const { app, post } = await startValuesServers(t, {
    chain: { entry: { values: 'chain' }, tools },
    plain: { tools },
    whole: { entry: { result: 'mcp' }, tools }
  })
  const session = await initSession(app)
  const forms = async (tool: string, result?: string) => {
    const { body, headers } = await post(session, tool, {}, result === undefined ? {} : { result })
    return [headers['x-mcp-result'], Object.keys(JSON.parse(body) as object).join()]
  }
  t.strictSame(await forms('chain__use'), ['json', 'status,path,n'])
  t.strictSame(await forms('plain__use'), ['structured', 'status,path,intermediate,n'])
  t.strictSame(await forms('plain__use', 'json'), ['json', 'status,path,intermediate,n'])
  t.strictSame(await forms('whole__use'), ['mcp', 'content,structuredContent,isError,_meta'])
  t.strictSame(await forms('whole__use', 'default'), ['structured', 'status,path,intermediate,n'])
  t.equal((await forms('chain__use', 'mcp'))[0], 'mcp;left-out="intermediate"')
  const refused = await post(session, 'plain__use', {}, { result: 'xml' })
  t.match(refused.json(), { code: 'MCPC_ERR_INVALID_FIELD', error: /^result must be/ })
})

t.test('lists mark what the session fills, the same for all sessions', async t => {
  const use = { name: 'use', inputSchema: { type: 'object', properties: { rows: {}, q: {} }, required: ['rows', 'q'] } }
  const make = taking('make', [], { gives: given, outputSchema: output })
  const { app } = await startValuesServers(t, {
    chain: { entry: { values: 'chain' }, tools: [make, use] },
    named: { entry: { values: { fill: 'declared' }, tools: { use: { filled: ['q'] } } }, tools: [use] },
    plain: { tools: [make, use] }
  })
  const session = await initSession(app, { q: 'of /init' })
  const listed = (await app.inject({ method: 'POST', url: '/tools', payload: { session_id: session } })).json()
  const schemas = Object.fromEntries(listed.tools.map(({ name, inputSchema }: { name: string, inputSchema: object }) =>
    [name, inputSchema]))
  t.strictSame(schemas.chain__use, { type: 'object', properties: { rows: { 'x-mcp-filled': true }, q: {} }, required: ['q'] })
  t.strictSame(schemas.named__use, { type: 'object', properties: { rows: {}, q: { 'x-mcp-filled': true } }, required: ['rows'] })
  t.strictSame(schemas.plain__use, use.inputSchema)
})

t.test('the log says what holds for each server, and what to add, once', async t => {
  const upstream = await startUpstream(t, 'values')
  await upstream.control({ tools: { one: [taking('needs', ['jwtToken'])] } })
  const entry = {
    url: `${upstream.url}?server=one`, values: { keep: 'results' }, tools: { nees: { arguments: { a: 'a secret' } } }
  }
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, { one: entry }), MCP_VALUES: undefined })
  for (let time = 0; time < 3; time++) await fetch(`${service.url}/tools-schema`)
  const lines = service.output().split('\n').filter(line => line.includes('"server":"one"'))
    .map(line => JSON.parse(line) as Record<string, unknown>)
  t.match(lines.find(({ values }) => values !== undefined), {
    values: 'custom', keep: 'results', fill: 'none', credentialNames: [], tools: { nees: { arguments: ['a'] } }
  })
  t.match(lines.filter(({ add }) => add !== undefined), [{ tool: 'needs', add: '"credentials": ["jwtToken"]' }])
  t.equal(lines.filter(({ add }) => add !== undefined).length, 1)
  t.equal(lines.filter(({ tool }) => tool === 'nees').length, 1)
  t.notMatch(service.output(), 'a secret')
})
