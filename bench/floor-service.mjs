/*
 * What a tool call costs at least when Fastify, Redis and the SDK do their part of it and nobody anything else: one read before the
 * tool, one write after it. No checks, no limits, no log, no failures foreseen. `node floor-service.mjs <redis socket> <server script>`.
 */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import Fastify from 'fastify'
import { Redis } from 'ioredis'

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
process.once('SIGTERM', async () => {
  await app.close()
  await client.close()
  redis.disconnect()
})
console.log(`Server listening at ${await app.listen({ port: 0, host: '127.0.0.1' })}"`)
