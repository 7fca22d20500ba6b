import t, { type Test } from 'tap'
import { createStdioTransport, type StdioTransportOptions } from '../../../../lib/mcp/transports/stdio.ts'
import { serverBounds } from '../../../support/bounds.ts'

function createTransport (t: Test, program: string, options: Partial<StdioTransportOptions> = {}) {
  const command = { name: 'talker', command: process.execPath, args: ['-e', program], env: {}, cwd: '/' }
  const transport = createStdioTransport(command, { maxMessageBytes: 1_048_576, stopStepMs: 100, ...options })
  t.teardown(() => transport.close())
  return transport
}

/** Writes lines at once, and waits to be ended. */
const says = (lines: string) => `process.stdout.write(${lines}); process.stdin.resume()`

t.test('a transport that is closed while it waits for its turn starts nothing', async t => {
  const transport = createTransport(t, 'setInterval(() => {}, 1000)')
  const started = transport.start()
  await transport.close()
  await t.rejects(started, { message: 'the transport is closed' })
  t.equal(transport.pid, null)
})

t.test('a transport starts once, also when it is told to while it waits for its turn', async t => {
  const transport = createTransport(t, 'setInterval(() => {}, 1000)')
  const started = transport.start()
  await t.rejects(transport.start(), { message: 'the transport was started before' })
  await started
  t.type(transport.pid, 'number')
})

t.test('every line of a traceback on stdout is kept for the log', async t => {
  const seen: string[] = []
  const lines = Array.from({ length: 300 }, (_, index) => `line ${index}`)
  const program = says('Array.from({ length: 300 }, (_, index) => \'line \' + index + \'\\n\').join(\'\')')
  const transport = createTransport(t, program, { onStderrLine: line => { seen.push(line) } })
  await transport.start()
  await new Promise<void>(resolve => {
    const look = () => seen.length >= 300 ? resolve() : setTimeout(look, 5)
    look()
  })
  t.strictSame(seen, lines)
})

t.test('what a server said is kept, also when it says too much at once', async t => {
  const program = says('\'cannot start: no licence\\n\' + \'x\\n\'.repeat(500)')
  const transport = createTransport(t, program, { bounds: { ...serverBounds, maxMessages: 100 } })
  await transport.start()
  await transport.ended
  t.match(transport.failure, { message: /more than 100 messages in a minute \(MCP_MAX_SERVER_MESSAGES\)/ })
  t.equal(transport.stderrLines('first and last')[0], 'cannot start: no licence')
})
