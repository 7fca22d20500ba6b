import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { fixture } from '../support/paths.ts'
import { redisClient } from '../support/redis.ts'
import { initSession } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'

const entry = { command: process.execPath, args: [fixture('results-server.mjs')], lifecycle: 'shared', values: 'none' }
/** Short results are sent, and long ones referred to. */
const app = await serviceOn(t, { up: entry }, { MCP_INLINE_RESULT_BYTES: '2000', MCP_ASYNC_CALLS: 'on' })

/** All results are sent, but those that a caller wants to be kept, of which there are few. */
const bounded = await serviceOn(t, { up: entry }, {
  MCP_MAX_RESULTS_PER_SESSION: '3', MCP_MAX_RESULTS_BYTES: '2000', MCP_RESULT_TTL: '600', MCP_MAX_RESULT_BYTES: '20000'
})

const callWith = (
  app: FastifyInstance, session: string, tool: string, params: object, options: object = { reference: true }
) => app.inject({ method: 'POST', url: '/call-tool', payload: { session_id: session, tool, params, ...options } })

const read = (
  app: FastifyInstance, session: string, ref: string, { query = '', method = 'GET', ...headers }: Record<string, string> = {}
) => app.inject({ method: method as 'GET', url: `/results/${ref}${query}`, headers: { 'x-session-id': session, ...headers } })

/** Keeps a text as a tool's only text block, in the form that `result` says. */
async function keep (app: FastifyInstance, session: string, json: string): Promise<string> {
  const result = JSON.stringify({ content: [{ type: 'text', text: json }] })
  const reply = await callWith(app, session, 'give', { result }, { reference: true, result: 'json' })
  return reply.json().ref
}

t.test('a result of 5 MB is a reference of 4 kB, read whole, and handed to the next tool', async t => {
  const session = await initSession(app)
  const made = await callWith(app, session, 'make', { bytes: 5_000_000 }, { reference: true, result: 'json' })
  t.ok(made.statusCode === 200 && made.rawPayload.length <= 4_096, `${made.rawPayload.length} bytes`)
  const { ref, bytes, preview, expires_at: expiresAt, ...rest } = made.json()
  t.strictSame(rest, { status: 'success', type: 'object', keys: ['rows'] })
  t.match(ref, /^r_[\w-]{32}$/)
  t.ok(bytes >= 5_000_000)
  t.ok(preview.startsWith('{"rows":[{"id":100000,"name":"row 100000","amount":1.50}'))
  t.ok(Date.parse(expiresAt) > Date.now())

  const whole = await read(app, session, ref)
  t.strictSame([whole.statusCode, whole.headers['content-type']], [200, 'application/json; charset=utf-8'])
  t.strictSame([whole.headers['content-length'], whole.rawPayload.length], [String(bytes), bytes])
  t.match(whole.headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'accept-ranges': 'bytes' })
  t.ok(whole.body.startsWith(preview))

  const sent = { rows: { $result: ref, pointer: '/rows' } }
  t.ok(JSON.stringify(sent).length < 4_096)
  const taken = await callWith(app, session, 'take', sent, { result: 'json' })
  const digest = createHash('sha256').update(JSON.stringify(whole.json().rows)).digest('hex')
  t.strictSame(taken.json(), { digests: { rows: digest } })

  const redis = await redisClient(t)
  const keys = await redis.keys(`mcp_results:{${app.config.session.keyPrefix}:${session}}*`)
  t.equal(keys.length, 1)
  const [key = ''] = keys
  const ttl = await redis.pttl(key)
  t.ok(ttl > 0 && ttl <= 3_600_000)
  await app.inject({ method: 'POST', url: '/shutdown', payload: { session_id: session } })
  t.equal(await redis.exists(key), 0)
})

