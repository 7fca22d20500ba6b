import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture } from '../support/paths.ts'
import { processes } from '../support/processes.ts'
import { secrets, startReceiver, withStatus } from '../support/receiver.ts'
import { openSession } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { environment, type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

t.test('a notice outlives the workers that were to send it', async t => {
  const folder = await makeFolder(t)
  const file = join(folder, 'calls')
  const receiver = await startReceiver(t, { answers: [withStatus(500)] })
  writeFileSync(join(folder, 'receivers.json'), JSON.stringify({ orders: { url: receiver.url, secret: secrets[0] } }))
  const shared = await environment(t, {
    MCP_SERVERS_FILE: await serversFile(t, {
      counting: { command: process.execPath, args: [fixture('counting-server.mjs'), file] }
    }),
    MCP_ASYNC_CALLS: 'on',
    MCP_NOTIFY_FILE: join(folder, 'receivers.json')
  })
  const [first, second] = [await startService(t, shared), await startService(t, shared)]
  const session = await openSession(first)
  const call = async () => {
    const response = await fetch(`${first.url}/call-tool`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'respond-async' },
      body: JSON.stringify({ session_id: session, tool: 'act', params: { name: 'a' }, notify: 'orders' })
    })
    return (await response.json() as { call: string }).call
  }
  const runs = ({ pid }: Service) =>
    processes().some(({ parent, command }) => parent === pid && command.includes(file))

  writeFileSync(`${file}.go`, '')
  const refused = await call()
  await until(() => receiver.requests.length === 1, 'its notice is refused')

  // A second call, which runs for ever: whichever worker has it dies, and the other one tells of both.
  unlinkSync(`${file}.go`)
  const running = await call()
  let busy: Service | undefined
  await until(() => {
    busy = [first, second].find(runs)
    return busy !== undefined
  }, 'a worker runs it')
  busy?.kill('SIGKILL')
  const stateOf = (id: string) => receiver.notices.filter(({ payload }) =>
    (payload as { data: { call: string } }).data.call === id).map(({ payload }) => (payload as { type: string }).type)
  await until(() => stateOf(refused).length === 2 && stateOf(running).length === 1, 'both are told')
  t.strictSame([stateOf(refused), stateOf(running)], [['call.completed', 'call.completed'], ['call.unknown']])
  t.equal(new Set(receiver.notices.map(({ id }) => id)).size, 2)
  t.strictSame(receiver.faults, [])
})

t.test('the file of receivers is read again at SIGHUP, and one with a fault changes nothing', async t => {
  const file = join(await makeFolder(t), 'receivers.json')
  const receiver = { url: 'http://127.0.0.1:1/', secret: secrets[0] }
  const write = (receivers: object) => writeFileSync(file, JSON.stringify(receivers))
  write({ orders: receiver })
  const service = await startService(t, { MCP_ASYNC_CALLS: 'on', MCP_NOTIFY_FILE: file })
  const session = await openSession(service)
  const isKnown = async (notify: string) => (await fetch(`${service.url}/call-tool`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    body: JSON.stringify({ session_id: session, tool: 'echo', params: {}, notify })
  })).status === 202
  const known = async () => await Promise.all(['orders', 'nights', 'days'].map(isKnown))
  const readAgain = async (receivers: object, message: string) => {
    write(receivers)
    service.kill('SIGHUP')
    await until(() => service.output().includes(message), message)
  }
  t.strictSame(await known(), [true, false, false])
  await readAgain({ orders: receiver, nights: receiver }, 'receivers read again')
  t.strictSame(await known(), [true, true, false])
  await readAgain({ days: { url: 'x' } }, 'the file of receivers cannot be used, they stay as they are')
  t.strictSame(await known(), [true, true, false])
})
