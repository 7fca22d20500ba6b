import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type MetricsServerOptions, openMetricsServer } from '../../../lib/telemetry/metrics-server.ts'
import { until } from '../../support/wait.ts'

async function open (t: Test, options: Partial<MetricsServerOptions> = {}) {
  const troubles: unknown[] = []
  const server = await openMetricsServer({
    host: '127.0.0.1',
    port: 0,
    contentType: 'text/plain',
    read: async () => 'up 1\n',
    isForUs: () => true,
    onTrouble: error => { troubles.push(error) },
    ...options
  })
  t.teardown(server.close)
  const { hostname, port } = new URL(server.url)
  const connected = async (bytes: string): Promise<Socket> => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    socket.write(bytes)
    return socket
  }
  return { ...server, connected, troubles }
}

const head = 'GET /metrics HTTP/1.1\r\nHost: a\r\n'

t.test('a caller who reads slowly, or sends without an end, is cut off', async t => {
  const large = 'x'.repeat(64 * 1024 * 1024)
  let metrics = large
  const { connected, url } = await open(t, { read: async () => metrics, answerMs: 300 })
  const reader = await connected(`${head}\r\n`)
  reader.pause()
  const sender = await connected(`${head}Transfer-Encoding: chunked\r\n\r\n`)
  const chunks = setInterval(() => sender.write('1\r\nx\r\n'), 20)
  t.teardown(() => clearInterval(chunks))
  sender.resume()
  const halves = await Promise.all(['', head].map(connected))
  for (const socket of halves) socket.resume()
  await Promise.all([sender, halves[1] as Socket].map(socket => once(socket, 'close')))
  reader.resume()
  await once(reader, 'close')
  t.ok(reader.bytesRead < large.length, 'the rest was not sent')
  metrics = 'up 1\n'
  t.equal(await (await fetch(url)).text(), metrics, 'others are served')
})

t.test('those who ask at once get one reading, and each later one another', async t => {
  let readings = 0
  let give = (): void => {}
  const { url } = await open(t, {
    read: async () => {
      readings++
      await new Promise<void>(resolve => { give = resolve })
      return `readings ${readings}\n`
    }
  })
  const asked = Array.from({ length: 5 }, () => fetch(url).then(response => response.text()))
  await new Promise(resolve => setTimeout(resolve, 200))
  give()
  t.strictSame(await Promise.all(asked), Array(5).fill('readings 1\n'))
  const later = fetch(url).then(response => response.text())
  await until(() => readings === 2, 'it is read again')
  give()
  t.equal(await later, 'readings 2\n')
})

t.test('a reading that fails is 500 without its reason, and the next one is tried', async t => {
  let isBroken = true
  const { url, troubles } = await open(t, {
    read: async () => {
      if (isBroken) throw new Error('not-a-real-secret')
      return 'up 1\n'
    }
  })
  const failed = await fetch(url)
  t.equal(failed.status, 500)
  t.notMatch(await failed.text(), /secret/)
  t.equal(troubles.length, 1)
  isBroken = false
  t.equal((await fetch(url)).status, 200)
})

t.test('more connections than any monitoring has are not taken', async t => {
  const { connected, url, close } = await open(t)
  const sockets = await Promise.all(Array.from({ length: 40 }, () => connected('')))
  let refused = 0
  for (const socket of sockets) {
    socket.resume()
    socket.once('close', () => refused++)
  }
  await until(() => refused === 8, 'those above 32 are refused')
  await t.rejects(fetch(url), 'while all of them are held')
  await Promise.all([close(), close()])
})