t.test('parts and ranges of a result, to the byte', async t => {
  const session = await initSession(app)
  const json = '{ "rows" : [ {"id": 1.50} , {"id":12345678901234567890} ],"n":0 , "n": 1e400, "ü": "🙂" }'
  const ref = await keep(app, session, json)
  const bytes = Buffer.byteLength(json)
  for (const [query, body] of [
    ['', json], ['?pointer=', json], ['?pointer=/n', '1e400'], ['?pointer=/rows/1/id', '12345678901234567890'],
    ['?pointer=/%C3%BC', '"🙂"'], ['?fields=/rows/*/id,/n', '{"rows":[{"id":1.50},{"id":12345678901234567890}],"n":0,"n":1e400}'],
    ['?fields=/n&fields=/rows/0', '{"rows":[{"id": 1.50}],"n":0,"n":1e400}'], ['?pointer=/rows&offset=1&limit=5', '[{"id":12345678901234567890}]']
  ] as const) {
    const answer = await read(app, session, ref, { query, range: 'bytes=0-1', ...(query === '' && { range: '' }) })
    t.strictSame([answer.statusCode, answer.body], [200, body], query)
    const head = await read(app, session, ref, { query, method: 'HEAD' })
    t.strictSame([head.statusCode, head.body, head.headers['content-type']], [200, '', 'application/json; charset=utf-8'])
  }
  t.equal((await read(app, session, ref, { query: '?pointer=/rows&limit=1' })).headers['x-mcp-items'], '2')
  const head = await read(app, session, ref, { method: 'HEAD' })
  const { etag } = head.headers
  t.strictSame([head.headers['content-length'], typeof etag], [String(bytes), 'string'])

  for (const [headers, statusCode, range, body] of [
    [{ range: 'bytes=0-4' }, 206, `bytes 0-4/${bytes}`, json.slice(0, 5)],
    [{ range: 'bytes=-3' }, 206, `bytes ${bytes - 3}-${bytes - 1}/${bytes}`, '" }'],
    [{ range: `bytes=${bytes}-` }, 416, `bytes */${bytes}`, 'MCPC_ERR_RESULT_RANGE'],
    [{ range: 'bytes=0-4,6-7' }, 200, undefined, json],
    [{ range: 'bytes=0-4', 'if-range': etag }, 206, `bytes 0-4/${bytes}`, json.slice(0, 5)],
    [{ range: 'bytes=0-4', 'if-range': '"other"' }, 200, undefined, json],
    [{ range: 'bytes=0-4', 'if-range': `W/${etag}` }, 200, undefined, json],
    [{ 'if-none-match': etag }, 304, undefined, '']
  ] as Array<[Record<string, string>, number, string | undefined, string]>) {
    const answer = await read(app, session, ref, headers)
    const got = statusCode === 416 ? answer.json().code : answer.body
    t.strictSame([answer.statusCode, answer.headers['content-range'], got], [statusCode, range, body], JSON.stringify(headers))
  }

  for (const [query, field] of [
    ['?pointer=rows', 'pointer'], ['?pointer=/~2', 'pointer'], [`?pointer=/${'a'.repeat(5_000)}`, 'pointer'],
    ['?fields=rows', 'fields'], [`?fields=${Array(40).fill('/a').join()}`, 'fields'],
    ['?offset=-1', 'offset'], ['?limit=1.5', 'limit'], ['?limit=9999999999', 'limit'], ['?offset=0', 'offset'],
    ['?pointer=/n&limit=1', 'limit'], ['?pointer=/n&fields=/a', 'fields'], ['?pointer=/a&pointer=/b', 'pointer']
  ] as const) {
    const answer = await read(app, session, ref, { query })
    t.match([answer.statusCode, answer.json()], [400, { code: 'MCPC_ERR_INVALID_FIELD' }], query.slice(0, 30))
    t.ok(answer.json().error.startsWith(`${field} `) || answer.json().error.startsWith(`${field}.`), answer.json().error)
  }
  t.match((await read(app, session, ref, { query: '?pointer=/no' })).json(), { code: 'MCPC_ERR_RESULT_PART' })
})

