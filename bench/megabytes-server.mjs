/*
 * An MCP server without an SDK. Its tool `rows` answers with one text block of JSON, of about --megabytes=N; its answer
 * is made once. With --pairs the JSON is a list of short lists, `[1,"1"]`: it has three times as many values.
 */
import { createInterface } from 'node:readline'

const megabytes = Number(/^--megabytes=(\d+(\.\d+)?)$/.exec(process.argv[2] ?? '')?.[1] ?? 8.9)
const arePairs = process.argv.includes('--pairs')
const row = index => arePairs
  ? [index, String(index)]
  : { id: index, name: `row ${index}`, amount: index * 1.5, tags: ['a', 'b'], note: 'as "quoted" text' }
const bytesOfRow = JSON.stringify(JSON.stringify(row(100_000))).length
const rows = Array.from({ length: Math.round(megabytes * 1e6 / bytesOfRow) }, (_, index) => row(100_000 + index))
const result = JSON.stringify({ content: [{ type: 'text', text: JSON.stringify(arePairs ? rows : { rows }) }] })

const results = {
  initialize: JSON.stringify({
    protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'megabytes', version: '1.0.0' }
  }),
  'tools/list': JSON.stringify({ tools: [{ name: 'rows', inputSchema: { type: 'object' } }] }),
  'tools/call': result
}
const unknown = '"error":{"code":-32601,"message":"Method not found"}'

createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  if (id === undefined) return
  const body = results[method] === undefined ? unknown : `"result":${results[method]}`
  process.stdout.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${body}}\n`)
})
process.stdin.on('end', () => process.exit(0))
