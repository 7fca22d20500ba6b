/* Starts this service and its peers before the same MCP servers, and gives for each a way to call `echo`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { freePort } from '../../scripts/ports.mjs'
import { atEnd, echoServer, openSession, post, startFloor, startService, temporaryFolder } from '../bench.mjs'
import { agent, echo, headersOf, messageOf, poster } from './bare-post.mjs'

atEnd(() => agent.destroy())

/** Over stdio, kept running between calls. */
export const stdioEntry = { command: process.execPath, args: [echoServer] }

/** This service before a server of a servers file. Each caller has a session of its own. */
export async function ours (redis, entry, settings = {}) {
  const startedAt = performance.now()
  const service = await startService({
    REDIS_URL: redis.url,
    MCP_SERVERS_FILE: await writeServers({ echo: { ...entry, credentials: ['jwtToken'] } }),
    MCP_SESSION_MAX_CONCURRENCY: '1000',
    MCP_VALUES: undefined, // as it is without a setting: no peer keeps values
    ...settings
  })
  while ((await request(`${service.url}/readyz`, { dispatcher: agent })).statusCode !== 200) await delay(10)
  const readyMs = performance.now() - startedAt
  const sessions = await Promise.all(Array.from({ length: 32 }, () => openSession(service)))
  let next = 0
  const call = () => post(`${service.url}/call-tool`, {
    session_id: sessions[next++ % sessions.length], tool: 'echo', params: echo
  })
  return { pid: service.pid, readyMs, call, url: service.url }
}

/**
 * The least of a service that keeps sessions in Redis: what it reads before each call, and writes after it. `era` where
 * the server is one over HTTP.
 */
export async function leastWithSessions (redis, target, era) {
  const startedAt = performance.now()
  const service = await startFloor(redis, { target, era, isWriteAcknowledged: false })
  const readyMs = performance.now() - startedAt
  let next = 0
  const call = () => post(`${service.url}/call-tool`, { session_id: next++ % 32, tool: 'echo', params: echo })
  return { pid: service.pid, readyMs, call, url: service.url }
}

/** mcp-hub: REST in, one client for each server, no sessions. */
export async function mcpHub ({ script }, entry) {
  const file = await writeServers({ echo: entry })
  const path = '/api/servers/tools'
  const body = JSON.stringify({ server_name: 'echo', tool: 'echo', arguments: echo })
  return await startPeer(port => [script, '--port', port, '--config', file], path, {}, body)
}

/** mcp-proxy: MCP over HTTP in, one client of a server over stdio. `era` is that of its callers. */
export async function mcpProxy ({ script }, era) {
  const args = port => [
    script, '--host', '127.0.0.1', '--port', port, '--stateless', '--', stdioEntry.command, ...stdioEntry.args
  ]
  return await startPeer(args, '/mcp', headersOf(era), messageOf(era))
}

/** supergateway: MCP over HTTP in, a fresh process over stdio for each request. */
export async function supergateway ({ script }) {
  const args = port => [
    script, '--stdio', `${stdioEntry.command} ${stdioEntry.args.join(' ')}`, '--outputTransport', 'streamableHttp',
    '--port', port, '--logLevel', 'none'
  ]
  return await startPeer(args, '/mcp', headersOf(2025), messageOf(2025))
}

/** A peer on a free port. It is ready with its first answer. */
async function startPeer (args, path, headers, body) {
  const port = String(await freePort())
  const home = await temporaryFolder() // it leaves notes in the home folder of its user
  const startedAt = performance.now()
  const child = spawn(process.execPath, args(port), {
    env: { ...process.env, HOME: home, XDG_STATE_HOME: home, XDG_CONFIG_HOME: home }, stdio: 'ignore'
  })
  const exited = once(child, 'exit')
  atEnd(async () => {
    child.kill('SIGTERM')
    await Promise.race([exited, delay(5_000, undefined, { ref: false }).then(() => child.kill('SIGKILL'))])
    await exited
  })
  const send = poster(`http://127.0.0.1:${port}${path}`, { 'content-type': 'application/json', ...headers })
  const call = () => send(body)
  for (let isReady = false; !isReady;) {
    if (child.exitCode !== null) throw new Error(`${args(port)[0]} ended with code ${child.exitCode}`)
    if (performance.now() - startedAt > 60_000) throw new Error(`${args(port)[0]} does not answer`)
    isReady = await call().then(() => true, () => false)
    if (!isReady) await delay(20)
  }
  return { pid: child.pid, readyMs: performance.now() - startedAt, call }
}

async function writeServers (mcpServers) {
  const file = join(await temporaryFolder(), 'servers.json')
  await writeFile(file, JSON.stringify({ mcpServers }))
  return file
}