t.test('a foreign reference is the 404 of an unknown one', async t => {
  const [own, other] = [await initSession(app), await initSession(app)]
  const ref = await keep(app, own, '{"a":1}')
  const unknown = (await read(app, other, `r_${'a'.repeat(32)}`)).body
  const tries = [ref, 'r_', 'x', '%00', '..%2f', `${ref}x`, ref.replace('r_', 'c_'), 'x'.repeat(3_000)]
  for (const id of tries) {
    for (const query of ['', '?pointer=/a']) {
      const { statusCode, body } = await read(app, other, id, { query })
      t.strictSame([statusCode, body], [404, unknown], id.slice(0, 40))
    }
    const taken = await callWith(app, other, 'take', { rows: { $result: id } })
    const isReference = /^r_[\w-]{32}$/.test(id)
    t.match([taken.statusCode, taken.json()], isReference
      ? [404, { code: 'MCPC_ERR_UNKNOWN_RESULT', error: /for params\.rows:/, acted: 'no' }]
      : [200, { status: 'success' }])
  }
  // All of them are really there, in the other session.
  const count = process.env.ALL_CASES === '1' ? 10_000 : 200
  const session = await app.sessions.load({ id: own, client: null })
  if (session === null) throw new Error('no session')
  for (let done = 0; done < count; done += 100) {
    const kept = await Promise.all(Array.from({ length: 100 }, async () =>
      await app.results.keep(session, { kind: 'text', type: 'text/plain', content: Buffer.from('own') })))
    const answers = await Promise.all(kept.map(async answer => {
      if (!('kept' in answer)) throw new Error('not kept')
      return await read(app, other, answer.kept.ref)
    }))
    t.ok(answers.every(({ statusCode, body }) => statusCode === 404 && body === unknown), `${done + 100} tries`)
  }
  const again = await keep(app, own, '{"a":1}')
  t.equal((await read(app, own, again)).body, '{"a":1}')
  t.equal((await app.inject(`/results/${ref}`)).statusCode, 400)
  t.equal((await read(app, 'nobody', ref)).statusCode, 409)
})

t.test('a result that cannot be kept is sent, and says why', async t => {
  const session = await initSession(app)
  const redis = await redisClient(t)
  const key = `${app.config.session.keyPrefix}:${session}`
  await redis.set(`mcp_results:{${key}}`, 'of somebody else')
  const answer = await callWith(app, session, 'make', { bytes: 100 }, { reference: true, result: 'json' })
  t.strictSame([answer.statusCode, answer.headers['x-mcp-not-referenced'], answer.json().rows.length], [200, 'store-unavailable', 3])
})

