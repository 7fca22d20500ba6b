import {
  Client as ClientV2,
  type ClientOptions,
  SdkHttpError,
  SSEClientTransport,
  StreamableHTTPClientTransport as HttpV2,
  type Transport
} from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { startEverything, startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { until } from '../support/wait.ts'

/*
 * The upstream servers of the tests, driven by the official clients: what a test of the service finds is then not
 * theirs.
 */

const info = { name: 'upstream-test', version: '1.0.0' }
const elicits = { capabilities: { elicitation: { form: {} } } }
const modern: ClientOptions = { versionNegotiation: { mode: 'auto' } }

async function connectV2 (t: Test, transport: Transport, options: ClientOptions = {}): Promise<ClientV2> {
  const client = new ClientV2(info, { ...elicits, ...options })
  if (options.capabilities === undefined) {
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { ok: true } }))
  }
  t.teardown(async () => {
    await client.close()
    await transport.close()
  })
  await client.connect(transport)
  return client
}

async function connectV1 (t: Test, transport: HttpV1): Promise<ClientV1> {
  const client = new ClientV1(info, elicits)
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { ok: true } }))
  t.teardown(() => client.close())
  // The SDK's own transport does not fit its own interface under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<ClientV1['connect']>[0])
  return client
}

interface CallOptions {
  timeout?: number
  onprogress?: (notification: { progress: number }) => void
}

/** Either client's `callTool`, whose types differ more than what they do. */
function call (client: ClientV1 | ClientV2, name: string, args = {}, options: CallOptions = {}): Promise<unknown> {
  const params = { name, arguments: args }
  return client instanceof ClientV1 ? client.callTool(params, undefined, options) : client.callTool(params, options)
}

/** The HTTP status that a call fails with. */
async function statusOf (calling: Promise<unknown>): Promise<number | undefined> {
  const error = await calling.then(
    () => undefined,
    (error: unknown) => error
  )
  if (error instanceof SdkHttpError) return error.status
  throw error ?? new Error('it did not fail')
}

/** What a tool said, whose one content is JSON. */
function said (result: unknown): unknown {
  const {
    content: [content]
  } = result as { content: [{ text: string }] }
  return JSON.parse(content.text)
}

for (const args of [[], ['--json'], ['--stateless'], ['--stateless', '--json']]) {
  t.test(`2025 over HTTP ${args.join(' ')}`, async t => {
    const upstream = await startUpstream(t, 'http-2025', args)
    const url = new URL('?token=of-the-query', upstream.url)
    const headers = { authorization: 'Bearer of-the-header', 'x-api-url': 'https://api.example.com' }
    const sessions = args.includes('--stateless') ? 0 : 1
    const streams = !args.includes('--json')

    const v2 = await connectV2(t, new HttpV2(url, { requestInit: { headers } }))
    const v1 = await connectV1(t, new HttpV1(url, { requestInit: { headers } }))
    t.equal((await upstream.stats()).sessions, 2 * sessions)

    for (const client of [v1, v2]) {
      t.strictSame(said(await call(client, 'echo', { text: 'hello' })), { status: 'success', text: 'hello' })
      t.strictSame(said(await call(client, 'whoami')), {
        status: 'success',
        authorization: headers.authorization,
        'x-api-url': headers['x-api-url'],
        token: 'of-the-query'
      })
      await call(client, 'count')
      t.strictSame(said(await call(client, 'count')), { status: 'success', n: 1 + sessions })
      t.match(await call(client, 'fail'), { isError: true })
      await t.rejects(call(client, 'refuse', { reason: 'not you' }), { code: -32_602, message: /not you/ })
      t.match(await call(client, 'structured'), { structuredContent: { city: 'Rome', degrees: 21.5 } })
      t.match(await call(client, 'image'), { content: [{ type: 'text' }, { type: 'image', mimeType: 'image/png' }] })
      t.match(
        (await client.listTools()).tools.find(({ name }) => name === 'deep'),
        { inputSchema: { $defs: { place: {} }, allOf: Array } }
      )

      t.match(await client.listResources(), { resources: [{ uri: 'note://hello' }, { uri: 'note://pixel' }] })
      t.match(await client.listResourceTemplates(), { resourceTemplates: [{ uriTemplate: 'note://people/{name}' }] })
      t.match(await client.readResource({ uri: 'note://pixel' }), {
        contents: [{ mimeType: 'image/png', blob: String }]
      })
      t.match(await client.readResource({ uri: 'note://people/Ada' }), { contents: [{ text: 'about Ada' }] })
      t.match(await client.listPrompts(), { prompts: [{ name: 'plain' }, { name: 'greet' }] })
      t.match(await client.getPrompt({ name: 'greet', arguments: { name: 'Ada' } }), {
        messages: [{ content: { text: 'Greet Ada in a plain style.' } }]
      })
      t.match(
        await client.complete({
          ref: { type: 'ref/prompt', name: 'greet' },
          argument: { name: 'style', value: 'f' }
        }),
        { completion: { total: 3 } }
      )
      t.match(
        await client.complete({
          ref: { type: 'ref/resource', uri: 'note://people/{name}' },
          argument: { name: 'name', value: 'a' }
        }),
        { completion: { values: ['Ada', 'Alan'] } }
      )
    }

    const steps: number[] = []
    await call(
      v2,
      'progress',
      { steps: 3, delay: 1 },
      {
        onprogress: ({ progress }) => {
          steps.push(progress)
        }
      }
    )
    t.strictSame(steps, streams ? [1, 2, 3] : [], 'there is no progress in a JSON reply')

    if (streams && sessions) {
      for (const client of [v1, v2]) {
        t.strictSame(said(await call(client, 'ask')), {
          status: 'success',
          answers: [{ action: 'accept', content: { ok: true } }]
        })
      }
    }
    t.match(await upstream.stats(), {
      initialize: 2,
      calls: { echo: 2, count: 4, progress: 1 },
      methods: { 'tools/list': Number }
    })
  })
}

