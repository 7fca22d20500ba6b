import { createRequire } from 'node:module'
import t from 'tap'
import { startEverything } from '../support/mcp-servers.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { runScript } from '../support/scripts.ts'
import { serviceOn } from '../support/service.ts'

t.setTimeout(600_000)

const { TASKS = '60', TASKS_SECONDS = '20' } = process.env

t.test('no task of a server is lost and none is begun twice while workers are killed', async t => {
  const { code, output } = await runScript('tasks-soak.mjs', [], { TASKS, TASKS_SECONDS })
  t.comment(output)
  t.equal(code, 0)
  t.match(output, /kills: [1-9]/)
  t.match(output, /^completed: [1-9]/m)
  t.match(output, /^no task was lost, and none was begun twice$/m)
})

t.test('the official server that has a bit of everything runs its tool as a task, and asks before it ends', async t => {
  const program = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')
  const { url } = await startEverything(t, 'streamableHttp')
  for (const [transport, entry] of [
    ['http', { url }], ['stdio', { command: process.execPath, args: [program, 'stdio'] }]
  ] as const) {
    const service = await serviceOn(t, { everything: entry }, { MCP_ELICITATION: 'on' })
    const id = await initSession(service)
    const plain = await call(service, id, 'simulate-research-query', { topic: 'snow' })
    t.match([plain.statusCode, plain.json()], [200, { result: /Research Report: snow/ }], transport)
    const asked = await call(service, id, 'simulate-research-query', { topic: 'python', ambiguous: true })
    if (transport === 'stdio') {
      t.match([asked.statusCode, asked.json()], [200, { result: /User declined/ }], transport)
      continue
    }
    const { requests: [{ id: key, params }], continue: token } = asked.json()
    t.match([asked.statusCode, params.message], [202, /multiple interpretations/])
    const responses = { [key]: { action: 'accept', content: { interpretation: 'snake' } } }
    const { statusCode, body } = await postTo(service, '/call-tool', { session_id: id, continue: token, responses })
    t.match([statusCode, body], [200, /python \(snake\)/])
  }
})
