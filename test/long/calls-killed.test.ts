import t from 'tap'
import { type CallEvent, events } from '../../lib/telemetry/channels.ts'
import { fixture } from '../support/paths.ts'
import { initSession } from '../support/requests.ts'
import { runScript } from '../support/scripts.ts'
import { serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(900_000)

const { CALLS = '60', CALLS_SECONDS = '20' } = process.env

t.test('calls that nobody waits for are made once at most while workers are killed, and end in states that are true', async t => {
  const { code, output } = await runScript('calls-soak.mjs', [], { CALLS, CALLS_SECONDS })
  t.comment(output)
  t.equal(code, 0)
  t.match(output, /kills: [1-9]/)
  t.match(output, /^completed: [1-9]/m)
  t.match(output, /^no call was made twice, and each ended in a state that is true$/m)
})

t.test('a worker that has too much to do gives a call back, and makes it when it has less', async t => {
  const service = await serviceOn(t, { tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')] } }, {
    MCP_ASYNC_CALLS: 'on', MCP_MAX_LOOP_DELAY_MS: '100'
  })
  const states: string[] = []
  const note = (message: unknown) => { states.push((message as CallEvent).state) }
  events.call.subscribe(note)
  t.teardown(() => events.call.unsubscribe(note))
  const session = await initSession(service)
  await new Promise(resolve => setTimeout(resolve, 2_500)) // a worker that has just started refuses nothing
  const accept = () => service.inject({
    method: 'POST',
    url: '/call-tool',
    headers: { prefer: 'respond-async' },
    payload: { session_id: session, tool: 'echo', params: {} }
  })
  const isGivenBack = () => states.filter(state => state === 'queued').length > states.filter(state => state === 'accepted').length
  const ids: string[] = []
  await until(async () => {
    const answer = await accept()
    if (answer.statusCode !== 202) return isGivenBack()
    ids.push(answer.json().call)
    states.push('accepted')
    const end = performance.now() + 700
    while (performance.now() < end); // nothing else is done meanwhile
    return isGivenBack()
  }, 'a call is given back')
  for (const id of ids) {
    await until(async () => {
      const { statusCode, body } = await service.inject({ url: `/calls/${id}?wait=5`, headers: { 'x-session-id': session } })
      return statusCode === 200 && body.includes('"status":"completed"')
    }, 'each call is made after all')
  }
})
