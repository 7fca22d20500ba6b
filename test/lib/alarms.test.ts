import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { extname } from 'node:path'
import t from 'tap'
import { clearAlarm, setAlarm, settledWithin } from '../../lib/alarms.ts'

/** Keeps the loop going while only alarms are awaited, which keep no process alive. */
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

const rings = (milliseconds: number) => new Promise<number>(resolve => {
  const setAt = performance.now()
  setAlarm(milliseconds, () => resolve(performance.now() - setAt))
})

t.test('alarms ring in the order in which they are due, none too early', async t => {
  const order: number[] = []
  const waits = [120, 20, 70, 20]
  await Promise.all(waits.map(async milliseconds => {
    const waited = await rings(milliseconds)
    t.ok(waited >= milliseconds, `${waited} ms of ${milliseconds}`)
    order.push(milliseconds)
  }))
  t.strictSame(order, [20, 20, 70, 120])
})

t.test('a cleared alarm does not ring, and the others do', async t => {
  let rung = 0
  const alarms = Array.from({ length: 1_000 }, () => setAlarm(30, () => { rung++ }))
  alarms.forEach((alarm, index) => index % 2 === 0 && clearAlarm(alarm))
  for (const alarm of alarms.slice(0, 2)) clearAlarm(alarm)
  await rings(60)
  t.equal(rung, 499)
  for (const alarm of alarms) clearAlarm(alarm)
  await rings(1)
  t.equal(rung, 499)
})

t.test('an alarm may set and clear others as it rings', async t => {
  const rung: string[] = []
  let clearSecond = () => {}
  setAlarm(20, () => {
    rung.push('first')
    clearSecond()
    setAlarm(20, () => rung.push('of the first'))
  })
  const second = setAlarm(20, () => rung.push('second'))
  clearSecond = () => clearAlarm(second)
  setAlarm(200, () => rung.push('late'))
  await rings(100)
  t.strictSame(rung, ['first', 'of the first'])
  await rings(150)
  t.strictSame(rung, ['first', 'of the first', 'late'])
})

t.test('waits of no end and of months neither ring nor hold up others', async t => {
  let rung = 0
  const alarms = [Infinity, 2_147_483_648, 5e9].map(milliseconds => setAlarm(milliseconds, () => { rung++ }))
  await rings(20)
  await rings(20)
  t.equal(rung, 0)
  for (const alarm of alarms) clearAlarm(alarm)
})

t.test('what arrived while the worker was busy is read before an alarm rings', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sender = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [receiver] = await once(server, 'connection') as [Socket]
  t.teardown(() => {
    sender.destroy()
    receiver.destroy()
    server.close()
  })
  const outcome = new Promise<string>(resolve => {
    const arrived = once(receiver, 'data')
    // After an immediate come timers that are due, and only then what has arrived.
    setImmediate(() => {
      const alarm = setAlarm(10, () => resolve('late'))
      arrived.then(() => {
        clearAlarm(alarm)
        resolve('in time')
      })
      sender.write('answer')
      const end = performance.now() + 50
      while (performance.now() < end);
    })
  })
  t.equal(await outcome, 'in time')
})

t.test('a wait that is bounded ends with what it is for, or with its time', async t => {
  await settledWithin(Promise.resolve(), 600_000)
  await settledWithin(Promise.reject(new Error('a failure is an end, too')), 600_000)
  const begunAt = performance.now()
  await settledWithin(new Promise(() => {}), 30)
  t.ok(performance.now() - begunAt >= 29)
})

t.test('an alarm keeps no process alive', async t => {
  const module = new URL(`../../lib/alarms${extname(import.meta.filename)}`, import.meta.url).href
  const script = `const { setAlarm } = await import(${JSON.stringify(module)}); setAlarm(600_000, () => {})`
  const { status } = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '--eval', script])
  t.equal(status, 0)
})
