/*
 * The least that a tool call through Fastify and Redis costs: one read before the tool, and one write after it. A
 * server over stdio is called through the SDK, one over HTTP by one bare POST. It has no checks, no limits, no log, and
 * handles no failure.
 *
 *     node floor-service.mjs <redis socket> <server script, or URL> [era of a URL] [acknowledged]
 *
 * With `acknowledged` the reply waits until Redis has the write.
 */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { endWithParent } from '../scripts/signals.mjs'
import { agent, barePost } from './peers/bare-post.mjs'

const [socket, target, era, acknowledged] = process.argv.slice(2)
const redis = new Redis(socket)
const { call, close } = era === 'stdio' ? await throughSdk() : await throughHttp()

const app = Fastify({ forceCloseConnections: true })
app.post('/call-tool', async request => {
  const { session_id: id, tool, params } = request.body
  await redis.hmget(`floor:${id}`, 'meta', 'credentials')
  const { content: [{ text }] } = await call(tool, params)
  const written = redis.hset(`floor:${id}`, 'p:text', text)
  if (acknowledged === 'acknowledged') await written
  return JSON.parse(text)
})
endWithParent()
process.once('SIGTERM', async () => {
  await app.close()
  await close()
  redis.disconnect()
})
console.log(`Server listening at ${await app.listen({ port: 0, host: '127.0.0.1' })}"`)

async function throughSdk () {
  const client = new Client({ name: 'floor', version: '1.0.0' })
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [target], stderr: 'ignore' }))
  return { call: (name, args) => client.callTool({ name, arguments: args }), close: () => client.close() }
}

async function throughHttp () {
  const send = await barePost(target, Number(era))
  return { call: async () => JSON.parse(await send()).result, close: () => agent.destroy() }
}
