/* An MCP server without an SDK, so that its start hides little of the measurement. It ends with its input. */
import { createInterface } from 'node:readline'

const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'tiny', version: '1.0.0' }
  }),
  'tools/list': () => ({ tools: [{ name: 'echo', inputSchema: { type: 'object', properties: { text: {} } } }] }),
  'tools/call': ({ arguments: args }) => ({
    content: [{ type: 'text', text: JSON.stringify({ status: 'success', ...args }) }]
  })
}

createInterface({ input: process.stdin }).on('line', line => {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) return
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: answers[method]?.(params) ?? {} })}\n`)
})
