import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { call, failure, initSession, postTo } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { listen, serviceOn } from '../support/service.ts'
import { answer, startApi } from '../support/validation-api.ts'

const authorization = { headers: { authorization: `Bearer ${credential('jwtToken')}` } }

/** An API that accepts credentials until it is told not to. */
async function startFickleApi (t: Parameters<typeof startApi>[0]) {
  let refusal: [status: number, body: unknown] | null = null
  const api = await startApi(t, (body, response) =>
    answer(refusal?.[0] ?? 200, refusal?.[1] ?? { status: 'success' })(body, response)
  )
  return {
    ...api,
    refuse: (status: number, body: unknown) => {
      refusal = [status, body]
    }
  }
}

for (const [what, name, args, type] of [
  ['2025', 'http-2025', [], 'http'],
  ['2026', 'http-2026', ['--modern-only'], 'http'],
  ['the first HTTP transport', 'sse', [], 'sse']
] as const) {
  const upstream = await startUpstream(t, name, [...args])
  for (const status of [401, 403]) {
    t.test(
      `a server of ${what} that refuses the credentials with ${status}: the API decides whose fault it is`,
      async t => {
        const api = await startFickleApi(t)
        await upstream.control({ refuse: null })
        const service = await serviceOn(
          t,
          { up: { type, url: upstream.url, ...authorization } },
          { MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url, MCP_TOOLS_CACHE_TTL: '0' }
        )
        const known = await initSession(service)
        t.equal((await call(service, known, 'echo')).statusCode, 200)
        const fresh = await initSession(service)
        await upstream.control({ refuse: status })

        const refused = failure('MCP_UNAUTHORIZED', `MCP server up refused the credentials (HTTP ${status})`)
        const challenge = { status, scheme: 'Bearer', error: 'invalid_token' }
        const ways = [known, fresh].flatMap(id => [
          { ask: () => call(service, id, 'echo'), acted: { acted: 'no' } },
          { ask: () => postTo(service, '/tools', { session_id: id }), acted: {} }
        ])
        for (const { ask, acted } of ways) {
          const asked = api.requests.length
          const response = await ask()
          t.strictSame(
            [response.statusCode, response.json()],
            [502, { ...refused, ...acted, authorization: challenge }],
            "still good: the fault is the server's"
          )
          t.equal(api.requests.length, asked + 1, 'the API is asked once')
        }

        api.refuse(200, { status: 'error', error: 'The token was withdrawn' })
        for (const { ask, acted } of ways) {
          const asked = api.requests.length
          const response = await ask()
          t.strictSame(
            [response.statusCode, response.json()],
            [401, { ...failure('INVALID_CREDENTIALS', 'The token was withdrawn'), ...acted, authorization: challenge }]
          )
          t.equal(api.requests.length, asked + 1)
        }

        api.refuse(500, {})
        t.strictSame(
          (await call(service, known, 'echo')).json(),
          { ...refused, acted: 'no', authorization: challenge },
          'an API in trouble decides nothing'
        )
      }
    )
  }
}

t.test('where nobody validates, a server that refuses the credentials is its own fault', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const service = await serviceOn(t, { up: { url: upstream.url, ...authorization } })
  await upstream.control({ refuse: 401 })
  const response = await call(service, await initSession(service), 'echo')
  t.strictSame(
    [response.statusCode, response.json()],
    [502, {
      ...failure('MCP_UNAUTHORIZED', 'MCP server up refused the credentials (HTTP 401)', { acted: 'no' }),
      authorization: { status: 401, scheme: 'Bearer', error: 'invalid_token' }
    }]
  )
})

t.test('one server of several that refuses the credentials leaves the tools of the others', async t => {
  const api = await startFickleApi(t)
  const [one, two] = [await startUpstream(t, 'http-2025'), await startUpstream(t, 'http-2026')]
  const service = await serviceOn(
    t,
    { one: { url: one.url, ...authorization }, two: { url: two.url, ...authorization } },
    { MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url }
  )
  const id = await initSession(service)
  api.refuse(401, { error: 'The token was withdrawn' })
  await one.control({ refuse: 401 })
  const asked = api.requests.length
  const some = (await postTo(service, '/tools', { session_id: id })).json()
  t.strictSame(some.errors, { one: 'The token was withdrawn' })
  t.ok(some.tools.length > 0, 'the tools of the other are there')
  t.equal(api.requests.length, asked + 1)
})

