import t from 'tap'
import { traceContext } from '../../../lib/http/trace-context.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const pass = (headers: Record<string, string | string[]>, withBaggage = false) => traceContext(headers, { withBaggage })

t.test('a valid trace context is passed on as it is', async t => {
  for (const parent of [traceparent, '01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-later']) {
    t.strictSame(pass({ traceparent: parent, tracestate: 'a=1,b=2' }), { traceparent: parent, tracestate: 'a=1,b=2' })
  }
  t.strictSame(pass({ traceparent, tracestate: ['a=1', 'b=2'] }), { traceparent, tracestate: 'a=1,b=2' })
})

t.test('a value that breaks a rule is left out, and a state without its parent', async t => {
  for (const parent of [
    '', 'x', traceparent.toUpperCase(), traceparent.slice(1), `ff${traceparent.slice(2)}`, `${traceparent}x`, `${traceparent}-more`,
    `01${traceparent.slice(2)}-${'x'.repeat(201)}`,
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01'
  ]) t.strictSame(pass({ traceparent: parent, tracestate: 'a=1' }), {}, parent)
  t.strictSame(pass({ traceparent: [traceparent, traceparent] }), {})
  for (const tracestate of ['', 'a=\u00e9', 'x'.repeat(513)]) {
    t.strictSame(pass({ traceparent, tracestate }), { traceparent }, tracestate)
  }
})

t.test('baggage is passed on only where it is wanted', async t => {
  t.strictSame(pass({ baggage: 'user=1' }), {})
  t.strictSame(pass({ baggage: 'user=1', traceparent }, true), { baggage: 'user=1', traceparent })
  t.strictSame(pass({ baggage: ['user=1', 'b=2'] }, true), { baggage: 'user=1,b=2' })
  for (const baggage of ['x'.repeat(8_193), 'a=\tb', '']) t.strictSame(pass({ baggage }, true), {}, baggage)
})