t.test('a result that makes room while it is read breaks off, and is never taken for a whole one', async t => {
  const session = await initSession(app)
  const { ref, bytes } = (await callWith(app, session, 'make', { bytes: 1_000_000 }, { result: 'json' })).json()
  const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}/results/${ref}`
  const readAll = async (query: string) => {
    const response = await fetch(url + query, { headers: { 'x-session-id': session, connection: 'close' } })
    return [response.status, (await response.text()).length]
  }
  t.strictSame(await readAll(''), [200, bytes])
  const redis = await redisClient(t)
  const key = `mcp_results:{${app.config.session.keyPrefix}:${session}}`
  await redis.hdel(key, `x:${ref}:3`)
  await t.rejects(readAll(''))
  await t.rejects(readAll('?fields=/rows'))
  t.match(await readAll('?pointer=/rows'), [404], 'known before the answer begins')
  await redis.hdel(key, `x:${ref}:0`)
  t.match(await readAll(''), [404])
})

t.test('the operation of a tool says that its reply may be a reference, where any may be', async t => {
  const replyOf = async (service: FastifyInstance) => {
    const { paths } = (await service.inject({
      url: '/openapi.json', headers: { 'x-session-id': await initSession(service) }
    })).json()
    return Object.keys(paths['/tools/give'].post.responses['200'].content['application/json'].schema)
  }
  t.strictSame(await replyOf(app), ['$ref'])
  t.strictSame(await replyOf(bounded), ['oneOf'])
})

t.test('a session has a bounded number of results of a bounded size', async t => {
  const app = bounded
  const session = await initSession(app)
  const refs: string[] = []
  for (let index = 0; index < 5; index++) refs.push(await keep(app, session, `{"n":${index}}`))
  const found = async () => await Promise.all(refs.map(async ref => (await read(app, session, ref)).statusCode))
  t.strictSame(await found(), [404, 404, 200, 200, 200])
  refs.push(await keep(app, session, JSON.stringify('x'.repeat(1_900))))
  t.strictSame(await found(), [404, 404, 404, 200, 200, 200])
  refs.push(await keep(app, session, JSON.stringify('y'.repeat(1_950))))
  t.strictSame(await found(), [404, 404, 404, 404, 404, 404, 200])
  const large = await callWith(app, session, 'make', { bytes: 3_000 }, { reference: true, result: 'json' })
  t.strictSame([large.headers['x-mcp-not-referenced'], large.json().rows.length > 10], ['too-large', true])
  t.equal((await found()).at(-1), 200)
  const redis = await redisClient(t)
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`a${at}`, { $result: refs.at(-1) }]))
  const tooMany = await callWith(app, session, 'take', many, {})
  t.match([tooMany.statusCode, tooMany.json()], [400, { error: /^params\.a10 must be shorter: .* 20000 bytes/ }])
  const key = `mcp_results:{${app.config.session.keyPrefix}:${session}}`
  t.equal(await redis.hlen(key), 4, 'one result of two fields, the list of them, and whose they are')
  t.ok(await redis.pttl(key) <= 600_000)
  // Another session of the same id has none of them, also where its user is another one.
  await redis.del(`${app.config.session.keyPrefix}:${session}`)
  t.equal((await read(app, session, refs.at(-1) ?? '')).statusCode, 409)
  await app.inject({ method: 'POST', url: '/init', payload: { session_id: session, apiUrl: 'https://b.example.com', jwtToken: 'a.b.c' } })
  t.equal((await read(app, session, refs.at(-1) ?? '')).statusCode, 404)
})

t.test('a reference counts only as a whole argument of the request', async t => {
  const session = await initSession(app)
  const ref = await keep(app, session, '{ "rows": [1.50, 12345678901234567890], "text": "a\\"b" }')
  const taken = async (params: unknown, options: object = {}) => await app.inject({
    method: 'POST',
    url: '/call-tool',
    payload: `{"session_id":"${session}","tool":"take","params":${String(params)}${Object.entries(options).map(([name, value]) => `,"${name}":${value}`).join('')}}`
  })
  const argumentsOf = (body: string) => /"arguments":(.*)\}\}?$/s.exec(JSON.parse(body).result)?.[1] ?? ''
  for (const [sent, got] of [
    [`{"rows":{"$result":"${ref}","pointer":"/rows"},"n":1.0}`, '{"rows":[1.50, 12345678901234567890],"n":1.0'],
    [`{ "rows" : {"$result":"${ref}"} }`, '{ "rows" : { "rows": [1.50, 12345678901234567890], "text": "a\\"b" } '],
    [`{"rows":{"\\u0024\\u0072esult":"${ref}","pointer":"/text"}}`, '{"rows":"a\\"b"'],
    [`{"rows":[{"$result":"${ref}"}]}`, `{"rows":[{"$result":"${ref}"}]`],
    [`{"rows":{"a":{"$result":"${ref}"}}}`, `{"rows":{"a":{"$result":"${ref}"}}`],
    ['{"rows":{"$result":"r_short"}}', '{"rows":{"$result":"r_short"}'],
    ['{"rows":{"$result":7,"more":1}}', '{"rows":{"$result":7,"more":1}'],
    [`{"rows":"{\\"$result\\":\\"${ref}\\"}"}`, `{"rows":"{\\"$result\\":\\"${ref}\\"}"`]
  ] as const) {
    const answer = await taken(sent)
    t.ok(argumentsOf(answer.body).startsWith(got), `${sent}: ${answer.body}`)
  }
  for (const [sent, code, words] of [
    [`{"rows":{"$result":"${ref}","more":1}}`, 'INVALID_FIELD', 'params.rows must be'],
    [`{"rows":{"$result":"${ref}","pointer":1}}`, 'INVALID_FIELD', 'params.rows.pointer must be'],
    [`{"rows":{"$result":"${ref}","pointer":"rows"}}`, 'INVALID_FIELD', 'params.rows.pointer must be'],
    [`{"rows":{"$result":"${ref}","pointer":"/no"}}`, 'RESULT_PART', 'for params.rows'],
    [`{"rows":{"$result":"r_${'b'.repeat(32)}"}}`, 'UNKNOWN_RESULT', 'for params.rows'],
    [`{"rows":{"$result":"${await keep(app, session, `${'['.repeat(150)}${']'.repeat(150)}`)}"}}`, 'BODY_TOO_DEEP', 'deeper than']
  ] as const) {
    const failure = (await taken(sent)).json()
    t.match(failure, { code: `MCPC_ERR_${code}`, acted: 'no' }, sent)
    t.ok(failure.error.includes(words), failure.error)
  }
  const dry = (await taken(`{"rows":{"$result":"${ref}","pointer":"/rows"}}`, { dry_run: true })).json()
  t.match(dry, {
    arguments: { rows: { $result: ref, pointer: '/rows' } }, referred: [{ name: 'rows', ref, pointer: '/rows', bytes: 28 }]
  })
  // What a tool gave, and what a session has, is data.
  const words = JSON.stringify({ content: [], structuredContent: { rows: { $result: ref } } })
  const given = await callWith(app, session, 'give', { result: words }, {})
  t.strictSame(given.json(), { rows: { $result: ref } })
  await app.inject({
    method: 'PUT', url: '/session/values', headers: { 'x-session-id': session }, payload: { rows: { $result: ref } }
  })
  const byPath = await app.inject({
    method: 'POST', url: '/tools/take', headers: { 'x-session-id': session }, payload: { rows: { $result: ref, pointer: '/text' } }
  })
  t.match(argumentsOf(byPath.body), /^\{"rows":"a\\"b"/)
})

const base64 = (text: string) => Buffer.from(text).toString('base64')
const block = (value: object) => JSON.stringify({ content: [value] })

t.test('bytes are answered with their own type, and none that a browser would run', async t => {
  const session = await initSession(app)
  const image = (mimeType: unknown, data = base64('<svg/>')) => block({ type: 'image', data, mimeType })
  for (const [result, type, body, isSaved] of [
    [image('image/png'), 'image/png', '<svg/>', false],
    [image('image/svg+xml'), 'image/svg+xml', '<svg/>', true],
    [image('TEXT/HTML; charset=x'), 'text/html', '<svg/>', true],
    [image('text/html\r\nX-A: 1'), 'application/octet-stream', '<svg/>', true],
    [image('javascript'), 'application/octet-stream', '<svg/>', true],
    [image(7), 'application/octet-stream', '<svg/>', true],
    [image(undefined), 'application/octet-stream', '<svg/>', true],
    [image('image/png', ''), 'image/png', '', false],
    [block({ type: 'audio', data: base64('a'), mimeType: 'audio/wav' }), 'audio/wav', 'a', false],
    [block({ type: 'resource', resource: { uri: 'a:b', blob: base64('b'), mimeType: 'application/pdf' } }), 'application/pdf', 'b', true],
    [block({ type: 'resource', resource: { uri: 'a:b', text: 'ü', mimeType: 'text/javascript' } }), 'text/javascript; charset=utf-8', 'ü', true],
    [block({ type: 'resource', resource: { uri: 'a:b', text: 'ü' } }), 'text/plain; charset=utf-8', 'ü', false]
  ] as const) {
    const { ref, keys, bytes } = (await callWith(app, session, 'give', { result })).json()
    t.strictSame([keys, bytes], [[], Buffer.byteLength(body)])
    const { statusCode, headers, body: got } = await read(app, session, ref)
    t.strictSame(
      [statusCode, headers['content-type'], got, headers['content-disposition'], headers['x-content-type-options']],
      [200, type, body, isSaved ? 'attachment' : undefined, 'nosniff'], result)
    t.match(headers['content-security-policy'], /sandbox/)
    t.equal((await read(app, session, ref, { query: '?pointer=/a' })).statusCode, 400)
    const sent = await callWith(app, session, 'take', { rows: { $result: ref } }, {})
    t.ok(sent.json().result.includes(`"rows":${JSON.stringify(type.includes('utf-8') ? body : base64(body))}`))
  }
  for (const result of [
    image('image/png', 'no Base64!'), image('image/png', 'abc'), block({ type: 'image', mimeType: 'image/png' }),
    block({ type: 'resource_link', uri: 'a:b', name: 'a' }), JSON.stringify({ content: [] }),
    JSON.stringify({ content: [{ type: 'text', text: 'see' }, { type: 'image', data: 'aaaa', mimeType: 'image/png' }] })
  ]) {
    const { ref, type } = (await callWith(app, session, 'give', { result })).json()
    t.strictSame([type, (await read(app, session, ref)).body], ['object', result], result)
  }
  const whole = await callWith(app, session, 'give', { result: image('image/png') }, { reference: true, result: 'mcp' })
  t.equal((await read(app, session, whole.json().ref)).body, image('image/png'))

  const resource = async (uri: string, reference?: boolean) => (await app.inject({
    method: 'POST', url: '/read-resource', payload: { session_id: session, uri, ...(reference !== undefined && { reference }) }
  })).json()
  const page = await resource('test://page', true)
  t.match(page, { type: 'text/html', preview: '<script>' })
  t.match((await read(app, session, page.ref)).headers, { 'content-type': 'text/html; charset=utf-8', 'content-disposition': 'attachment' })
  t.equal((await read(app, session, (await resource('test://blob', true)).ref)).rawPayload.toString('base64'), 'iVBORw0KGgo=')
  const json = await resource('test://json', true)
  t.match(json, { type: 'application/json', keys: ['a'] })
  t.equal((await read(app, session, json.ref, { query: '?pointer=/a/1' })).body, '12345678901234567890')
  t.ok((await resource('test://json')).contents)
})

t.test('above MCP_INLINE_RESULT_BYTES a success is referred to, unless its caller wants it whole', async t => {
  const session = await initSession(app)
  const make = (bytes: number, options: object = {}, headers: Record<string, string> = {}) => app.inject({
    method: 'POST', url: '/call-tool', headers, payload: { session_id: session, tool: 'make', params: { bytes }, result: 'json', ...options }
  })
  t.equal((await make(1_000)).json().rows.length, 24)
  const { ref } = (await make(9_000)).json()
  t.equal((await read(app, session, ref)).json().rows.length, 215)
  t.equal((await make(9_000, { reference: false })).json().rows.length, 215)
  const first = await make(9_000, {}, { 'idempotency-key': 'k' })
  t.match(first.json(), { ref: /^r_/ })
  t.equal((await make(9_000, {}, { 'idempotency-key': 'k' })).body, first.body)
  const events = await make(9_000, {}, { accept: 'text/event-stream' })
  t.match(events.body, /event: result\ndata: \{"status":"success","ref":"r_/)
  const later = await make(1_000, { reference: true }, { prefer: 'respond-async, wait=20' })
  t.match([later.statusCode, later.json()], [200, { ref: /^r_/ }])
  const query = await app.inject({
    method: 'POST', url: '/tools/make?reference=true', headers: { 'x-session-id': session }, payload: { bytes: 10 }
  })
  t.match(query.json(), { ref: /^r_/, type: 'object', keys: ['result'] })

  const failed = JSON.stringify({ isError: true, content: [{ type: 'text', text: 'x'.repeat(5_000) }] })
  const own = JSON.stringify({ content: [], structuredContent: { status: 'error', error: 'x'.repeat(5_000) } })
  for (const result of [failed, own]) {
    t.equal((await callWith(app, session, 'give', { result })).json().error.length, 5_000)
    t.equal((await callWith(app, session, 'give', { result }, {})).json().status, 'error')
  }
  for (const id of ['a{b', 'a{b}c', '{}{x}', 'a}b']) {
    await app.inject({ method: 'POST', url: '/init', payload: { session_id: id, apiUrl: 'https://a.example.com', jwtToken: 'a.b.c' } })
    const wanted = await callWith(app, id, 'make', { bytes: 10 })
    t.equal((await read(app, id, wanted.json().ref)).statusCode, 200, id)
  }
  const wide = JSON.stringify({ content: [], structuredContent: Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`\u0001🙂${at}`.repeat(9), '\u0001'])) })
  const reply = await callWith(app, session, 'give', { result: wide })
  t.ok(reply.rawPayload.length <= 4_096 && reply.json().keys.length > 3, `${reply.rawPayload.length} bytes`)
})