t.test('2025 over HTTP: a session is kept, resumed, ended, and forgotten', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const transport = new HttpV2(new URL(upstream.url))
  const first = await connectV2(t, transport)
  await call(first, 'count')

  const resume = () =>
    connectV2(
      t,
      new HttpV2(new URL(upstream.url), { sessionId: transport.sessionId ?? '', protocolVersion: '2025-11-25' })
    )
  const second = await resume()
  t.strictSame(said(await call(second, 'count')), { status: 'success', n: 2 })
  t.match(await upstream.stats(), { initialize: 1, sessions: 1 })

  await upstream.control({ forgetSessions: true })
  t.match(await upstream.stats(), { sessions: 0 })
  t.equal(await statusOf(call(await resume(), 'count')), 404)

  const third = new HttpV2(new URL(upstream.url))
  await connectV2(t, third)
  await third.terminateSession()
  t.match(await upstream.stats(), { sessions: 0, http: { DELETE: 1 } })
})

t.test('2025 over HTTP: a call is cancelled, a credential refused, a tool added', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const client = await connectV2(t, new HttpV2(new URL(upstream.url)))
  await t.rejects(call(client, 'slow', { delay: 5_000 }, { timeout: 100 }), { code: 'REQUEST_TIMEOUT' })
  await until(async () => (await upstream.stats()).cancelled === 1, 'the upstream knows of the cancelling')

  await upstream.control({ refuse: 403 })
  t.equal(await statusOf(call(client, 'echo')), 403)
  await upstream.control({ refuse: null })

  const changed = new Promise<void>(resolve =>
    client.setNotificationHandler('notifications/tools/list_changed', () => resolve())
  )
  await upstream.control({ addTool: 'late', listChanged: true })
  await changed
  t.match(await call(client, 'late', { text: 'now' }), { content: [{ text: /now/ }] })
  t.match((await upstream.requests()).at(-1), {
    http: 'POST',
    method: 'tools/call',
    name: 'late',
    headers: { 'mcp-protocol-version': '2025-11-25' }
  })
})

t.test('2025 over HTTP: an unknown session is 400, and tools come in pages', async t => {
  const upstream = await startUpstream(t, 'http-2025', ['--unknown-session=400', '--tools=25', '--page-size=10'])
  const client = await connectV2(t, new HttpV2(new URL(upstream.url)))
  t.equal((await client.listTools()).tools.length, 37)
  t.equal((await upstream.stats()).methods['tools/list'], 4)
  await upstream.control({ forgetSessions: true })
  t.equal(await statusOf(call(client, 'echo')), 400)
})