t.test('when all servers refuse credentials that are no longer good, the caller is told so', async t => {
  const api = await startFickleApi(t)
  const [one, two] = [await startUpstream(t, 'http-2025'), await startUpstream(t, 'http-2026')]
  const service = await serviceOn(
    t,
    { one: { url: one.url, ...authorization }, two: { url: two.url, ...authorization } },
    { MCP_SKIP_VALIDATION: undefined, MCP_API_BASE_URL: api.url }
  )
  const id = await initSession(service)
  for (const upstream of [one, two]) await upstream.control({ refuse: 401 })
  const asked = api.requests.length
  t.equal((await postTo(service, '/tools', { session_id: id })).statusCode, 502)
  t.equal(api.requests.length, asked + 1, 'the API is asked once for both')
  api.refuse(401, { error: 'The token was withdrawn' })
  const response = await postTo(service, '/tools', { session_id: id })
  t.strictSame(
    [response.statusCode, response.json()],
    [401, {
      ...failure('INVALID_CREDENTIALS', 'The token was withdrawn'),
      authorization: { status: 401, scheme: 'Bearer', error: 'invalid_token' }
    }]
  )
})

t.test('a session that lacks a credential which a server needs is told which, and may use the others', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const open = await startUpstream(t, 'http-2026')
  const env = { MCP_SENSITIVE_PARAMS: 'apiUrl,jwtToken,tenantKey' }
  const needing = { url: upstream.url, headers: { 'x-api-url': credential('tenantKey') } }
  const service = await serviceOn(t, { needing, open: { url: open.url } }, env)
  const id = await initSession(service)
  const sentence =
    'MCP server needing needs the credential tenantKey, which the session does not have. Please run /init with it.'
  const { tools, errors } = (await postTo(service, '/tools', { session_id: id })).json()
  t.strictSame(errors, { needing: sentence })
  t.ok(tools.every(({ name }: { name: string }) => name.startsWith('open__')) && tools.length > 5)
  t.equal((await call(service, id, 'open__echo', { text: 'a' })).json().text, 'a')
  const refused = await call(service, id, 'needing__echo')
  t.strictSame([refused.statusCode, refused.json()], [409, failure('MISSING_CREDENTIAL', sentence, { acted: 'no' })])

  const complete = await initSession(service, { tenantKey: 'key-4711' })
  t.equal((await call(service, complete, 'needing__whoami')).json()['x-api-url'], 'key-4711')
  t.strictSame(
    (await call(service, id, 'needing__echo')).json(),
    failure('MISSING_CREDENTIAL', sentence, { acted: 'no' }),
    'also when the tool is known from another session'
  )

  const only = await serviceOn(t, { needing }, env)
  const listed = await postTo(only, '/tools', { session_id: await initSession(only) })
  t.strictSame([listed.statusCode, listed.json()], [409, failure('MISSING_CREDENTIAL', sentence)])
})

t.test('a credential that would be an option of the command starts nothing', async t => {
  const marker = join(t.testdir({}), 'started')
  const script = `require('node:fs').writeFileSync(${JSON.stringify(marker)}, '')`
  const service = await serviceOn(
    t, { up: { command: process.execPath, args: [credential('tenant')] } }, { MCP_SENSITIVE_PARAMS: 'tenant' }
  )
  for (const tenant of [`--eval=${script}`, `-e${script}`, '-']) {
    const id = await initSession(service, { tenant })
    const response = await postTo(service, '/tools', { session_id: id })
    t.strictSame([response.statusCode, response.json().code], [409, 'MCPC_ERR_MISSING_CREDENTIAL'])
    t.notMatch(response.body, /eval/)
  }
  t.notOk(existsSync(marker))
})

t.test('the start says which credentials nobody checks', async t => {
  for (const [MCP_SENSITIVE_PARAMS, line] of [
    ['apiUrl,jwtToken,tenant,unit', /"level":"warn".*"credentialNames":\["tenant","unit"\].*checks apiUrl and jwtToken only/],
    ['jwtToken', null]
  ] as const) {
    const service = await listen(t, { MCP_SENSITIVE_PARAMS })
    await service.close()
    if (line === null) t.notMatch(service.output(), /credentialNames":\[.*checks apiUrl/)
    else t.match(service.output(), line)
  }
})
