import { randomUUID } from 'node:crypto'
import t from 'tap'
import { openSession, post } from '../support/requests.ts'
import { redisClient } from '../support/redis.ts'
import { resultText, startScripted } from '../support/scripted-server.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen, type ListeningService } from '../support/service.ts'

const eraTrouble = 'the era of an mcp server could not be shared'

interface Line { msg: string, reqId?: string, traceId?: string, server?: string, line?: string, reason?: string }

const linesOf = (service: ListeningService, text: string) =>
  service.output().split('\n').filter(line => line.includes(`"msg":"${text}`)).map(line => JSON.parse(line) as Line)

/** Calls a tool as somebody who says both ids, and gives them. */
async function callAs (service: ListeningService, session: string, tool: string) {
  const reqId = randomUUID()
  const traceId = randomUUID().replaceAll('-', '')
  const headers = { 'x-request-id': reqId, traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
  const { status, body } = await post(`${service.url}/call-tool`, { session_id: session, tool, params: {} }, headers)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return { reqId, traceId }
}

t.test('a line that one request causes has its ids', async t => {
  const web = await startScripted(t, 'http')
  const own = await startScripted(t, 'stdio')
  await web.play({}) // the second one has emptied the folder of both
  // RE2 knows no look-ahead.
  const unusable = '{"name":"echo","inputSchema":{"type":"object","properties":{"a":{"pattern":"(?=x)"}}}}'
  await own.play({ 'tools/list': resultText(`{"tools":[${unusable}]}`) })
  const args = own.entry.args as string[]
  const loud = { command: '/bin/sh', args: ['-c', 'echo grumble >&2; exec "$0" "$@"', process.execPath, ...args] }
  const mcpServers = { loud, shared: { ...loud, lifecycle: 'shared' }, web: web.entry }
  const env = {
    MCP_SERVERS_FILE: await serversFile(t, mcpServers),
    MCP_SESSION_KEY_PREFIX: `test-${randomUUID()}`,
    MCP_LOG_LEVEL: 'debug'
  }
  const first = await listen(t, env)
  const session = await openSession(first)
  const { body } = await post(`${first.url}/tools`, { session_id: session })
  const names = (body as { tools: Array<{ name: string }> }).tools.map(({ name }) => name)
  const toolOf = (server: string) => names.find(name => name.startsWith(server)) ?? ''

  t.test('of the stderr of a server, and of a schema that cannot be used', async t => {
    const one = await callAs(first, session, toolOf('loud'))
    const other = await callAs(first, session, toolOf('loud'))
    const lines = linesOf(first, 'mcp server stderr')
    for (const ids of [one, other]) {
      t.match(lines.filter(({ reqId }) => reqId === ids.reqId), [{ ...ids, server: 'loud', line: 'grumble' }])
    }
    t.notOk(lines.some(({ server }) => server === 'shared'), 'that of a shared server is nobody’s')
    t.match(linesOf(first, 'arguments are not checked'), [{ ...one, reason: /\(\?=/ }], 'who found it out')
  })

  t.test('of Redis, as it does not tell the era of a server', async t => {
    const redis = await redisClient(t)
    for (const server of ['shared', 'web']) await callAs(first, session, toolOf(server))
    const keys = await redis.keys(`mcp_era:${env.MCP_SESSION_KEY_PREFIX}*`)
    t.equal(keys.length, 3)
    // Whoever reads a text there gets an error of Redis.
    for (const key of keys) {
      await redis.del(key)
      await redis.hset(key, 'a', 'b')
    }
    const second = await listen(t, env)
    for (const server of ['loud', 'web']) {
      const ids = await callAs(second, session, toolOf(server))
      const lines = linesOf(second, eraTrouble).filter(line => line.server === server)
      t.ok(lines.length > 0)
      for (const { reqId, traceId } of lines) t.strictSame({ reqId, traceId }, ids)
    }
    await callAs(second, session, toolOf('shared'))
    const ofShared = linesOf(second, eraTrouble).filter(({ server }) => server === 'shared')
    t.ok(ofShared.length > 0)
    for (const line of ofShared) t.notOk('reqId' in line || 'traceId' in line)
  })
})