for (const args of [['--modern-only'], []]) {
  t.test(`2026 over HTTP ${args.join(' ')}`, async t => {
    const upstream = await startUpstream(t, 'http-2026', ['--ttl=5000', ...args])
    const url = new URL('?token=of-the-query', upstream.url)
    const headers = { authorization: 'Bearer of-the-header', 'x-api-url': 'https://api.example.com' }
    const client = await connectV2(t, new HttpV2(url, { requestInit: { headers } }), modern)
    t.match(client.getDiscoverResult(), { supportedVersions: ['2026-07-28'], ttlMs: 5_000 })

    t.strictSame(said(await call(client, 'echo', { text: 'hello' })), { status: 'success', text: 'hello' })
    t.strictSame(said(await call(client, 'whoami')), {
      status: 'success',
      authorization: headers.authorization,
      'x-api-url': headers['x-api-url'],
      token: 'of-the-query'
    })
    await call(client, 'count')
    t.strictSame(said(await call(client, 'count')), { status: 'success', n: 1 }, 'there are no sessions')
    await t.rejects(call(client, 'refuse'), { code: -32_602 })
    t.match(await client.readResource({ uri: 'note://people/Ada' }), {
      ttlMs: 5_000,
      cacheScope: 'private',
      contents: [{ text: 'about Ada' }]
    })
    const steps: number[] = []
    await call(
      client,
      'progress',
      { steps: 3, delay: 1 },
      {
        onprogress: ({ progress }) => {
          steps.push(progress)
        }
      }
    )
    t.strictSame(steps, [1, 2, 3])
    await t.rejects(call(client, 'slow', { delay: 5_000 }, { timeout: 100 }), { code: 'REQUEST_TIMEOUT' })
    await until(async () => (await upstream.stats()).cancelled === 1, 'the upstream knows of the cancelling')
    t.match(await upstream.stats(), {
      initialize: 0,
      sessions: 0,
      methods: { 'server/discover': 1, 'tools/list': undefined }
    })
  })
}

t.test('2026 over HTTP: a question is answered by another client', async t => {
  const upstream = await startUpstream(t, 'http-2026')
  const rounds = { allowInputRequired: true }
  const asked = { name: 'ask', arguments: { questions: ['Really?', 'Sure?'] } }
  const round = async (more = {}) => {
    const client = await connectV2(t, new HttpV2(new URL(upstream.url)), {
      ...modern,
      inputRequired: { autoFulfill: false }
    })
    const result: unknown = await client.callTool({ ...asked, ...more }, rounds)
    return result as { requestState: string }
  }
  const inputResponses = { answer: { action: 'accept', content: { ok: true } } }
  const first = await round()
  t.match(first, {
    resultType: 'input_required',
    inputRequests: { answer: { method: 'elicitation/create', params: { message: 'Really?' } } },
    requestState: String
  })
  const second = await round({ inputResponses, requestState: first.requestState })
  t.match(second, { resultType: 'input_required', inputRequests: { answer: { params: { message: 'Sure?' } } } })
  t.strictSame(said(await round({ inputResponses, requestState: second.requestState })), {
    status: 'success',
    answers: [inputResponses.answer, inputResponses.answer]
  })
  await t.rejects(round({ inputResponses, requestState: `${first.requestState}x` }), { code: -32_602 })

  const mute = await connectV2(t, new HttpV2(new URL(upstream.url)), { ...modern, capabilities: {} })
  await t.rejects(call(mute, 'ask'), { code: -32_021 })
})

t.test('2026 over HTTP: an argument comes as a header, too', async t => {
  const upstream = await startUpstream(t, 'http-2026')
  const client = await connectV2(t, new HttpV2(new URL(upstream.url)), modern)
  // The client hears of the header by an error, lists the tools, and calls again.
  t.match(said(await call(client, 'locate', { city: 'Rome' })), {
    received: { city: 'Rome' },
    headers: { 'mcp-param-city': 'Rome' }
  })
  t.match(
    (await upstream.requests()).map(({ method, status }) => [method, status]),
    [
      ['server/discover', 200],
      ['tools/call', 400],
      ['tools/list', 200],
      ['tools/call', 200]
    ]
  )
})

