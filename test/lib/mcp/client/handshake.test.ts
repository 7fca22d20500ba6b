import t, { type Test } from 'tap'
import { createProcessClient } from '../../../../lib/mcp/processes/process-client.ts'
import { serverBounds } from '../../../support/bounds.ts'
import { textOf } from '../../../support/requests.ts'
import { resultText, type Script, startScripted } from '../../../support/scripted-server.ts'

/*
 * Handshakes as real servers make them, over stdio. test/e2e/server-answers.test.ts has them over HTTP.
 */

const never = new AbortController().signal
const limits = { timeoutMs: 20_000, signal: never }
const refusal = (code: unknown, message: string, data = '') =>
  `{"jsonrpc":"2.0","id":$ID,"error":{"code":${JSON.stringify(code)},"message":${JSON.stringify(message)}${data}}}`

async function open (t: Test, script: Script) {
  const { entry } = await startScripted(t, 'stdio', script)
  const client = createProcessClient({
    name: 'up', command: entry.command as string, args: entry.args as string[], env: {}, cwd: process.cwd() // as startScripted wrote it
  }, { startTimeoutMs: 6_000, stopStepMs: 200, maxMessageBytes: 1_000_000, bounds: serverBounds })
  t.teardown(client.close)
  await client.open(never)
  return client
}

const works = async (t: Test, script: Script) => {
  const client = await open(t, script)
  t.equal(textOf(await client.callTool({ name: 'echo', args: '{}' }, limits)), 'well')
  return client
}

for (const [what, answer] of [
  ['has nothing in it', '{}'],
  ['has nothing but nulls', '{"protocolVersion":null,"capabilities":null,"serverInfo":null,"instructions":null}'],
  ['names a version that does not exist', '{"protocolVersion":"1.0","capabilities":[],"serverInfo":"me"}'],
  ['names its version as a number', '{"protocolVersion":2025,"capabilities":{"tools":null},"serverInfo":{}}'],
  ['has instructions that are no text', '{"protocolVersion":"2025-06-18","capabilities":{},"instructions":{"a":1}}']
] as const) {
  t.test(`a handshake that ${what} goes on`, async t => {
    const client = await works(t, { initialize: resultText(answer) })
    t.strictSame(await client.instructions(limits), {})
  })
}

t.test('a handshake that is refused for its version is tried once with the version that the server names', async t => {
  for (const refused of [
    refusal(-32602, 'Unsupported protocol version', ',"data":{"supported":["2024-10-07","2024-11-05"],"requested":"x"}'),
    refusal('-32602', 'Unsupported protocol version', ',"data":{"supported":"2024-11-05"}'),
    refusal(-32000, 'Only version 2024-11-05 is supported')
  ]) {
    await works(t, { initialize: refused, 'initialize#2024-11-05': resultText('{"protocolVersion":"2024-11-05"}') })
    await t.rejects(open(t, { initialize: refused }), { message: /refused the handshake: /, acted: 'no' }, 'once')
  }
  await t.rejects(open(t, { initialize: refusal(-32602, 'no') }), { message: 'MCP server up refused the handshake: no' })
})

t.test('a refusal is told as what it is', async t => {
  for (const [script, message] of [
    [refusal(-32600, 'not today'), 'MCP server up refused the handshake: not today'],
    ['{"jsonrpc":"2.0","id":$ID,"error":"not today"}', 'MCP server up refused the handshake: not today'],
    ['{"jsonrpc":"2.0","id":$ID,"result":null}', /answered the handshake with what cannot be used: \{"jsonrpc"/],
    [{ exit: 3 }, 'MCP server up ended before it was ready (exit code 3)']
  ] as const) {
    await t.rejects(open(t, { initialize: script }), { code: 'MCPC_ERR_MCP_START', message })
  }
})

for (const [what, probe] of [
  ['does not know the probe', refusal(-32601, 'Method not found')],
  ['refuses it with another code', refusal(-32600, 'Server not initialized')],
  ['answers it with what cannot be used', resultText('null')],
  ['answers it with another era', resultText('{"supportedVersions":["2025-11-25"]}')],
  ['answers it with nothing', resultText('{}')],
  ['names no version in its refusal', refusal(-32022, 'Unsupported protocol version')]
] as const) {
  t.test(`a server that ${what} is one of an older era`, async t => {
    await works(t, { 'server/discover': probe })
  })
}

t.test('a server of 2026 needs no handshake', async t => {
  const client = await works(t, {
    'server/discover': resultText('{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":null,"instructions":"Be kind"}'),
    initialize: { exit: 9 }
  })
  t.strictSame(await client.instructions(limits), { instructions: 'Be kind' })
})

t.test('a result of 2026 without a type is complete, and one of an unknown type cannot be used', async t => {
  const modern = resultText('{"supportedVersions":["2026-07-28"],"capabilities":{}}')
  const content = '"content":[{"type":"text","text":"well"}]'
  for (const type of ['', '"resultType":null,', '"resultType":"complete",']) {
    await works(t, { 'server/discover': modern, 'tools/call': resultText(`{${type}${content}}`) })
  }
  for (const type of ['"task"', '7', '{}', '"COMPLETE"']) {
    const client = await open(t, {
      'server/discover': modern, 'tools/call': resultText(`{"resultType":${type},${content}}`)
    })
    await t.rejects(client.callTool({ name: 'echo', args: '{}' }, limits), {
      code: 'MCPC_ERR_MCP_CALL', message: /gave an answer to tool echo that cannot be used: /, acted: 'unknown'
    })
  }
})
