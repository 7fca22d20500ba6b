import t, { type Test } from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'

const overStdio = { command: process.execPath, args: [fixture('sdk-task-server.mjs')] }

/** The same server over both transports. */
async function servers (t: Test) {
  const upstream = await startUpstream(t, 'sdk-task', ['--http'])
  return { upstream, entries: { http: { url: upstream.url }, stdio: overStdio } }
}

t.test('a tool that demands a task, takes one, or takes none is called as any other, over HTTP and stdio', async t => {
  const { upstream, entries } = await servers(t)
  for (const [transport, entry] of Object.entries(entries)) {
    const service = await serviceOn(t, { up: entry })
    const id = await initSession(service)
    for (const tool of ['must', 'may', 'never']) {
      const answer = await call(service, id, tool, { name: 'a' })
      t.match([answer.statusCode, answer.json()], [200, { status: 'success', name: 'a' }], `${tool} over ${transport}`)
    }
    const failed = await call(service, id, 'must', { fail: true })
    t.match([failed.statusCode, failed.json()], [200, { status: 'error', error: 'it failed' }], transport)
    const listed = (await postTo(service, '/tools', { session_id: id })).json()
    t.equal(listed.tools.length, 3)
  }
  const { calls, methods } = await upstream.stats()
  t.strictSame(calls, { must: 2, may: 1, never: 1 })
  t.equal(methods['tools/call'], 4, 'no call is sent twice')
})
