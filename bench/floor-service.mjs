/*
 * The least that a tool call through Fastify, Redis and the SDK costs: one read before the tool, and one write after
 * it. It has no checks, no limits, no log, and handles no failure.
 * `node floor-service.mjs <redis socket> <server script>`.
 */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { endWithParent } from '../scripts/signals.mjs'

const [socket, script] = process.argv.slice(2)
const redis = new Redis(socket)
const client = new Client({ name: 'floor', version: '1.0.0' })
await client.connect(new StdioClientTransport({ command: process.execPath, args: [script], stderr: 'ignore' }))

const app = Fastify({ forceCloseConnections: true })
app.post('/call-tool', async request => {
  const { session_id: id, tool, params } = request.body
  await redis.hmget(`floor:${id}`, 'meta', 'credentials')
  const { content: [{ text }] } = await client.callTool({ name: tool, arguments: params })
  await redis.hset(`floor:${id}`, 'p:text', text)
  return JSON.parse(text)
})
endWithParent()
process.once('SIGTERM', async () => {
  await app.close()
  await client.close()
  redis.disconnect()
})
console.log(`Server listening at ${await app.listen({ port: 0, host: '127.0.0.1' })}"`)
