import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { makeFolder } from '../support/folders.ts'

const module = new URL(`../../lib/log-stream${extname(import.meta.filename)}`, import.meta.url).href

/** A process that does `work` with `lines`, the log of its standard output. `say` writes to its standard error. */
function logging (work: string, stdout: 'pipe' | number = 'pipe'): ChildProcess {
  const script = `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    const { writeSync } = fs
    const writes = []
    fs.writeSync = (fd, bytes) => { writes.push(String(bytes)); return writeSync(fd, bytes) }
    syncBuiltinESMExports()
    const { joinLines } = await import(${JSON.stringify(module)})
    const lines = joinLines()
    const turn = (ms = 0) => new Promise(resolve => setTimeout(resolve, ms))
    const say = value => writeSync(2, JSON.stringify(value) + '\\n')
    ${work}
  `
  return spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', script], {
    stdio: ['pipe', stdout, 'pipe']
  })
}

const exitCode = async (child: ChildProcess) => (await once(child, 'exit'))[0]

t.test('the lines of a turn leave in one write, those of the next in one of their own', async t => {
  const child = logging(`
    for (const line of ['a\\n', 'b\\n', 'c\\n']) {
      lines.write(line)
      await Promise.resolve()
    }
    await turn(20)
    lines.write('d\\n')
    lines.flushSync()
    say(writes)
    await turn(20)
    say(writes.length)
    process.exit()
  `)
  const [output, said] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  t.equal(output, 'a\nb\nc\nd\n')
  t.equal(said, '["a\\nb\\nc\\n","d\\n"]\n2\n', 'at once where somebody asks for it, and nothing twice')
})

t.test('a reader that does not read costs 16 MB; what is lost is told when there is room', async t => {
  const child = logging(`
    lines.onLost(count => lines.write(count + ' lost\\n'))
    for (let line = 0; line < 40; line++) {
      lines.write('x'.repeat(999_999) + '\\n')
      await turn()
    }
    say('written')
    process.stdin.once('data', () => {
      lines.write('next\\n')
      process.exit()
    })
  `)
  const said = text(child.stderr!)
  await once(child.stderr!, 'data') // stdout is not read until then
  const found: string[] = []
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    found.push(chunk)
    if (chunk.includes('lost\n')) child.stdin!.write('go on\n')
  })
  t.equal(await exitCode(child), 0)
  await said
  const lines = found.join('').trimEnd().split('\n')
  const kept = lines.filter(line => line.length === 999_999).length
  t.ok(kept >= 16 && kept <= 18, `${kept} MB were kept`)
  t.strictSame(lines.slice(kept), [`${40 - kept} lost`, 'next'])
})

t.test('what a slow reader has not read at the end of the process is not lost', async t => {
  const child = logging(`
    for (let line = 0; line < 1_000; line++) lines.write('x'.repeat(999) + '\\n')
    await turn(20)
    lines.write('last\\n')
    say('ending')
    process.exit()
  `)
  await once(child.stderr!, 'data')
  await delay(100)
  const lines = (await text(child.stdout!)).split('\n')
  t.equal(lines.length, 1_002)
  t.strictSame(lines.slice(-2), ['last', ''])
})

t.test('a process whose log nobody reads ends', async t => {
  const child = logging(`
    for (let line = 0; line < 1_000; line++) lines.write('x'.repeat(999) + '\\n')
    process.exit(7)
  `)
  t.equal(await exitCode(child), 7)
})

t.test('a process whose log lost its reader lives on', async t => {
  const child = logging(`
    for (let line = 0; line < 20; line++) {
      lines.write('line\\n')
      await turn(10)
    }
    say(writes.length)
    process.exit()
  `)
  child.stdout!.once('data', () => child.stdout!.destroy())
  const [said, code] = await Promise.all([text(child.stderr!), exitCode(child)])
  t.equal(said, '20\n')
  t.equal(code, 0)
})

t.test('a file has a stream of pino, which does not hold up the process', async t => {
  const file = join(await makeFolder(t), 'log')
  const child = logging('say(lines)', openSync(file, 'w'))
  t.equal(await text(child.stderr!), 'null\n')
  t.equal(readFileSync(file, 'utf8'), '')
})
