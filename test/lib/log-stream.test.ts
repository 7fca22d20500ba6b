import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { extname } from 'node:path'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { joinLines } from '../../lib/log-stream.ts'

const turn = () => new Promise(resolve => setImmediate(resolve))

/** An output that takes a write when it is told to. */
function slowOutput () {
  const writes: string[] = []
  let taken: (() => void) | null = null
  const output = new Writable({
    decodeStrings: false,
    write (lines, _, done) {
      writes.push(lines)
      taken = done
    }
  })
  const take = async () => {
    taken?.()
    await turn()
  }
  return { output, writes, take }
}

t.test('the lines of a turn leave in one write, those of the next in one of their own', async t => {
  const { output, writes, take } = slowOutput()
  const lines = joinLines(output)
  for (const line of ['a\n', 'b\n', 'c\n']) {
    lines.write(line)
    await Promise.resolve()
  }
  t.strictSame(writes, [])
  await turn()
  t.strictSame(writes, ['a\nb\nc\n'])
  await take()

  lines.write('d\n')
  lines.flushSync()
  t.strictSame(writes, ['a\nb\nc\n', 'd\n'], 'at once, where somebody asks for it')
  await take()
  await turn()
  t.equal(writes.length, 2, 'nothing leaves twice')
})

t.test('a reader that does not read costs 16 MB; what is lost is told when there is room', async t => {
  const { output, writes, take } = slowOutput()
  const lines = joinLines(output)
  const reported: number[] = []
  lines.onLost(count => {
    reported.push(count)
    lines.write(`${count} lost\n`)
  })
  const megabyte = `${'x'.repeat(999_999)}\n`
  for (let line = 0; line < 40; line++) {
    lines.write(megabyte)
    await turn()
  }
  t.equal(output.writableLength, 17_000_000, 'one line more than fits')
  t.strictSame(reported, [])

  for (let write = 0; write < 17; write++) await take()
  t.equal(writes.filter(lines => lines === megabyte).length, 17)
  await turn()
  t.strictSame(reported, [23])
  t.equal(writes.at(-1), '23 lost\n', 'the log goes on')
  await take()
  lines.write('next\n')
  await turn()
  t.equal(writes.at(-1), 'next\n')
})

const module = new URL(`../../lib/log-stream${extname(import.meta.filename)}`, import.meta.url).href

/** A process that logs for a fifth of a second, says on its standard error that it lived, logs once more and ends. */
const script = `
  const { joinLines } = await import(${JSON.stringify(module)})
  const lines = joinLines()
  for (let turn = 0; turn < 20; turn++) {
    lines.write('line ' + turn + '\\n')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  console.error('lived')
  lines.write('last\\n')
  process.exit(0)
`
const logging = (stdout: 'pipe' | number) => spawn(
  process.execPath, [...process.execArgv, '--input-type=module', '--eval', script], { stdio: ['ignore', stdout, 'pipe'] }
)

t.test('a line right before the end is not lost', async t => {
  const child = logging('pipe')
  const [output, errors] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'exit')])
  t.equal(errors, 'lived\n')
  t.equal(output.trimEnd().split('\n').length, 21)
  t.match(output, /line 19\nlast\n$/)
})

t.test('a process whose log has no reader lives on', async t => {
  const child = logging('pipe')
  child.stdout!.once('data', () => child.stdout!.destroy())
  const [errors, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  t.equal(errors, 'lived\n')
  t.equal(code, 0)
})

t.test('a process whose log is on a full disk lives on', { skip: !existsSync('/dev/full') }, async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const child = logging(full)
  const [errors, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  t.equal(errors, 'lived\n')
  t.equal(code, 0)
})