t.test('2026 over HTTP: a server changes its era', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--stateful'])
  const connect = () => connectV2(t, new HttpV2(new URL(upstream.url)), modern)
  const client = await connect()
  t.equal(client.getNegotiatedProtocolVersion(), '2026-07-28')

  await upstream.control({ era: 'legacy' })
  t.equal(await statusOf(call(client, 'echo')), 400)
  const older = await connect()
  t.equal(older.getNegotiatedProtocolVersion(), '2025-11-25')
  await call(older, 'count')
  t.strictSame(said(await call(older, 'count')), { status: 'success', n: 2 })
  t.strictSame(said(await call(older, 'ask')), {
    status: 'success',
    answers: [{ action: 'accept', content: { ok: true } }]
  })

  await upstream.control({ era: 'modern' })
  t.equal(await statusOf(call(older, 'echo')), 400)
  await call(client, 'echo')
})

t.test('2026 over HTTP: who listens hears that a tool came', async t => {
  const upstream = await startUpstream(t, 'http-2026', ['--modern-only'])
  const names: string[] = []
  await connectV2(t, new HttpV2(new URL(upstream.url)), {
    ...modern,
    listChanged: {
      tools: {
        onChanged: (_, tools) => {
          names.push(...(tools?.map(({ name }) => name) ?? []))
        }
      }
    }
  })
  await until(async () => (await upstream.stats()).methods['subscriptions/listen'] === 1, 'the client listens')
  await upstream.control({ addTool: 'late', listChanged: true })
  await until(() => names.length > 0, 'the client hears of the change')
  t.ok(names.includes('late'))
})

t.test('the old transport over SSE', async t => {
  const upstream = await startUpstream(t, 'sse')
  const url = new URL('?token=of-the-query', upstream.url)
  const headers = { authorization: 'Bearer of-the-header' }
  const transport = new SSEClientTransport(url, { requestInit: { headers } })
  const client = await connectV2(t, transport)

  t.strictSame(said(await call(client, 'echo', { text: 'hello' })), { status: 'success', text: 'hello' })
  const who = { authorization: headers.authorization, 'x-api-url': null }
  t.strictSame(
    said(await call(client, 'whoami')),
    { status: 'success', ...who, token: null, stream: { ...who, token: 'of-the-query' } },
    'its POSTs go where the server says'
  )
  await call(client, 'count')
  t.strictSame(said(await call(client, 'count')), { status: 'success', n: 2 })
  t.strictSame(said(await call(client, 'ask')), {
    status: 'success',
    answers: [{ action: 'accept', content: { ok: true } }]
  })
  const steps: number[] = []
  await call(
    client,
    'progress',
    { steps: 3, delay: 20 },
    {
      onprogress: ({ progress }) => {
        steps.push(progress)
      }
    }
  )
  t.match(steps, [1, 2])
  t.match(await upstream.stats(), { sessions: 1, initialize: 1, http: { GET: 1 } })

  const lost = call(client, 'slow', { delay: 5_000 })
  await until(async () => (await upstream.stats()).calls.slow === 1, 'the call is under way')
  await transport.close()
  await t.rejects(lost)
  await until(async () => (await upstream.stats()).cancelled === 1, 'the upstream knows of the client that left')
  t.match(await upstream.stats(), { sessions: 0 })

  t.equal(await statusOf(connectV2(t, new HttpV2(url))), 405)
  await upstream.control({ endpoint: 'http://localhost:1/message' })
  await t.rejects(connectV2(t, new SSEClientTransport(url)), { message: /origin/ })
})

/** What the client makes of misbehaviour that it notices; for the rest it waits until its time is up. */
const failures = {
  html: { code: 'CLIENT_HTTP_UNEXPECTED_CONTENT' },
  'wrong-type': { code: 'CLIENT_HTTP_UNEXPECTED_CONTENT' },
  reset: { message: 'fetch failed' },
  cut: { message: 'terminated' },
  'invalid-json': { name: 'SyntaxError' },
  'invalid-message': { name: 'ZodError' }
}

