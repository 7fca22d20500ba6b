import fc, { type Arbitrary } from 'fast-check'

/** A request as it is sent: the body is text, because what is no JSON is sent, too. */
export interface HostileRequest {
  method: string
  path: string
  headers: Record<string, string>
  body?: string
}

/** What the service knows that a caller may use. */
export interface Surroundings {
  /** Ids of sessions that are open, and the names of tools that there are. */
  sessions: readonly string[]
  tools: readonly string[]
  /** References to results. */
  references: readonly string[]
  /** Secrets of the sender, which may be repeated to nobody when they are in the wrong place. */
  secrets: readonly string[]
}

interface Schema {
  type?: string | string[]
  properties?: Record<string, Schema>
  required?: string[]
}
export interface Description {
  paths: Record<string, Record<string, { requestBody?: { content: { 'application/json': { schema: Schema } } } }>>
}

const hostileTexts = [
  '',
  ' ',
  '\0',
  'a\0b',
  'a\r\nX-Injected: 1',
  '\u2028',
  '\uD800',
  'a\uDFFF',
  '\uFEFF',
  '\u202Eevil',
  'Ω≈ç√',
  '💥'.repeat(64),
  '../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  // eslint-disable-next-line no-template-curly-in-string -- hostile texts look like placeholders
  '${session.jwtToken}',
  // eslint-disable-next-line no-template-curly-in-string -- as above
  '${env.PATH}',
  '{{7*7}}',
  "'; FLUSHALL; --",
  '*',
  '?',
  '[a-z]',
  'mcp_session:*',
  'a:b:c',
  'null',
  'true',
  'NaN',
  '1e999',
  'x'.repeat(257),
  'x'.repeat(5_000),
  '-1',
  '0x10',
  'javascript:alert(1)',
  'file:///etc/passwd'
]
const hostileNumbers = [
  '0',
  '-0',
  '1e308',
  '-1e308',
  '1e999',
  '9007199254740993',
  '123456789012345678901234567890',
  '0.1e-400',
  '-1',
  '4294967296',
  '1E400'
]
const deep = (levels: number, [open, close]: [string, string]) => open.repeat(levels) + close.repeat(levels)
const hostileJson = [
  'null',
  'true',
  '[]',
  '{}',
  '[[[]]]',
  '{"a":{"b":[null]}}',
  deep(60, ['[', ']']),
  deep(101, ['[', ']']),
  deep(20_000, ['[', ']']),
  deep(5_000, ['{"a":', '}']).replace('{"a":}', '{"a":1}'),
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":1,"valueOf":2,"hasOwnProperty":3}'
]
const notJson = [
  '',
  '{',
  '{"a":1,}',
  '[1,2',
  'NaN',
  '{a:1}',
  "{'a':1}",
  '{"a":1}{"b":2}',
  '\0',
  '\uFEFF{}',
  '<xml/>',
  'a=b&c=d',
  '"\\ud800"',
  '{"a":"\\x"}',
  '01',
  '{"a":.5}'
]

const jsonText = (text: string) => JSON.stringify(text)

/** JSON texts of values that are seldom wanted anywhere. */
function hostileValue ({ secrets }: Surroundings): Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...hostileTexts).map(jsonText) },
    { weight: 2, arbitrary: fc.constantFrom(...hostileNumbers) },
    { weight: 2, arbitrary: fc.constantFrom(...hostileJson) },
    { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map(jsonText) },
    { weight: 2, arbitrary: fc.json({ maxDepth: 4 }) },
    // In the wrong form: as such it is nobody's to repeat.
    { weight: 1, arbitrary: fc.constantFrom(...secrets).map(secret => JSON.stringify([secret])) }
  )
}

/** JSON texts of values that a field of this name may well have. */
function likelyValue (name: string, { sessions, tools, references, secrets }: Surroundings): Arbitrary<string> {
  const values: Record<string, unknown[]> = {
    session_id: [...sessions, 7, 'nobody'],
    tool: [...tools, 'nothing'],
    apiUrl: ['https://api.example.com', 'http://127.0.0.1:1'],
    jwtToken: [...secrets],
    params: [{}, null, { text: 'x' }, { nonce: '1' }, ...references.map($result => ({ text: { $result, pointer: '/text' } }))],
    reference: [true, false],
    timeout: [1, 0.5],
    continue: ['token'],
    responses: [{}],
    uri: ['file:///a', 'test://x'],
    name: ['greet'],
    ref: [
      { type: 'ref/prompt', name: 'greet' },
      { type: 'ref/resource', uri: 'file:///{a}' }
    ],
    argument: [{ name: 'a', value: 'b' }],
    arguments: [{ a: 'b' }]
  }
  return fc.constantFrom(...(values[name] ?? ['x']).map(value => JSON.stringify(value)))
}

