import { join } from 'node:path'
import { trace, type TracerProvider } from '@opentelemetry/api'
import t from 'tap'
import { flushSpans } from '../../lib/telemetry/spans.ts'
import { serve } from '../support/http-server.ts'
import { root } from '../support/paths.ts'
import { callAt, openSession } from '../support/requests.ts'
import { startService } from '../support/service.ts'

interface OtlpSpan { name: string, traceId: string, spanId: string, parentSpanId?: string }
interface OtlpBody {
  resourceSpans: Array<{
    resource: { attributes: Array<{ key: string, value: { stringValue?: string } }> }
    scopeSpans: Array<{ spans: OtlpSpan[] }>
  }>
}

t.test('the example sends the spans of a service, the last ones at its end', async t => {
  const collector = await serve(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  const service = await startService(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.origin, OTEL_SERVICE_NAME: 'the-name'
  }, {
    command: ['--v8-pool-size=1', '--import', join(root, 'examples', 'tracing.mjs'), join(root, 'scripts', 'start.mjs')]
  })
  const { status, body } = await callAt(service, await openSession(service), 'echo', { text: 'the-canary' })
  t.equal(status, 200, JSON.stringify(body))
  service.kill('SIGTERM')
  t.strictSame(await service.exited, { code: 0, signal: null })

  t.ok(collector.requests.length > 0)
  for (const { path } of collector.requests) t.equal(path, '/v1/traces')
  const sent = collector.requests.flatMap(({ text }) => (JSON.parse(text) as OtlpBody).resourceSpans)
  for (const { resource } of sent) {
    t.match(resource.attributes.find(({ key }) => key === 'service.name'), { value: { stringValue: 'the-name' } })
  }
  const spans = sent.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  const request = spans.find(({ name }) => name === 'POST /call-tool')
  const call = spans.find(({ name }) => name === 'execute_tool echo')
  t.equal(call?.parentSpanId, request?.spanId)
  t.equal(call?.traceId, request?.traceId)
  t.ok(spans.some(({ name, parentSpanId }) => name === 'tools/call echo' && parentSpanId === call?.spanId))
  t.notOk(collector.requests.some(({ text }) => text.includes('the-canary')))
})

t.test('a collector that is away does not keep the service from its end', async t => {
  t.teardown(() => trace.disable())
  const tracer = { startSpan () { throw new Error('not called') }, startActiveSpan () { throw new Error('not called') } }
  const flushes = [
    () => new Promise<void>(() => {}),
    () => Promise.reject(new Error('no collector')),
    () => { throw new Error('a fault') },
    undefined
  ]
  for (const forceFlush of flushes) {
    trace.disable()
    const provider: TracerProvider = { getTracer: () => tracer, ...(forceFlush && { forceFlush }) }
    t.ok(trace.setGlobalTracerProvider(provider))
    await t.resolves(flushSpans(20))
  }
})
