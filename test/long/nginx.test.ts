import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { problemBody, titleOf, wantsProblem } from '../../lib/http/failure-body.ts'
import { jwtToken } from '../support/credentials.ts'
import { type NginxServer, startNginx as start } from '../../scripts/nginx-server.mjs'
import { makeFolder } from '../support/folders.ts'
import { root } from '../support/paths.ts'
import { serversOf } from '../support/processes.ts'
import { callAt, openSession, post } from '../support/requests.ts'
import { environment, listen, type ListeningService, type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

/** The real nginx with deploy/nginx.conf, of which nothing is changed but where things are. */
async function startNginx (t: Test, upstreams: string[]): Promise<NginxServer> {
  const nginx = await start({ folder: await makeFolder(t), ports: upstreams.map(url => new URL(url).port) })
  t.teardown(nginx.stop)
  return nginx
}

/** Two services on one Redis, and nginx in front of them. */
async function startAll (t: Test) {
  const shared = await environment(t)
  const services = await Promise.all([startService(t, shared), startService(t, shared)])
  const nginx = await startNginx(
    t,
    services.map(({ url }) => url)
  )
  return { services, nginx, url: nginx.url }
}

/** How many requests of a route a service has answered, by its log. */
const answered = ({ output }: ListeningService, route: string) =>
  output()
    .split('\n')
    .filter(line => line.includes('"msg":"request answered"') && line.includes(`"route":"${route}"`)).length

const sum = (numbers: number[]) => numbers.reduce((one, other) => one + other, 0)

/** Counts what each service answers from now on. */
function countAnswers (services: ListeningService[], route: string): () => number[] {
  const before = services.map(service => answered(service, route))
  return () => services.map((service, index) => answered(service, route) - (before[index] ?? 0))
}

/** The services of most tests. The last of these tests ends them. */
const { services, nginx, url } = await startAll(t)

t.test('calls of one session go to both services, and each sees what the other kept', async t => {
  const counts = countAnswers(services, '/call-tool')
  const id = await openSession({ url })

  const counted: unknown[] = []
  for (let call = 0; call < 10; call++) counted.push((await callAt({ url }, id, 'count')).body)

  t.strictSame(
    counted,
    Array.from({ length: 10 }, (_, index) => ({ status: 'success', n: index + 1 }))
  )
  await until(() => sum(counts()) === 10, 'both have logged')
  for (const [index, count] of counts().entries()) t.ok(count >= 3, `${services[index]?.url} answered some`)
})

t.test("the session's id may come in the header", async t => {
  const counts = countAnswers(services, '/call-tool')
  const id = await openSession({ url })

  t.match(await post(`${url}/call-tool`, { tool: 'echo', params: { text: 'hello' } }, { 'x-session-id': id }), {
    status: 200,
    body: { text: 'hello' }
  })
  t.match(await post(`${url}/call-tool`, { tool: 'echo' }, { 'x-session-id': 'no-such-session' }), {
    status: 409,
    body: { code: 'MCPC_ERR_SESSION_NOT_FOUND' }
  })
  // A log line may come after its answer: it must not be counted by the next test.
  await until(() => sum(counts()) === 2, 'both have logged')
})

t.test('slow calls are waited for, and spread over the services', async t => {
  const counts = countAnswers(services, '/call-tool')
  const id = await openSession({ url })

  const answers = await Promise.all(Array.from({ length: 4 }, () => callAt({ url }, id, 'wait', { ms: 2_000 })))

  for (const answer of answers) t.match(answer, { status: 200, body: { status: 'success', waited: 2_000 } })
  await until(() => sum(counts()) === 4, 'both have logged')
  t.strictSame(counts(), [2, 2], 'the one with the fewest under way is next')
})

t.test('a caller who leaves ends the call behind nginx, too', async t => {
  const id = await openSession({ url })
  const caller = new AbortController()
  const servers = () => services.flatMap(({ pid }) => serversOf(pid))
  // A server of an earlier call would look like this one's, and the caller would leave before nginx passes it on.
  await until(() => servers().length === 0, 'the servers of earlier calls are gone')

  const call = fetch(`${url}/call-tool`, {
    method: 'POST',
    signal: caller.signal,
    body: JSON.stringify({ session_id: id, tool: 'wait', params: { ms: 600_000 } })
  })
  await until(() => servers().length > 0, 'a service works on the call')
  caller.abort()

  await t.rejects(call)
  await until(() => servers().length === 0, 'the server of the call is gone')
  await until(() => services.some(({ output }) => output().includes('caller left before the answer')), 'it is logged')
})

t.test(
  "a body that is too large gets the service's own answer, and one far too large nginx's, with the same code",
  async t => {
    const counts = countAnswers(services, '/call-tool')
    const send = (bytes: number) => callAt({ url }, 'any', 'echo', { text: 'x'.repeat(bytes) })

    for (let round = 0; round < 10; round++) {
      t.match(await send(9_000_000), {
        status: 413,
        body: {
          status: 'error',
          error: 'The body is larger than 8388608 bytes',
          code: 'MCPC_ERR_BODY_TOO_LARGE',
          retryable: false
        }
      })
    }
    t.match(await send(17_000_000), {
      status: 413,
      body: { status: 'error', error: 'The body is too large', code: 'MCPC_ERR_BODY_TOO_LARGE', retryable: false }
    })
    t.match(
      await send(8_388_000),
      { status: 409, body: { code: 'MCPC_ERR_SESSION_NOT_FOUND' } },
      'one that is allowed is read by a service'
    )
    await until(() => sum(counts()) === 11, 'the services have seen all but one')
  }
)

const problem = 'application/problem+json'

/** Sends bytes, and reads until nginx closes the connection. */
async function sendRaw (bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let text = ''
  socket.on('data', chunk => { text += String(chunk) }).on('error', () => {}).write(bytes)
  await once(socket, 'close')
  return text
}

t.test("nginx's own refusals have the shape of the service's", async t => {
  const long = 'x'.repeat(40_000)
  const last = 'HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
  for (const [what, bytes, status, code] of [
    ['no request line', 'garbage\r\n\r\n', 400, 'MCPC_ERR_BAD_REQUEST'],
    ['a path of nginx alone', `GET /.nginx/bad_request ${last}`, 404, 'MCPC_ERR_NOT_FOUND'],
    ['no Host', 'GET /livez HTTP/1.1\r\n\r\n', 400, 'MCPC_ERR_BAD_REQUEST'],
    ['a length that is none', 'GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n', 400, 'MCPC_ERR_BAD_REQUEST'],
    ['TRACE', `TRACE /livez ${last}`, 405, 'MCPC_ERR_METHOD_NOT_ALLOWED'],
    ['a path that is too long', `GET /${long} HTTP/1.1\r\nhost: x\r\n\r\n`, 414, 'MCPC_ERR_BAD_REQUEST'],
    ['headers that are too large', `GET /livez HTTP/1.1\r\nx-large: ${long}\r\n\r\n`, 431, 'MCPC_ERR_BAD_REQUEST']
  ] as const) {
    const [head = '', body = ''] = (await sendRaw(bytes)).split('\r\n\r\n')
    t.match(head, new RegExp(`^HTTP/1.1 ${status} `), what)
    t.match(head, /^content-type: application\/json\r$/im, what)
    t.equal(head.match(/^content-type:/gim)?.length, 1, what)
    t.match(head, /^cache-control: no-store/im, what)
    t.match(head, /^x-request-id: [\da-f]{32}\r?$/im, what)
    t.match(JSON.parse(body), { status: 'error', error: String, code, retryable: false }, what)
    if (!bytes.includes('HTTP/1.1')) continue

    // The same as problem details.
    const asked = bytes.replace('HTTP/1.1\r\n', `HTTP/1.1\r\naccept: ${problem}\r\nx-request-id: mine-7\r\n`)
    const [otherHead = '', otherBody = ''] = (await sendRaw(asked)).split('\r\n\r\n')
    t.match(otherHead, new RegExp(`^HTTP/1.1 ${status} `), what)
    const details = JSON.parse(otherBody) as Record<string, unknown>
    if (details.type === undefined) {
      // nginx has read no header then.
      t.match(what, 'a path that is too long')
      continue
    }
    t.match(otherHead, /^content-type: application\/problem\+json\r$/im, what)
    t.match(otherHead, /^vary: accept\r$/im, what)
    t.match(otherHead, new RegExp(`^x-request-id: ${String(details.instance)}\r?$`, 'im'), what)
    t.strictSame(otherBody, problemBody({ code, message: (JSON.parse(body) as { error: string }).error }, {
      statusCode: status, acted: undefined, requestId: String(details.instance), docsUrl: '/docs/errors'
    }), what)
  }
})

/** What callers accept, in many forms. */
const accepts = [
  problem, problem.toUpperCase(), `application/json, ${problem}`, `${problem}, application/json`, `text/html,${problem};q=0.1`,
  `${problem};q=0`, `${problem};q=0.0`, `${problem};q=0.000`, `${problem};q=0.001`, `${problem};q=1.000`, `${problem};q=1.`,
  `${problem};q=0.5, application/json;q=0.5`, `${problem};q=0.50, application/json;q=0.5`,
  `${problem};q=0.5, application/json;q=0.500`, `${problem};q=0.5, application/json;q=0.51`,
  `${problem};q=0.51, application/json;q=0.5`, `${problem};q=0.9, application/json;q=0.10`,
  `${problem};q=0.10, application/json;q=0.9`, `${problem};q=0.123, application/json;q=0.124`,
  `${problem};q=0.124, application/json;q=0.123`, `application/json;q=0.2, ${problem};q=0.3`,
  `${problem};q=0.5, application/json`, `${problem};q=0.5, application/*`, `${problem};q=0.5, */*`,
  `${problem};q=0.5, */*;q=0.4`, `${problem};q=0.5, application/*;q=0.6, application/json;q=0.1`, `${problem};q=0.5, text/*`,
  `${problem};q=0.5, application/json;q=0`, `${problem} ; q=0.7 , application/json ; q=0.6`,
  `${problem};charset=utf-8;q=0.7, application/json;q=0.8`, `${problem};profile=a;q=0`, `${problem};q=0.7;ext=1, */*;q=0.6`,
  `${problem};q=abc`, `${problem};q=2`, `${problem};q=-1`, `${problem};q=0.1234`, `${problem};q=`, `${problem}x`, `x${problem}`,
  '*/*', 'application/*', 'application/json', 'text/html', '', ',', 'nonsense', `${problem};`, `,${problem},`, `a/b;c=${problem}`
]

t.test('nginx takes the same callers for such that want problem details as the service does', async t => {
  for (const accept of accepts) {
    const headers = `host: x\r\naccept: ${accept}\r\nconnection: close\r\n\r\n`
    const answer = await sendRaw(`TRACE /livez HTTP/1.1\r\n${headers}`)
    t.match(answer, 'HTTP/1.1 405 ')
    t.equal(/^content-type: application\/problem\+json/im.test(answer), wantsProblem(accept), accept)
  }
})

t.test("each of nginx's failures is JSON in both forms, with the title of its code", t => {
  const text = readFileSync(join(root, 'deploy', 'nginx.conf'), 'utf8')
  const bodies = [...text.matchAll(/^ {8}0 '(\{.*\})';\n {8}1 '(\{.*\})';$/gm)]
  t.equal(bodies.length, (text.match(/error_page /g) ?? []).length)
  for (const [, usual = '', details = ''] of bodies) {
    const { status, error, ...facts } = JSON.parse(usual) as Record<string, string>
    const { code } = facts
    const isRefusal = code === 'MCPC_ERR_SATURATED'
    t.strictSame([status, facts], ['error', { code, retryable: isRefusal, ...(isRefusal && { acted: 'no' }) }])
    const problemDetails = JSON.parse(details) as Record<string, unknown>
    t.strictSame(problemDetails, {
      type: `$mcp_error_docs#${code}`,
      title: titleOf(String(code)),
      status: problemDetails.status,
      detail: error,
      instance: '$mcp_refusal_id',
      ...facts
    })
    t.match(text, new RegExp(`return ${String(problemDetails.status)} \\$mcp_`))
  }
  t.end()
})

t.test("a request's id goes through nginx to the service, into both logs, and back", async t => {
  const idOf = async (sent?: string) => {
    const response = await fetch(`${url}/tools`, {
      method: 'POST', body: '{"session_id":"none"}', headers: sent === undefined ? {} : { 'x-request-id': sent }
    })
    return response.headers.get('x-request-id')
  }
  t.equal(await idOf('trace:1/2+3=4@host'), 'trace:1/2+3=4@host')
  const made = await idOf()
  t.match(made, /^[\da-f]{32}$/)
  for (const hostile of ['a b', 'x'.repeat(129), '"},{"', 'a;b', '<script>']) t.match(await idOf(hostile), /^[\da-f]{32}$/)
  for (const id of ['trace:1/2+3=4@host', String(made)]) {
    await until(() => services.some(({ output }) => output().includes(`"reqId":"${id}"`)), `the service logs ${id}`)
    await until(() => nginx.accessLog().includes(` ${id}\n`), `nginx logs ${id}`)
  }
})

t.test('under a path prefix everything is where it says', async t => {
  const shared = await environment(t, { MCP_BASE_PATH: '/tools/mcp' })
  const services = [await listen(t, shared), await listen(t, shared)]
  const { url } = await startNginx(t, services.map(({ url }) => url))
  const base = `${url}/tools/mcp`
  for (const path of ['/livez', '/readyz', '/health', '/docs/', '/docs/static/swagger-ui.css', '/docs/json']) {
    t.equal((await fetch(`${base}${path}`)).status, 200, path)
    t.equal((await fetch(`${url}${path}`)).status, 404, `${path} without the prefix`)
  }
  const id = await openSession({ url: base })
  t.match(await callAt({ url: base }, id, 'echo', { text: 'hello' }), { status: 200, body: { text: 'hello' } })
  t.match(await post(`${base}/livez`, {}), { status: 405, body: { error: '/tools/mcp/livez takes GET' } })
  const description = await (await fetch(`${base}/openapi.json`)).json() as { servers: unknown, paths: object }
  t.match(description.servers, [{ url: '/tools/mcp' }])
  t.ok('/call-tool' in description.paths, 'its paths are below that')
  t.notMatch(nginx.accessLog(), 'readyz', 'probes are not in the log')
})

t.test("neither a session's id nor a token is in nginx's logs", async t => {
  const id = await openSession({ url })
  await callAt({ url }, id, 'echo', { text: 'x'.repeat(1_000_000) }) // large enough for a file: that is warned of
  await post(`${url}/tools`, {}, { 'x-session-id': id })

  const logs = `${nginx.accessLog()}${nginx.errorLog()}`
  t.match(logs, '"POST /call-tool" 200')
  t.notMatch(logs, id)
  t.notMatch(logs, jwtToken)
})

t.test("no service at all is a failure in the service's own shape", async t => {
  for (const service of services) {
    service.kill('SIGTERM')
    t.strictSame(
      await service.exited,
      { code: 0, signal: null },
      'connections that nginx keeps do not hold up the end'
    )
  }

  t.match(await callAt({ url }, 'any', 'echo'), {
    status: 502,
    body: { status: 'error', code: 'NGINX_NO_ANSWER', retryable: false }
  })
  t.equal((await fetch(`${url}/livez`)).status, 502)
  const asked = await fetch(`${url}/page.html`, { headers: { accept: problem, 'x-request-id': 'a:b' } })
  t.equal(asked.headers.get('content-type'), problem, 'whatever the path ends in')
  t.match(await asked.json(), {
    type: '/docs/errors#NGINX_NO_ANSWER', status: 502, code: 'NGINX_NO_ANSWER', instance: asked.headers.get('x-request-id')
  })
  t.match(asked.headers.get('x-request-id'), /^[\da-f]{32}$/, 'what it cannot encode it does not repeat')
  t.match(nginx.errorLog(), 'Connection refused')
})

t.test('a service that was killed is routed around', async t => {
  const shared = await environment(t)
  const [dying, other] = [await startService(t, shared), await listen(t, shared)]
  const { url } = await startNginx(t, [dying.url, other.url])
  const id = await openSession({ url })
  await Promise.all(Array.from({ length: 4 }, () => callAt({ url }, id, 'echo')))

  dying.kill('SIGKILL')
  await dying.exited

  const statuses: number[] = []
  for (let call = 0; call < 6; call++) statuses.push((await callAt({ url }, id, 'echo')).status)
  t.strictSame(statuses, [200, 200, 200, 200, 200, 200])
  t.equal((await fetch(`${url}/readyz`)).status, 200)
})

t.test('a call whose service dies is answered once, as failed, and never made again', async t => {
  const { services, url } = await startAll(t)
  const id = await openSession({ url })

  const call = callAt({ url }, id, 'wait', { ms: 600_000 })
  let busy: Service | undefined
  await until(() => {
    for (const service of services) if (serversOf(service.pid).length > 0) busy = service
    return busy !== undefined
  }, 'a service works on the call')
  busy?.kill('SIGKILL')

  t.match(await call, { status: 502, body: { status: 'error', code: 'NGINX_NO_ANSWER', retryable: false } })
  const idle = services.find(service => service !== busy) as Service
  t.strictSame(serversOf(idle.pid), [], 'the other service does not work on it')
  await callAt({ url }, id, 'echo')
  await until(() => answered(idle, '/call-tool') > 0, 'the other service has logged')
  t.equal(answered(idle, '/call-tool'), 1, 'the other service was called after it, and not before')
})

t.test('the services are called by the name that nginx was called by, which must be a name of theirs', async t => {
  const shared = await environment(t, { MCP_ALLOWED_HOSTS: 'mcp.example.com' })
  const services = [await listen(t, shared), await listen(t, shared)]
  const { url } = await startNginx(
    t,
    services.map(({ url }) => url)
  )
  for (const [host, status] of [
    ['mcp.example.com', 200],
    ['mcp.example.com:8080', 200],
    ['evil.example', 403]
  ] as const) {
    const sent = request(`${url}/readyz`, { headers: { host } }).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    response.resume()
    t.equal(response.statusCode, status, host)
  }
})

/** A server that stands for a service, to see what nginx sends and when. */
async function startUpstream (t: Test, handle: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    request.resume()
    handle(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(
    () =>
      new Promise(resolve => {
        server.close(resolve)
        server.closeAllConnections()
      })
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

t.test('a POST that was sent is never sent again; a GET is', async t => {
  const breakOff = (request: IncomingMessage, response: ServerResponse) => {
    request.on('end', () => response.destroy())
  }
  const upstreams = await Promise.all([startUpstream(t, breakOff), startUpstream(t, breakOff)])
  const { url } = await startNginx(
    t,
    upstreams.map(({ url }) => url)
  )

  t.match(await post(`${url}/call-tool`, { tool: 'transfer' }), { status: 502, body: { code: 'NGINX_NO_ANSWER' } })
  t.strictSame(
    upstreams.flatMap(({ requests }) => requests),
    ['POST /call-tool']
  )

  // Neither is left out for that.
  t.equal((await fetch(`${url}/tools-schema`)).status, 502)
  t.strictSame(upstreams.flatMap(({ requests }) => requests).sort(), [
    'GET /tools-schema',
    'GET /tools-schema',
    'POST /call-tool'
  ])
})

t.test('a service that is too slow is a failure in both forms', async t => {
  const upstream = await startUpstream(t, () => {})
  const { url } = await startNginx(t, [upstream.url])
  const [usual, details] = await Promise.all([{}, { accept: problem }].map(async (headers: Record<string, string>) => {
    const response = await fetch(`${url}/livez`, { headers })
    t.equal(response.status, 504)
    return await response.json() as Record<string, unknown>
  }))
  t.match(usual, { status: 'error', code: 'NGINX_NO_ANSWER', retryable: false })
  t.match(details, { status: 504, title: 'Nginx no answer', code: 'NGINX_NO_ANSWER', retryable: false })
})

t.test('what piles up in front of the services is refused, and nothing of it was done', async t => {
  const held: ServerResponse[] = []
  const upstream = await startUpstream(t, (_request, response) => held.push(response))
  const { url } = await startNginx(t, [upstream.url])
  const most = 1_000
  const sent = Array.from({ length: most + 10 }, () => fetch(`${url}/call-tool`, { method: 'POST', body: '{}' }))
  await until(() => held.length === most, 'as many as may be are under way')
  const refused = await Promise.all(Array.from({ length: 10 }, () => Promise.race(sent.map(each => each))))
  t.equal((await fetch(`${url}/livez`, { signal: AbortSignal.timeout(1_000) }).catch(() => null)), null, 'asked')
  t.equal(held.length, most + 1, 'a probe passes')
  for (const response of held) response.end('{}')
  const statuses = (await Promise.all(sent)).map(({ status }) => status)
  t.strictSame([200, 503].map(wanted => statuses.filter(status => status === wanted).length), [most, 10])
  t.match(refused[0]?.headers.get('retry-after'), '1')
  t.match(await refused[0]?.json(), { status: 'error', code: 'MCPC_ERR_SATURATED', retryable: true, acted: 'no' })
  const again = await fetch(`${url}/call-tool`, { method: 'POST', body: '{}', signal: AbortSignal.timeout(500) })
    .catch(() => null)
  t.equal(again, null, 'the next one is let through')
})

t.test('an event stream passes event by event, and headers as they were sent', async t => {
  const seen: IncomingMessage['headers'][] = []
  const streams: ServerResponse[] = []
  const stream = (request: IncomingMessage, response: ServerResponse) => {
    seen.push(request.headers)
    streams.push(response)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
  }
  const upstreams = await Promise.all([startUpstream(t, stream), startUpstream(t, stream)])
  const { url } = await startNginx(
    t,
    upstreams.map(({ url }) => url)
  )

  const response = await fetch(`${url}/events`, {
    headers: { 'x-session-id': 'demo-1', 'x-forwarded-for': '192.0.2.7' }
  })
  const events = (response.body as unknown as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  const next = async () => Buffer.from((await events.next()).value as Uint8Array).toString()

  t.equal(await next(), 'data: first\n\n')
  streams[0]?.write('data: second\n\n') // sent only now that the first has arrived
  t.equal(await next(), 'data: second\n\n')
  streams[0]?.end()
  t.match(seen[0], { 'x-session-id': 'demo-1', 'x-forwarded-for': '192.0.2.7, 127.0.0.1' })
  t.notOk(seen[0]?.connection?.includes('close'), 'the connection to the service is kept')
})