/** Bodies that are nearly right: each field is likely, hostile, missing, or there twice. */
function bodyOf (schema: Schema, surroundings: Surroundings): Arbitrary<string> {
  const names = Object.keys(schema.properties ?? {})
  const fields = names.map(name =>
    fc
      .record({
        value: fc.oneof(
          { weight: 3, arbitrary: likelyValue(name, surroundings) },
          { weight: 2, arbitrary: hostileValue(surroundings) }
        ),
        times: fc.oneof(
          { weight: 8, arbitrary: fc.constant(1) },
          { weight: 1, arbitrary: fc.constant(0) },
          { weight: 1, arbitrary: fc.constant(2) }
        )
      })
      .map(({ value, times }) => Array.from({ length: times }, () => `${jsonText(name)}:${value}`))
  )
  const further = fc.array(
    fc
      .tuple(fc.constantFrom(...hostileTexts, ...names).map(jsonText), hostileValue(surroundings))
      .map(([name, value]) => `${name}:${value}`),
    { maxLength: 2 }
  )
  const object = fc
    .tuple(fc.tuple(...fields), further)
    .map(([own, others]) => `{${[...own.flat(), ...others].join(',')}}`)
  return fc.oneof(
    { weight: 8, arbitrary: object },
    { weight: 1, arbitrary: fc.constantFrom(...notJson) },
    { weight: 1, arbitrary: fc.constantFrom(...hostileJson, ...hostileNumbers) }
  )
}

/** Values that Node's client lets through; the others are sent over bare sockets. */
const headerText = fc.constantFrom(
  '',
  'x',
  'x'.repeat(300),
  '__proto__',
  '\xFF\xFE',
  'a,b',
  'Bearer ',
  'Bearer x',
  'Basic eDp5',
  '../..',
  '0',
  '-1',
  '*/*',
  'bytes=0-4',
  'bytes=-1,9999999999999999999-',
  'text/event-stream',
  'respond-async',
  '1-1',
  '18446744073709551616-0',
  'null',
  'application/x-www-form-urlencoded'
)

function headersOf ({ sessions }: Surroundings): Arbitrary<Record<string, string>> {
  const names = [
    'accept',
    'authorization',
    'content-type',
    'x-session-id',
    'x-api-key',
    'x-forwarded-for',
    'x-http-method-override',
    'origin',
    'cookie',
    'if-none-match',
    'range',
    'if-range',
    'te',
    'x-request-id',
    'last-event-id',
    'idempotency-key',
    'prefer',
    'traceparent'
  ]
  // Headers are bytes, and Latin-1 to Node.
  const ids = sessions.map(id => Buffer.from(id).toString('latin1'))
  return fc.dictionary(fc.constantFrom(...names), fc.oneof(headerText, fc.constantFrom(...ids)), { maxKeys: 3 })
}

const queries = [
  '', '', '?pointer=/text', '?pointer=%00', `?pointer=${'/a'.repeat(3_000)}`, '?fields=/*/*', '?fields=/text,/a&fields=x',
  '?offset=0&limit=1', '?offset=-1', '?limit=1e9', '?pointer=/text&offset=0', '?__proto__=1', '?pointer=/~2'
]

/** A path as it is, or with a reference where it takes one. */
const pathOf = (path: string, { references }: Surroundings): Arbitrary<string> => path.endsWith('/{ref}')
  ? fc.tuple(fc.constantFrom(...references, 'r_1', '%2e%2e', '{ref}'), fc.constantFrom(...queries))
    .map(([ref, query]) => path.replace('{ref}', ref) + query)
  : fc.constant(path)

