import t from 'tap'
import { abortable, Cancellation, nativeSignal } from '../../lib/cancellation.ts'
import { CallerLeftError } from '../../lib/errors.ts'

for (const [what, create] of [
  ['ours', () => new Cancellation()],
  ['node\'s, as the measure of ours', () => new AbortController()]
] as const) {
  t.test(`a signal (${what})`, async t => {
    const controller = create()
    const { signal } = controller
    const heard: string[] = []
    const removed = () => heard.push('removed')
    const removedMeanwhile = () => heard.push('removed meanwhile')
    signal.addEventListener('abort', () => heard.push('first'), { once: true })
    signal.addEventListener('abort', removed)
    signal.addEventListener('abort', () => {
      heard.push('second')
      t.ok(signal.aborted, 'a listener finds it aborted')
      signal.removeEventListener('abort', removedMeanwhile)
    })
    signal.addEventListener('abort', removedMeanwhile)
    signal.addEventListener('abort', () => heard.push('last'))
    signal.removeEventListener('abort', removed)
    signal.removeEventListener('abort', () => heard.push('never added'))
    t.notOk(signal.aborted)
    t.equal(signal.reason, undefined)

    controller.abort()
    t.strictSame(heard, ['first', 'second', 'last'], 'listeners are called in their order, without those removed')
    t.ok(signal.aborted)
    t.equal((signal.reason as Error).name, 'AbortError')

    const { reason } = signal
    controller.abort(new Error('again'))
    signal.addEventListener('abort', () => heard.push('too late'))
    t.equal(heard.length, 3, 'each is called once, and none that comes later')
    t.equal(signal.reason, reason, 'the first reason stays')
  })
}

t.test('a reason is passed on', async t => {
  const reason = new Error('late')
  const cancellation = new Cancellation()
  const before = cancellation.native()
  t.notOk(before.aborted)
  cancellation.abort(reason)
  t.equal(cancellation.reason, reason)
  t.equal(before.reason, reason, 'to the signal of node that was made before')
  t.equal(cancellation.native(), before, 'of which there is one')

  const later = new Cancellation()
  later.abort(reason)
  t.equal(nativeSignal(later).reason, reason, 'and to the one that is made later')
  t.ok(AbortSignal.any([new Cancellation(), later].map(nativeSignal)).aborted)
})

t.test('a signal of node stays the one that it is', async t => {
  const { signal } = new AbortController()
  t.equal(nativeSignal(signal), signal)
})

t.test('many may listen, and one that is done listens no more', async t => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  const cancellation = new Cancellation()
  let heard = 0
  for (let i = 0; i < 50; i++) cancellation.addEventListener('abort', () => heard++)
  t.equal(await abortable(Promise.resolve('done'), cancellation), 'done')
  const left = abortable(new Promise(() => {}), cancellation)
  cancellation.abort()
  await t.rejects(left, new CallerLeftError())
  await t.rejects(abortable(new Promise(() => {}), cancellation), new CallerLeftError(), 'also one that comes later')
  t.equal(heard, 50)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', onWarning)
  t.strictSame(warnings, [])
})
