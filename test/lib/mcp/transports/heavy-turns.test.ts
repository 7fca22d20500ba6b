import t from 'tap'
import { takeTurn } from '../../../../lib/mcp/transports/heavy-turns.ts'

function work (milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

t.test('pieces of work run one by one, an urgent one first, and between them is as much time for others', async t => {
  const order: string[] = []
  const times: Array<[number, number]> = []
  await new Promise<void>(resolve => {
    const add = (name: string, isUrgent: boolean) => takeTurn(() => {
      const begunAt = performance.now()
      work(5)
      order.push(name)
      times.push([begunAt, performance.now()])
      if (order.length === 4) resolve()
    }, { isUrgent })
    add('a stream', false)
    add('another stream', false)
    add('a start', true)
    add('another start', true)
  })
  t.strictSame(order, ['a start', 'a stream', 'another start', 'another stream'])
  for (const [index, [begunAt]] of times.entries()) {
    const [earlierBegunAt, earlierEndedAt] = times[index - 1] ?? [0, 0]
    if (index === 0) continue
    // A timer of Node's may be a millisecond early, against the clock that is read here.
    const rest = Math.min(earlierEndedAt - earlierBegunAt, 50)
    t.ok(begunAt - earlierEndedAt >= rest - 2, `rest before piece ${index}`)
  }
})

t.test('a piece of work for which nobody waits is followed by the next without a rest', async t => {
  const ran: number[] = []
  for (let piece = 0; piece < 3; piece++) {
    await new Promise<void>(resolve => takeTurn(() => { ran.push(piece); resolve() }))
  }
  t.strictSame(ran, [0, 1, 2])
})

t.test('urgent work that comes again and again leaves turns to the other', async t => {
  let isOver = false
  let urgent = 0
  const again = () => { if (!isOver) takeTurn(() => { urgent++; work(1); again() }, { isUrgent: true }) }
  for (let loop = 0; loop < 3; loop++) again()
  let ordinary = 0
  while (ordinary < 5) await new Promise<void>(resolve => takeTurn(() => { ordinary++; resolve() }))
  isOver = true
  t.ok(urgent <= 20, `${urgent} urgent pieces beside ${ordinary} others`)
})
