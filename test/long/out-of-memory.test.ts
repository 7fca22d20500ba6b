import t from 'tap'
import { makeMemoryGroup } from '../support/memory-group.ts'
import { fixture } from '../support/paths.ts'
import { callAt, openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

t.test('a server that takes all the memory costs its own call, and the worker lives', async t => {
  const group = makeMemoryGroup(t, 450 * 1_048_576)
  if (group === null) {
    t.comment('This user may make no control group of memory: the kernel is not tried.')
    return t.pass('that a server is chosen first is tested with the processes')
  }
  const service = await startService(t, {
    MCP_SERVERS_FILE: await serversFile(t, { hungry: { command: process.execPath, args: [fixture('hungry-server.mjs')] } }),
    MCP_SERVER_NICENESS: '19' // other tests run beside this one
  })
  group.add(service.pid)
  const id = await openSession(service)
  const answers = async () => t.match(await callAt(service, id, 'answer'), { status: 200, body: { result: 'well' } })
  await answers()

  const alone = await callAt(service, id, 'alone')
  t.match(alone, { status: 502, body: { code: 'MCPC_ERR_MCP_CALL', error: /\(SIGKILL\)$/ } })
  await answers()

  const before = group.ended()
  const caller = new AbortController()
  const many = fetch(`${service.url}/call-tool`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ session_id: id, tool: 'many', params: {} }),
    signal: caller.signal
  })
  many.catch(() => {}) // the caller leaves
  await until(() => group.ended() >= before + 5, 'memory has run out some times')
  caller.abort()
  await answers()
})
