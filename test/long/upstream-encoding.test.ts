import { readFileSync } from 'node:fs'
import * as zlib from 'node:zlib'
import t, { type Test } from 'tap'
import { cases } from '../support/cases.ts'
import { serve } from '../support/http-server.ts'
import { call, callAt, initSession, openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { serviceOn, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const results: Record<string, unknown> = {
  'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
  'tools/list': { tools: [{ name: 'get', inputSchema: { type: 'object' } }] },
  'tools/call': { content: [{ type: 'text', text: '"well"' }] }
}
const textFor = ({ id, method = '' }: { id?: number, method?: string }) =>
  JSON.stringify({ jsonrpc: '2.0', id, result: results[method] })

type Encoded = { headers: Record<string, string>, body: Buffer }

/** A server of 2026 whose answers to calls are made by `encode`. */
const startServer = (test: Test, encode: (text: string) => Encoded) => serve(test, ({ message }, response) => {
  const text = textFor(message)
  const { headers, body } = message.method === 'tools/call'
    ? encode(text)
    : { headers: { 'content-type': 'application/json' }, body: Buffer.from(text) }
  response.writeHead(200, headers).end(body)
})

const json = { 'content-type': 'application/json' }
const events = { 'content-type': 'text/event-stream' }
const bytes = (text: string) => Buffer.from(text)

t.test('an answer is read in its encoding, and as text where its header names none', async t => {
  for (const [what, encode] of [
    ['gzip', text => ({ headers: { ...json, 'content-encoding': 'gzip' }, body: zlib.gzipSync(text) })],
    ['deflate', text => ({ headers: { ...json, 'content-encoding': 'deflate' }, body: zlib.deflateSync(text) })],
    ['br', text => ({ headers: { ...json, 'content-encoding': 'br' }, body: zlib.brotliCompressSync(text) })],
    ['events', text => ({
      headers: { ...events, 'content-encoding': 'gzip' }, body: zlib.gzipSync(`data: ${text}\n\n`)
    })],
    ['utf-8', text => ({ headers: { ...json, 'content-encoding': 'utf-8' }, body: bytes(text) })],
    ['none', text => ({ headers: { ...events, 'content-encoding': 'none' }, body: bytes(`data: ${text}\n\n`) })]
  ] as Array<[string, (text: string) => Encoded]>) {
    const { url } = await startServer(t, encode)
    const service = await serviceOn(t, { up: { url } })
    t.equal((await call(service, await initSession(service), 'get')).json(), 'well', what)
  }
})

t.test('an answer that nobody could decode fails at once, and says why', async t => {
  for (const [encode, reason] of [
    [text => ({ headers: { ...json, 'content-encoding': 'gzip' }, body: bytes(text) }),
      'its answer is not in the encoding gzip that it names'],
    [text => ({ headers: { ...json, 'content-encoding': 'br' }, body: zlib.gzipSync(text) }),
      'its answer is not in the encoding br that it names'],
    [text => ({ headers: { ...json, 'content-encoding': 'gzip' }, body: zlib.gzipSync(text).subarray(0, -12) }),
      'what came is no answer to it'],
    [text => ({ headers: { ...json, 'content-encoding': 'compress' }, body: zlib.gzipSync(text) }),
      'it answered with the content encoding compress']
  ] as Array<[(text: string) => Encoded, string]>) {
    const { url } = await startServer(t, encode)
    const service = await serviceOn(t, { up: { url } })
    const response = await call(service, await initSession(service), 'get')
    t.match(response.json(), { code: 'MCPC_ERR_MCP_CALL', acted: 'unknown' })
    t.match(response.json().error, reason)
  }
})

/** How many bytes of a bomb were sent, at most its gigabyte of zeros. */
async function startBomb (test: Test, encoding: 'gzip' | 'br', headers: Record<string, string>, start: string) {
  const piece = 16 * 1_048_576
  const zeros = Buffer.alloc(piece)
  return await serve(test, ({ message }, response) => {
    if (message.method !== 'tools/call') return response.writeHead(200, json).end(textFor(message))
    response.writeHead(200, { ...headers, 'content-encoding': encoding })
    const encoder = encoding === 'gzip'
      ? zlib.createGzip({ level: 1 })
      : zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })
    encoder.on('error', () => {})
    response.on('error', () => {}).once('close', () => encoder.destroy())
    encoder.pipe(response)
    encoder.write(start)
    let written = 0
    const writeMore = () => {
      while (written < 1_073_741_824 && !encoder.destroyed) {
        written += piece
        if (!encoder.write(zeros)) return encoder.once('drain', writeMore)
      }
      encoder.end()
    }
    writeMore()
  })
}

/** The most memory that a process has had (bytes). */
const peakOf = (pid: number) =>
  Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024

t.test('a gigabyte of zeros in a small answer is cut off at the limit, and takes no memory', async t => {
  for (const [encoding, headers, start] of cases([
    ['gzip', json, '{"jsonrpc":"2.0","result":"'], ['br', events, ': '], ['br', json, '{'], ['gzip', events, 'data: ']
  ] as const, 4)) {
    const { url } = await startBomb(t, encoding, headers, start)
    const service = await startService(t, {
      MCP_SERVERS_FILE: await serversFile(t, { up: { url } }), MCP_MAX_RESULT_BYTES: '1048576'
    })
    const session = await openSession(service)
    const before = peakOf(service.pid)
    const { body } = await callAt(service, session, 'get')
    t.match(body, { code: 'MCPC_ERR_MCP_CALL', acted: 'unknown' }, `${encoding} ${start}`)
    t.match((body as { error: string }).error, 'a message is longer than 1048576 bytes (MCP_MAX_RESULT_BYTES)')
    const grown = Math.round((peakOf(service.pid) - before) / 1_048_576)
    t.ok(grown < 64, `it grew by ${grown} MiB`)
  }
})

t.test('an encoded stream of events is read event by event', async t => {
  let finish = (): void => {}
  const { url } = await serve(t, ({ message }, response) => {
    if (message.method !== 'tools/call') return response.writeHead(200, json).end(textFor(message))
    const encoder = zlib.createGzip()
    encoder.pipe(response.writeHead(200, { ...events, 'content-encoding': 'gzip' }))
    const { progressToken } = message.params?._meta as { progressToken: number }
    const params = { progressToken, progress: 1 }
    encoder.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params })}\n\n`)
    encoder.flush()
    finish = () => encoder.end(`data: ${textFor(message)}\n\n`)
  })
  const service = await startService(t, { MCP_SERVERS_FILE: await serversFile(t, { up: { url } }) })
  const session = await openSession(service)
  const response = await fetch(`${service.url}/call-tool`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ session_id: session, tool: 'get', params: {} })
  })
  let seen = ''
  const reading = (async () => {
    const decoder = new TextDecoder()
    if (response.body === null) throw new Error('the reply has no body')
    for await (const chunk of response.body) seen += decoder.decode(chunk, { stream: true })
  })()
  await until(() => seen.includes('event: progress'), 'the progress comes while the answer is still missing')
  t.notMatch(seen, 'event: result')
  finish()
  await reading
  t.match(seen, '"well"')
})