/** Requests to every endpoint that is described, and to some that are not. */
export function hostileRequest ({ paths }: Description, surroundings: Surroundings): Arbitrary<HostileRequest> {
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => {
      const schema = requestBody?.content['application/json'].schema
      return fc.record({
        method: fc.constant(method.toUpperCase()),
        path: fc.oneof(
          { weight: 4, arbitrary: pathOf(path, surroundings) },
          {
            weight: 4,
            arbitrary: fc.constantFrom(
            `${path}?a=%00`, `${path}/`, path.toUpperCase(), path.replace('{id}', `c_${'a'.repeat(32)}`)
            )
          }
        ),
        headers: headersOf(surroundings),
        ...(schema !== undefined && { body: bodyOf(schema, surroundings) })
      })
    })
  )
  const undescribed = fc
    .record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'),
      path: fc.oneof(
        fc.constantFrom(
          '/',
          '//',
          '/%',
          '/%zz',
          '/..%2f..%2fetc',
          '/init/..',
          '/__proto__',
          '/docs/static/..%2f..%2fpackage.json',
          `/${'x'.repeat(3_000)}`,
          '/init%00',
          '/session;a=b'
        ),
        fc.webPath().map(path => path || '/')
      ),
      headers: headersOf(surroundings),
      body: fc.option(fc.constantFrom(...notJson, ...hostileJson), { nil: undefined })
    })
    .map(({ method, body, ...request }) => ({
      method,
      ...request,
      ...(body !== undefined && !['GET', 'HEAD'].includes(method) && { body })
    }))
  return fc.oneof(...described.map(arbitrary => ({ weight: 2, arbitrary: arbitrary as Arbitrary<HostileRequest> })), {
    weight: 3,
    arbitrary: undescribed
  })
}

/** A request by itself, as text. Each header ends with CRLF. */
export const plainRequest = (path: string, headers: string, body: string) =>
  `POST ${path} HTTP/1.1\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`

/**
 * What no client library sends: each a whole request, after which the connection may say what it wants, but not do
 * `inner`, which is hidden in it. `own` are the headers by which the service takes a request at all.
 */
export function smugglingRequests (inner: string, own: string): string[] {
  const post = (headers: string, body: string) => `POST /tools HTTP/1.1\r\n${own}${headers}\r\n\r\n${body}`
  const chunkedEnd = '0\r\n\r\n'
  return [
    post(`Content-Length: ${chunkedEnd.length + inner.length}\r\nTransfer-Encoding: chunked`, chunkedEnd + inner),
    post('Transfer-Encoding: chunked\r\nContent-Length: 4', `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`),
    post(`Content-Length: 2\r\nContent-Length: ${2 + inner.length}`, `{}${inner}`),
    post(`Content-Length: 2, ${2 + inner.length}`, `{}${inner}`),
    post('Content-Length: +2', `{}${inner}`),
    post('Content-Length: 0x2', `{}${inner}`),
    post(`Content-Length : ${2 + inner.length}`, `{}${inner}`),
    post('Transfer-Encoding: xchunked', chunkedEnd + inner),
    post('Transfer-Encoding : chunked', chunkedEnd + inner),
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', chunkedEnd + inner),
    post('Transfer-Encoding:\x0bchunked', chunkedEnd + inner),
    post('X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 2', '{}'),
    post(`X-Session-Id: a\nContent-Length: ${2 + inner.length}`, `{}${inner}`),
    post('X-Session-Id: a\0b\r\nContent-Length: 2', '{}'),
    post('X-Session-Id: a\r\r\nContent-Length: 2', `{}${inner}`),
    post('Host: y\r\nContent-Length: 2', '{}'),
    post('Transfer-Encoding: chunked', `1;${'e'.repeat(20_000)}\r\n{\r\n${chunkedEnd}`),
    post('Transfer-Encoding: chunked', `FFFFFFFFFFFFFFFF\r\n${inner}`),
    post('Expect: 100-continue\r\nContent-Length: 2', '{}'),
    `POST /tools HTTP/1.1\r\n${own}${'X: y\r\n'.repeat(3_000)}\r\n`,
    `GET http://evil.example/health HTTP/1.1\r\n${own}\r\n`,
    'GET /health HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET  /health HTTP/1.1\r\nHost: x\r\n\r\n',
    'CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc',
    'GET /health\r\n\r\n',
    '\r\n\r\n\r\n',
    'POST /tools HTTP/1.0\r\n\r\n'
  ]
}
