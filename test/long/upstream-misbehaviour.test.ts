import t from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { freePort } from '../support/ports.ts'
import { call, failure, initSession, postTo } from '../support/requests.ts'
import { credential } from '../support/servers-file.ts'
import { serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const canary = 'canary-header.canary-payload-4711.canary-signature'
const secret = { headers: { authorization: `Bearer ${credential('jwtToken')}` } }
const withSecret = (url: string) => ({ url: `${url}?token=${credential('jwtToken')}`, ...secret })

const broken = (tool: string, sentence: string) =>
  failure('MCP_CALL', `MCP server up ${sentence.replace('…', `tool ${tool}`)}`, { acted: 'unknown' })

/** What a server may do instead of answering a call, and what its caller is told. */
const misbehaviours: Array<[mode: string, sentence: string]> = [
  ['sse-ends', 'broke off …: its answer broke off'],
  ['sse-cut', 'broke off …: its answer broke off'],
  ['cut', 'broke off …: its answer broke off'],
  ['reset', 'did not answer …: other side closed'],
  ['invalid-json', 'broke off …: what came is no answer to it: {"jsonrpc":"2.0",'],
  ['invalid-message', 'broke off …: what came is no answer to it: {"hello":"world"}'],
  ['html', 'broke off …: it answered with text/html: Sign in'],
  ['empty', 'broke off …: it answered HTTP 202 with an empty body'],
  ['500', 'answered …: HTTP 500: status 500 from upstream'],
  ['503', 'answered …: HTTP 503: status 503 from upstream'],
  ['huge', 'broke off …: a message is longer than 1000000 bytes (MCP_MAX_RESULT_BYTES)'],
  ['huge-sse', 'broke off …: a message is longer than 1000000 bytes (MCP_MAX_RESULT_BYTES)']
]

/** Answers that are odd and can be used. */
const oddAnswers = ['null-error', 'wrong-id', 'wrong-type', 'sse', 'sse-resumable', 'redirect-same-origin']

for (const era of ['2025', '2026']) {
  t.test(`a server of ${era} that misbehaves is reported in a sentence, and asked once`, async t => {
    const upstream = await startUpstream(t, 'raw-http', [`--era=${era}`])
    const service = await serviceOn(t, { up: withSecret(upstream.url) }, { MCP_MAX_RESULT_BYTES: '1000000' })
    const id = await initSession(service, { jwtToken: canary })
    t.strictSame((await call(service, id, 'echo', { text: 'well' })).json(), {
      status: 'success',
      text: 'well',
      jwtToken: canary
    })

    for (const [mode, sentence] of misbehaviours) {
      await upstream.control({ mode })
      const { requests } = await upstream.stats()
      const response = await call(service, id, 'echo')
      t.equal(response.statusCode, 502, mode)
      t.strictSame(response.json(), broken('echo', sentence), mode)
      t.equal((await upstream.stats()).requests, requests + 1, `${mode}: one request`)
      // A session of the older era that a 500 may be about is not gone on with.
      await upstream.control({ mode: null })
      if (mode === '500') t.equal((await call(service, id, 'echo')).statusCode, 200)
    }

    // Only this call may be ended by its time: on a slow machine an answer that comes takes long, too.
    const hasty = await serviceOn(t, { up: { ...withSecret(upstream.url), timeouts: { call: 1 } } })
    await upstream.control({ mode: 'never' })
    const { calls, methods } = await upstream.stats()
    const late = await call(hasty, await initSession(hasty, { jwtToken: canary }), 'echo')
    t.equal(late.statusCode, 504)
    t.strictSame(late.json(), failure('MCP_TIMEOUT', 'MCP server up did not answer tool echo in time (1 s)', { acted: 'unknown' }))
    await hasty.deferredSettled()
    await until(
      async () => ((await upstream.stats()) as { left?: number }).left === 1,
      'the server is not waited for any more'
    )
    t.equal((await upstream.stats()).methods['tools/call'], (methods['tools/call'] ?? 0) + 1)
    t.strictSame((await upstream.stats()).calls, calls)

    for (const mode of oddAnswers) {
      await upstream.control({ mode })
      const { requests } = await upstream.stats()
      t.strictSame(
        (await call(service, id, 'echo', { text: mode })).json(), { status: 'success', text: mode, jwtToken: canary }, mode
      )
      const more = mode === 'sse-resumable' || mode === 'redirect-same-origin' ? 2 : 1
      t.equal((await upstream.stats()).requests, requests + more, `${mode}: ${more} requests`)
    }
    await upstream.control({ mode: null })
    t.strictSame(
      (await call(service, id, 'echo', { text: 'well' })).json(),
      { status: 'success', text: 'well', jwtToken: canary },
      'and goes on when it is well'
    )
  })

  t.test(`a server of ${era} that misbehaves from the start is reported in a sentence`, async t => {
    const upstream = await startUpstream(t, 'raw-http', [`--era=${era}`, '--on=*'])
    const service = await serviceOn(t, { up: withSecret(upstream.url) })
    const id = await initSession(service, { jwtToken: canary })
    for (const [mode] of misbehaviours.filter(([mode]) => !mode.startsWith('huge'))) {
      await upstream.control({ mode })
      const response = await call(service, id, 'echo')
      t.equal(response.statusCode, 502, `${mode}: ${response.body}`)
      t.match(
        response.json(),
        { code: 'MCPC_ERR_MCP_START', error: /^MCP server up cannot be reached: ./, retryable: Boolean },
        `${mode}: ${response.body}`
      )
      t.notMatch(response.body, /canary|protocol version/)
    }
    const hasty = await serviceOn(t, { up: { ...withSecret(upstream.url), timeouts: { start: 1 } } })
    const other = await initSession(hasty, { jwtToken: canary })
    await upstream.control({ mode: 'never' })
    t.strictSame(
      (await call(hasty, other, 'echo')).json(),
      failure('MCP_START_TIMEOUT', 'MCP server up was not ready within 1 s', { retryable: true, acted: 'no' })
    )
    t.strictSame((await upstream.stats()).calls, {})
    await upstream.control({ mode: null })
    t.equal((await call(service, id, 'echo')).statusCode, 200)
    await until(async () => (await call(hasty, other, 'echo')).statusCode === 200, 'a start is in time')
  })

  t.test(
    `a redirect of a server of ${era} to another origin is not followed, and no credential goes there`,
    async t => {
      const other = await startUpstream(t, 'raw-http')
      const upstream = await startUpstream(t, 'raw-http', [`--era=${era}`, `--location=${other.url}`])
      const service = await serviceOn(t, { up: withSecret(upstream.url) })
      const id = await initSession(service, { jwtToken: canary })
      await call(service, id, 'echo')
      await upstream.control({ mode: 'redirect' })
      const response = await call(service, id, 'echo')
      t.strictSame(
        [response.statusCode, response.json()],
        [502, broken('echo', `answered …: it redirects to ${new URL(other.url).origin}, which is not followed`)]
      )
      t.equal((await other.stats()).requests, 0)

      await upstream.control({ on: '*', forgetSessions: true })
      const second = await initSession(service)
      t.match((await call(service, second, 'echo')).json(), { error: /redirects to .*, which is not followed/ })
      t.equal((await other.stats()).requests, 0)
    }
  )

  t.test(`a server of ${era} that is not there, or not any more, can be tried again`, async t => {
    const gone = failure('MCP_START', 'MCP server up cannot be reached: ECONNREFUSED', { retryable: true, acted: 'no' })
    const upstream = await startUpstream(t, 'raw-http', [`--era=${era}`])
    const service = await serviceOn(t, { up: withSecret(upstream.url) })
    const id = await initSession(service, { jwtToken: canary })
    t.equal((await call(service, id, 'echo')).statusCode, 200)
    await upstream.stop()
    const response = await call(service, id, 'echo')
    t.strictSame([response.statusCode, response.json()], [502, gone])
    t.strictSame((await call(service, await initSession(service), 'echo')).json(), gone)
  })
}

t.test('a server that was never there can be tried again', async t => {
  const service = await serviceOn(t, { up: withSecret(`http://127.0.0.1:${await freePort()}/mcp`) })
  const id = await initSession(service, { jwtToken: canary })
  const gone = failure('MCP_START', 'MCP server up cannot be reached: ECONNREFUSED', { retryable: true })
  const called = await call(service, id, 'echo')
  t.strictSame([called.statusCode, called.json()], [502, { ...gone, acted: 'no' }])
  const listed = await postTo(service, '/tools', { session_id: id })
  t.strictSame([listed.statusCode, listed.json()], [502, gone])
})

t.test('a server that takes the handshake and then no more is not waited for beyond its start', async t => {
  const upstream = await startUpstream(t, 'raw-http', [
    '--era=2025',
    '--on=notifications/initialized',
    '--mode=never'
  ])
  const service = await serviceOn(t, { up: { url: upstream.url, timeouts: { start: 0.5 } } })
  const id = await initSession(service)
  t.strictSame(
    (await call(service, id, 'echo')).json(),
    failure('MCP_START_TIMEOUT', 'MCP server up was not ready within 0.5 s', { retryable: true, acted: 'no' })
  )
  await service.deferredSettled()
  t.equal((await upstream.stats()).sessions, 0, 'the session that it began is ended')
})

t.test('a server of the first HTTP transport that names an address of another origin is not used', async t => {
  const other = await startUpstream(t, 'sse')
  const upstream = await startUpstream(t, 'sse')
  await upstream.control({ endpoint: new URL('/message', other.url).href })
  const service = await serviceOn(t, { up: { type: 'sse', ...withSecret(upstream.url) } })
  const id = await initSession(service, { jwtToken: canary })
  t.strictSame(
    (await call(service, id, 'echo')).json(),
    failure(
      'MCP_START',
      `MCP server up cannot be reached: it names an address of another origin, ${new URL(other.url).origin}`,
      { acted: 'no' }
    )
  )
  t.equal((await other.stats()).requests, 0)
  await upstream.control({ endpoint: null })
  t.equal((await call(service, id, 'echo')).statusCode, 200)
})