for (const [era, version] of [
  ['2025', '2025-11-25'],
  ['2026', '2026-07-28']
] as const) {
  t.test(`the one without an SDK, of ${era}`, async t => {
    const upstream = await startUpstream(t, 'raw-http', [`--era=${era}`, '--bytes=5000000'])
    const client = await connectV2(t, new HttpV2(new URL(upstream.url)), modern)
    t.equal(client.getNegotiatedProtocolVersion(), version)
    const good = { status: 'success', text: 'hello' }

    for (const mode of [null, 'sse', 'sse-resumable', 'redirect-same-origin']) {
      await upstream.control({ mode })
      t.strictSame(said(await call(client, 'echo', { text: 'hello' })), good, mode ?? 'well-behaved')
    }
    t.match(await upstream.stats(), { redirected: 1, calls: { echo: 4 } })

    await upstream.control({ mode: 'huge' })
    const {
      content: [content]
    } = (await call(client, 'echo')) as { content: [{ text: string }] }
    t.equal(content.text.length, 5_000_000)

    for (const mode of ['503', 'redirect']) {
      await upstream.control({ mode })
      t.equal(await statusOf(call(client, 'echo')), mode === 'redirect' ? 307 : 503)
    }
    for (const [mode, error] of Object.entries(failures)) {
      await upstream.control({ mode })
      await t.rejects(call(client, 'echo'), error, mode)
    }
    for (const mode of ['never', 'sse-ends', 'sse-silent', 'sse-cut', 'wrong-id', 'empty']) {
      await upstream.control({ mode })
      await t.rejects(call(client, 'echo', {}, { timeout: 50 }), { code: 'REQUEST_TIMEOUT' }, mode)
    }

    await upstream.control({ mode: null, forgetSessions: true })
    if (era === '2025') t.equal(await statusOf(call(client, 'echo')), 404)
    else await call(client, 'echo')
    t.equal((await upstream.stats()).sessions, 0)
  })
}

for (const transport of ['streamableHttp', 'sse'] as const) {
  t.test(`server-everything over ${transport}`, async t => {
    const url = new URL((await startEverything(t, transport)).url)
    const client = await connectV2(t, transport === 'sse' ? new SSEClientTransport(url) : new HttpV2(url))
    t.match(await call(client, 'echo', { message: 'hello' }), { content: [{ text: 'Echo: hello' }] })
  })
}

for (const [name, version, ...args] of [
  ['stdio-2026', '2026-07-28'],
  ['stdio-2026', '2026-07-28', '--modern-only'],
  ['stdio-2025', '2025-11-25']
] as const) {
  t.test(`${name} ${args.join(' ')}`, async t => {
    const { client, came } = await startOnStdio(t, name, [...args, 'more', '--key=value'], { GREETING: 'hello' })
    t.equal(client.getNegotiatedProtocolVersion(), version)
    t.strictSame(said(await call(client, 'echo', { text: 'hello' })), { status: 'success', text: 'hello' })
    t.strictSame(said(await call(client, 'ask')), {
      status: 'success',
      answers: [{ action: 'accept', content: { ok: true } }]
    })
    t.match(said(await call(client, 'environment')), {
      argv: [/--note/, ...args, 'more', '--key=value'],
      env: { GREETING: 'hello', PATH: String }
    })
    await call(client, 'count')
    t.strictSame(said(await call(client, 'count')), { status: 'success', n: 2 }, 'the session is the process')
    const steps: number[] = []
    await call(
      client,
      'progress',
      { steps: 3, delay: 20 },
      {
        onprogress: ({ progress }) => {
          steps.push(progress)
        }
      }
    )
    t.match(steps, [1, 2], 'the last one the client loses when the result comes in the same chunk')
    t.equal(came('start'), 2, "one for the probe, which the SDK's transport has to itself")
    t.equal(came('initialize'), version === '2025-11-25' ? 1 : 0)
  })
}

t.test('probe-shy: a request before initialize ends it, or is not answered', async t => {
  for (const [args, probe] of [
    [[], 'ends'],
    [['--silent'], 'waits']
  ] as const) {
    const { client, came } = await startOnStdio(t, 'probe-shy', args, {}, 500)
    t.equal(client.getNegotiatedProtocolVersion(), '2025-11-25', `the probe ${probe}`)
    t.strictSame(said(await call(client, 'echo', { text: 'hello' })), { status: 'success', text: 'hello' })
    t.equal(came('server/discover'), 1)
  }
})

/** A client of a server on stdio, and how often something came to the server's processes. */
async function startOnStdio (
  t: Test,
  name: string,
  args: readonly string[],
  env: Record<string, string>,
  probeMs = 10_000
) {
  const note = join(await makeFolder(t), 'note')
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [fixture(`${name}-server.mjs`), `--note=${note}`, ...args],
    env,
    stderr: 'ignore'
  })
  const client = await connectV2(t, transport, {
    versionNegotiation: { mode: 'auto', probe: { timeoutMs: probeMs } }
  })
  const came = (what: string) =>
    readFileSync(note, 'utf8')
      .split('\n')
      .filter(line => line.endsWith(` ${what}`)).length
  return { client, came }
}
