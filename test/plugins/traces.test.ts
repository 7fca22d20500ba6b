import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api'
import {
  InMemorySpanExporter, NodeTracerProvider, type ReadableSpan, SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-node'
import t from 'tap'
import { startAnsweringServer } from '../support/answering-server.ts'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { post } from '../support/requests.ts'
import { startScripted, textResult } from '../support/scripted-server.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen } from '../support/service.ts'
import { until } from '../support/wait.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })

/** A caller with a span of its own, which says so in its headers. */
async function asCaller<Value> (work: (headers: Record<string, string>) => Promise<Value>) {
  const span = provider.getTracer('caller').startSpan('caller')
  const headers: Record<string, string> = {}
  propagation.inject(trace.setSpan(context.active(), span), headers)
  const value = await work(headers)
  span.end()
  const { traceId, spanId } = span.spanContext()
  return { value, traceId, spanId }
}

const spansOf = (traceId: string) =>
  exporter.getFinishedSpans().filter(span => span.spanContext().traceId === traceId)

/** The names of a span's ancestors, from its parent on. */
function pathOf (span: ReadableSpan, all: readonly ReadableSpan[]): string[] {
  const parent = all.find(other => other.spanContext().spanId === span.parentSpanContext?.spanId)
  return parent === undefined ? [] : [parent.name, ...pathOf(parent, all)]
}

t.test('a call is one trace', async t => {
  t.teardown(async () => {
    trace.disable()
    context.disable()
    propagation.disable()
    await provider.shutdown()
  })
  provider.register()

  const web = await startAnsweringServer(t, {
    answers: {
      'tools/list': () => ({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }),
      'tools/call': () => ({ content: [{ type: 'text', text: 'answered' }] })
    }
  })
  const { entry } = await startScripted(t, 'stdio', { 'tools/call': textResult('answered') })
  const mcpServers = { web: { url: web.url }, own: entry, shared: { ...entry, lifecycle: 'shared' } }
  const service = await listen(t, { MCP_SERVERS_FILE: await serversFile(t, mcpServers) })
  const session = 'the-canary-session'
  await post(`${service.url}/init`, { session_id: session, apiUrl, jwtToken })
  const { body } = await post(`${service.url}/tools`, { session_id: session })
  const names = (body as { tools: Array<{ name: string }> }).tools.map(({ name }) => name)
  const params = { text: 'the-canary-argument' }

  for (const server of ['web', 'own', 'shared']) {
    const tool = names.find(name => name.startsWith(server) && name.endsWith('echo')) ?? ''
    for (const accept of ['application/json', 'text/event-stream']) {
      t.test(`of a server ${server}, answered as ${accept}`, async t => {
        const { traceId, spanId } = await asCaller(async headers => {
          const response = await fetch(`${service.url}/call-tool`, {
            method: 'POST', headers: { ...headers, accept }, body: JSON.stringify({ session_id: session, tool, params })
          })
          t.match(await response.text(), 'answered')
        })
        await until(() => spansOf(traceId).some(({ name }) => name === 'POST /call-tool'), 'the request has ended')
        const spans = spansOf(traceId)
        const paths = new Map(spans.map(span => [span.name, pathOf(span, spans)]))
        t.strictSame(paths.get('POST /call-tool'), ['caller'])
        t.equal(spans.find(({ name }) => name === 'POST /call-tool')?.parentSpanContext?.spanId, spanId)
        t.strictSame(paths.get('load session'), ['POST /call-tool', 'caller'])
        t.strictSame(paths.get(`execute_tool ${tool}`), ['POST /call-tool', 'caller'])
        t.strictSame(paths.get('tools/call echo'), [`execute_tool ${tool}`, 'POST /call-tool', 'caller'])
        t.ok(paths.has('evalsha'), 'Redis')
        if (server === 'own') {
          t.strictSame(paths.get('wait for turn'), [`execute_tool ${tool}`, 'POST /call-tool', 'caller'])
          t.strictSame(paths.get('start server')?.slice(-3), [`execute_tool ${tool}`, 'POST /call-tool', 'caller'])
        }
        const sent = spans.find(({ name }) => name === 'tools/call echo')
        const attributes = { 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'echo', 'mcp_client.server': server }
        t.match(sent?.attributes, attributes)
        if (server === 'web') {
          const received = web.requests.filter(({ message }) => message.method === 'tools/call').at(-1)
          const traceparent = `00-${traceId}-${sent?.spanContext().spanId}-01`
          t.match(received, { headers: { traceparent }, message: { params: { _meta: { traceparent } } } })
        }
        const lines = service.output().split('\n').filter(line => line.includes(`"traceId":"${traceId}"`))
        t.match(lines.map(line => JSON.parse(line).msg).sort(), ['audit', 'request answered'])
      })
    }
  }

  t.test('failures are marked, and no attribute holds what a caller said', async t => {
    for (const tool of ['the-canary-tool', names[0] ?? '']) {
      const { traceId } = await asCaller(async headers => {
        const id = tool === 'the-canary-tool' ? session : 'the-canary-nobody'
        await post(`${service.url}/call-tool`, { session_id: id, tool, params }, headers)
      })
      await until(() => spansOf(traceId).some(({ name }) => name === 'POST /call-tool'), 'the request has ended')
      const failed = spansOf(traceId).filter(({ status }) => status.code === SpanStatusCode.ERROR)
      t.match(failed[0]?.attributes['error.type'], /^MCPC_ERR_(UNKNOWN_TOOL|SESSION_NOT_FOUND)$/)
    }
    const all = exporter.getFinishedSpans()
    t.ok(all.length > 40)
    const text = JSON.stringify(all.map(({ name, attributes, events, status }) => [name, attributes, events, status]))
    t.notMatch(text, /canary/)
    t.notOk(text.includes(jwtToken))
  })
})
